"""The agents' door, as an ASGI application.

In this order, for every request: where (unknown paths are 404), host and origin (403), who (401, before the body is
read), what (strict JSON-RPC), in which revision; only then the method. Decisions are made on the body. Anything
that goes wrong ends as a refusal in the client's protocol; nothing of a request is trusted from an earlier one.

Whether a connector exists is not told here: a well-formed name that no connector has is answered like one out of
the caller's reach.
"""

import logging
import re
from typing import Any, Final

import msgspec

from remit.edge.mcp.agreement import agreed, unsupported
from remit.edge.mcp.backend import Backend, DoorSettings
from remit.edge.mcp.exchange import App, Gone, Receive, Scope, Send, check_media, headers_of, read_body, respond
from remit.edge.mcp.guard import Guard
from remit.edge.mcp.methods import Methods
from remit.edge.mcp.render import Renderer
from remit.edge.mcp.request import Endpoint, Request
from remit.edge.mcp.rpc import Fault, Message, Response, error, read
from remit.edge.mcp.sessions import Session, Sessions
from remit.edge.mcp.wire import HANDSHAKE, INTERNAL_ERROR, INVALID_REQUEST, META_VERSION, SERVED
from remit.reasons import Denied, Reason

_LOG: Final = logging.getLogger(__name__)
# Over the path as it was sent: an encoded slash, dot segment or capital is no name.
_ENDPOINT: Final = re.compile(rb"/mcp(?:/([a-z0-9][a-z0-9-]{0,62}))?\Z")
_ABOUT: Final = re.compile(rb"/\.well-known/oauth-protected-resource(/mcp(?:/[a-z0-9][a-z0-9-]{0,62})?)?\Z")
_VERSION: Final = "mcp-protocol-version"
_FAILED: Final = "the gateway failed while handling this request; check before repeating it"


def agents_door(backend: Backend, settings: DoorSettings) -> App:
    """The ASGI application that serves agents over MCP; the sessions of legacy clients live in it."""
    return _Door(backend, settings)


class _Door:
    def __init__(self, backend: Backend, settings: DoorSettings) -> None:
        self._backend = backend
        self._guard = Guard(settings)
        self._sessions = Sessions()
        self._methods = Methods(backend, self._sessions, Renderer(settings.version))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._respond(scope, receive)
        except Gone:
            return
        except Fault as fault:
            self._backend.noise(fault.reason)
            response = fault.response()
        except Exception:
            # Nothing unforeseen may pass as an answer, or take the connection down with it.
            _LOG.exception("a request failed")
            response = Response(status=500, body=error(None, INTERNAL_ERROR, _FAILED))
        await respond(send, response)

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        headers = headers_of(scope)
        self._guard.check_surroundings(headers)
        path: bytes = scope["raw_path"]
        if found := _ENDPOINT.match(path):
            connector = found[1].decode() if found[1] else None
            return await self._endpoint(scope, headers, receive, Endpoint(connector, self._guard.url(path.decode())))
        if scope["method"] != "GET":
            return _not_here(404)
        if found := _ABOUT.match(path):
            return _document(self._guard.metadata((found[1] or b"/mcp").decode()))
        if path == b"/.well-known/jwks.json":
            return _document(self._backend.jwks())
        return _document({"status": "ok"}) if path == b"/healthz" else _not_here(404)

    async def _endpoint(self, scope: Scope, headers: dict[str, str], receive: Receive, endpoint: Endpoint) -> Response:
        method = scope["method"]
        if method not in {"POST", "DELETE"}:
            # GET would open a stream of the server's own messages: none are sent.
            return _not_here(405, (b"allow", b"POST, DELETE"))
        if scope["query_string"]:
            raise Fault(400, INVALID_REQUEST, "the endpoint takes no query; a token belongs into `Authorization`")
        try:
            token = self._guard.token(headers)
            principal = await self._backend.authenticate(token, endpoint.url)
            if method == "DELETE":
                session = self._sessions.find(principal, endpoint.connector, headers.get("mcp-session-id"))
                self._sessions.close(principal, session)
                return Response(status=204)
            check_media(headers)
            message = read(await read_body(headers, receive))
            request = Request(
                message=message,
                headers=headers,
                endpoint=endpoint,
                principal=principal,
                token=token,
                receive=receive,
                modern=_is_modern(message, headers),
            )
            return await self._dispatch(request)
        except Denied as no:
            raise self._guard.challenge(no, endpoint.url) from no

    async def _dispatch(self, request: Request) -> Response:
        message = request.message
        try:
            return await (self._modern(request) if request.modern else self._legacy(request))
        except Fault as fault:
            self._backend.noise(fault.reason)
            return fault.response(message.id)
        except Denied:
            raise
        except Exception:
            _LOG.exception("a request failed")
            return Response(body=error(message.id, INTERNAL_ERROR, _FAILED))

    async def _modern(self, request: Request) -> Response:
        if request.message.id is not None:
            agreed(request.message, request.headers)
            return await self._methods.answer(request)
        # This wire defines no notification from a client; those in the field are taken and dropped.
        version = request.headers.get(_VERSION, "")
        if version not in SERVED:
            raise unsupported(version)
        return Response(status=202)

    async def _legacy(self, request: Request) -> Response:
        message = request.message
        if message.method == "initialize" and message.id is not None:
            return await self._in_session(request)
        wanted = request.headers.get("mcp-session-id")
        session = self._sessions.find(request.principal, request.endpoint.connector, wanted)
        # Absent is allowed: the session knows what was agreed.
        if request.headers.get(_VERSION, session.revision) != session.revision:
            raise Fault(400, INVALID_REQUEST, f"this session speaks `{session.revision}`")
        if message.id is None:
            return self._notified(message, session)
        return await self._in_session(msgspec.structs.replace(request, session=session))

    async def _in_session(self, request: Request) -> Response:
        """Legacy clients take a 4xx for the end of the session, so what is wrong with one request is told with 200."""
        try:
            return await self._methods.answer(request)
        except Fault as fault:
            if request.session is not None:
                fault.status = 200
            raise

    def _notified(self, message: Message, session: Session) -> Response:
        """A notification is never answered, so one that is not served is counted and dropped."""
        if message.method == "notifications/cancelled":
            call = (message.params or {}).get("requestId")
            if isinstance(call, str | int):
                session.cancel(call)
        elif message.method != "notifications/initialized":
            self._backend.noise(Reason.CALL_METHOD)
        return Response(status=202)


def _is_modern(message: Message, headers: dict[str, str]) -> bool:
    """A request is modern when header or body says so; any revision but those with a handshake is."""
    version = headers.get(_VERSION)
    return META_VERSION in message.meta or (version is not None and version not in HANDSHAKE)


def _document(value: Any) -> Response:
    return Response(body=msgspec.json.encode(value), headers=((b"cache-control", b"no-store"),))


def _not_here(status: int, *headers: tuple[bytes, bytes]) -> Response:
    return Response(status=status, headers=headers)
