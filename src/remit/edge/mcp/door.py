"""The agents' door, as an ASGI application.

In this order, for every request: host and origin (403), where (unknown paths are 404), who (401, before the body is
read), what (strict JSON-RPC), in which revision; only then the method. Decisions are made on the body. Anything
that goes wrong ends as a refusal in the client's protocol; nothing of a request is trusted from an earlier one.

Whether a connector exists is not told here: a well-formed name that no connector has is answered like one out of
the caller's reach.
"""

import logging
import re
from typing import Any, Final, NamedTuple

import msgspec

from remit.edge.mcp.agreement import agreed, unsupported
from remit.edge.mcp.backend import Backend, DoorSettings
from remit.edge.mcp.exchange import LEFT, App, Gone, Left, Receive, Scope, Send, check_media, headers_of, read_body
from remit.edge.mcp.hub import Hub
from remit.edge.mcp.methods import Methods
from remit.edge.mcp.render import Renderer
from remit.edge.mcp.request import Endpoint, Request
from remit.edge.mcp.rpc import Answered, Fault, Message, Response, read
from remit.edge.mcp.sessions import Given, Session, Sessions
from remit.edge.mcp.stream import Stream
from remit.edge.mcp.wire import HANDSHAKE, SERVED, Code, Meta
from remit.identity.model import Principal
from remit.identity.resource import UNAUTHENTICATED, WELL_KNOWN, allowed, bearer, challenge, metadata
from remit.reasons import WORDS, Denied, Reason

_LOG: Final = logging.getLogger(__name__)
# Over the path as it was sent: an encoded slash, dot segment or capital is no name.
_ENDPOINT: Final = re.compile(rb"/mcp(?:/([a-z0-9][a-z0-9-]{0,62}))?\Z")
_ABOUT: Final = re.compile(re.escape(WELL_KNOWN.encode()) + rb"(/mcp(?:/[a-z0-9][a-z0-9-]{0,62})?)?\Z")
_VERSION: Final = "mcp-protocol-version"


def agents_door(backend: Backend, settings: DoorSettings, hub: Hub | None = None) -> App:
    """The ASGI application that serves agents over MCP; the sessions of legacy clients live in it. `hub` is told what
    servers say beside their answers; without one, nobody hears that.
    """
    return _Door(backend, settings, hub or Hub())


class _Door:
    def __init__(self, backend: Backend, settings: DoorSettings, hub: Hub) -> None:
        self._backend = backend
        self._settings = settings
        self._sessions = Sessions()
        self._methods = Methods(backend, self._sessions, hub=hub, renderer=Renderer(settings.version))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream = Stream(send, accepted=False)
        try:
            with _NothingUnforeseen(500):
                response = await self._respond(scope, receive, stream)
        except Gone:
            return
        except Fault as fault:
            response = await self._refused(fault)
        except BaseException:
            stream.abandon()
            raise
        await stream.finish(response)

    async def _respond(self, scope: Scope, receive: Receive, stream: Stream) -> Response:
        headers = headers_of(scope)
        path: bytes = scope["raw_path"]
        found = _ENDPOINT.match(path)
        url = self._settings.public_url + path.decode() if found else ""
        try:
            allowed(headers.get("host"), headers.get("origin"), site=self._settings.site)
            if found is None:
                return self._document(scope["method"], path)
            endpoint = Endpoint(found[1].decode() if found[1] else None, url)
            return await self._endpoint(scope, headers, at=_At(endpoint, receive, scope["extensions"][LEFT], stream))
        except Denied as no:
            raise _closed(no, url) from no

    def _document(self, method: str, path: bytes) -> Response:
        """What anyone may read: how to sign in, the keys that sign, whether the gateway runs."""
        if method == "GET" and (about := _ABOUT.match(path)):
            endpoint = self._settings.public_url + (about[1] or b"/mcp").decode()
            return _json(metadata(endpoint, self._settings.authorization_servers))
        if method == "GET" and path == b"/.well-known/jwks.json":
            return _json(self._backend.jwks())
        return _json({"status": "ok"}) if method == "GET" and path == b"/healthz" else Response(status=404)

    async def _endpoint(self, scope: Scope, headers: dict[str, str], *, at: "_At") -> Response:
        endpoint, receive, _, stream = at
        if scope["method"] not in {"POST", "GET", "DELETE"}:
            return Response(status=405, headers=((b"allow", b"POST, GET, DELETE"),))
        presented = [headers["authorization"]] if "authorization" in headers else []
        token = bearer(presented, scope["query_string"].decode("latin-1"))
        principal = await self._backend.authenticate(token, endpoint.url)
        with _SentBy(principal):
            if scope["query_string"]:
                raise Fault(400, Code.INVALID_REQUEST, message="the endpoint takes no query")
            if scope["method"] == "DELETE":
                wanted = headers.get("mcp-session-id")
                self._sessions.close(principal, self._sessions.find(principal, endpoint.connector, session_id=wanted))
                return Response(status=204)
            if scope["method"] == "GET":
                return await self._listened(headers, sender=_Sender(principal, token, endpoint), at=at)
            stream.accepted = check_media(headers)
            message = read(await read_body(headers, receive))
            if isinstance(message, Answered):
                return await self._answered(message, headers, sender=_Sender(principal, token, endpoint))
        request = Request(
            message=message,
            headers=headers,
            endpoint=endpoint,
            principal=principal,
            token=token,
            left=at.left,
            stream=stream,
            modern=_is_modern(message, headers),
        )
        return await self._answer(request)

    async def _answer(self, request: Request) -> Response:
        try:
            with _NothingUnforeseen(200), _SentBy(request.principal):
                return await (self._modern(request) if request.modern else self._legacy(request))
        except Fault as fault:
            return await self._refused(fault, request.message)

    async def _modern(self, request: Request) -> Response:
        if request.message.id is not None:
            agreed(request.message, request.headers)
            return await self._methods.answer(request)
        # This wire defines no notification from a client; those in the field are taken and dropped.
        version = request.headers.get(_VERSION, "")
        if version not in SERVED:
            raise unsupported(version)
        return Response(status=202)

    async def _listened(self, headers: dict[str, str], *, sender: "_Sender", at: "_At") -> Response:
        """A client of the session wire opens its stream for what is about no call."""
        wanted = headers.get("mcp-session-id")
        session = self._sessions.find(sender.principal, sender.endpoint.connector, session_id=wanted)
        at.stream.accepted = True
        request = Request(
            message=Message(method="GET"),
            headers=headers,
            endpoint=sender.endpoint,
            principal=sender.principal,
            token=sender.token,
            left=at.left,
            stream=at.stream,
            session=session,
        )
        return await self._methods.listens.session(request)

    async def _answered(self, answered: Answered, headers: dict[str, str], *, sender: "_Sender") -> Response:
        """A client of the session wire answers a request of ours; it becomes a call where it is waited for."""
        wanted = headers.get("mcp-session-id")
        session = self._sessions.find(sender.principal, sender.endpoint.connector, session_id=wanted)
        if not session.answered(answered.id, Given(answered.answer, sender.token)):
            await self._backend.refused(Reason.CALL_ANSWER, "nobody asked", who=sender.principal)
        return Response(status=202)

    async def _legacy(self, request: Request) -> Response:
        message = request.message
        if message.method == "initialize" and message.id is not None:
            return await self._methods.answer(request)
        wanted = request.headers.get("mcp-session-id")
        session = self._sessions.find(request.principal, request.endpoint.connector, session_id=wanted)
        # Absent is allowed: the session knows what was agreed.
        if request.headers.get(_VERSION, session.revision) != session.revision:
            raise Fault(400, Code.INVALID_REQUEST, message=f"this session speaks `{session.revision}`")
        if message.id is None:
            return await self._notified(request, session)
        try:
            return await self._methods.answer(msgspec.structs.replace(request, session=session))
        except Fault as fault:
            # Legacy clients take a 4xx for the end of the session; this is only about one request in it.
            fault.status = 200
            raise

    async def _notified(self, request: Request, session: Session) -> Response:
        """A notification is never answered, so one that is not served is counted and dropped."""
        message = request.message
        if message.method == "notifications/cancelled":
            call = (message.params or {}).get("requestId")
            if isinstance(call, str | int):
                session.cancel(call)
        elif message.method != "notifications/initialized":
            await self._backend.refused(Reason.CALL_METHOD, f"`{message.method[:80]}`", who=request.principal)
        return Response(status=202)

    async def _refused(self, fault: Fault, message: Message | None = None) -> Response:
        await self._backend.refused(fault.reason, fault.message, who=fault.who)
        return fault.response(message.id if message else None)


class _At(NamedTuple):
    """Where a request came in, and its two directions."""

    endpoint: Endpoint
    receive: Receive
    left: Left
    stream: Stream


class _Sender(NamedTuple):
    """Who posted something, with which token, where."""

    principal: Principal
    token: str | None
    endpoint: Endpoint


class _NothingUnforeseen:
    """Nothing unforeseen passes as an answer, or takes the connection down with it: it is a `Fault` like any other."""

    def __init__(self, status: int) -> None:
        self._status = status

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if not isinstance(error, Exception) or isinstance(error, Fault | Denied | Gone):
            return
        _LOG.error("a request failed", exc_info=error)
        message = "the gateway failed while handling this request; check before repeating it"
        raise Fault(self._status, Code.INTERNAL_ERROR, message=message) from error


class _SentBy:
    """What is refused in here goes on record under the sender's name."""

    def __init__(self, who: Principal) -> None:
        self._who = who

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, Fault):
            error.who = self._who


def _closed(no: Denied, url: str) -> Fault:
    """How the transport says no: 403 to a foreign host or origin, 401 to a token, 503 while nobody can be known."""
    words = WORDS[no.reason].text
    if no.reason is Reason.IDENTITY_ORIGIN:
        return Fault(403, Code.REFUSED, message=words, reason=no.reason)
    if no.reason not in UNAUTHENTICATED:
        return Fault(503, Code.REFUSED, message=words, reason=no.reason)
    fault = Fault(401, Code.UNAUTHENTICATED, message=words, reason=no.reason)
    fault.headers = ((b"www-authenticate", challenge(url, no.reason).encode()),)
    return fault


def _is_modern(message: Message, headers: dict[str, str]) -> bool:
    """A request is modern when header or body says so; any revision but those with a handshake is."""
    version = headers.get(_VERSION)
    return Meta.VERSION in message.meta or (version is not None and version not in HANDSHAKE)


def _json(value: Any) -> Response:
    return Response(body=msgspec.json.encode(value), headers=((b"cache-control", b"no-store"),))
