"""The agents' door, as an ASGI application.

In this order, for every request: host and origin (403), where (unknown paths are 404), who (401, before the body is
read), what (strict JSON-RPC), in which revision; only then the method. Decisions are made on the body. Anything
that goes wrong ends as a refusal in the client's protocol; nothing of a request is trusted from an earlier one.

Whether a connector exists is not told here: a well-formed name that no connector has is answered like one out of
the caller's reach.
"""

import logging
import re
from typing import Any, Final

import msgspec

from remit.edge.mcp.backend import Backend, DoorSettings
from remit.edge.mcp.exchange import App, Gone, Receive, Scope, Send, check_media, headers_of, read_body
from remit.edge.mcp.hub import Hub
from remit.edge.mcp.replies import closed
from remit.edge.mcp.request import Endpoint, Request
from remit.edge.mcp.rpc import Answered, Fault, Message, Response, read
from remit.edge.mcp.stream import Stream
from remit.edge.mcp.turns import Sent, Turns, request_of
from remit.edge.mcp.wire import Code
from remit.identity.model import Principal
from remit.identity.resource import WELL_KNOWN, allowed, bearer, metadata
from remit.reasons import Denied

_LOG: Final = logging.getLogger(__name__)
# Over the path as it was sent: an encoded slash, dot segment or capital is no name.
_ENDPOINT: Final = re.compile(rb"/mcp(?:/([a-z0-9][a-z0-9-]{0,62}))?\Z")
_ABOUT: Final = re.compile(re.escape(WELL_KNOWN.encode()) + rb"(/mcp(?:/[a-z0-9][a-z0-9-]{0,62})?)?\Z")


def agents_door(backend: Backend, settings: DoorSettings, *, hub: Hub | None = None) -> App:
    """The ASGI application that serves agents over MCP. `hub` is told what servers say beside their answers; without
    one, nobody hears that.
    """
    return _Door(backend, settings, hub=hub or Hub())


class _Door:
    def __init__(self, backend: Backend, settings: DoorSettings, *, hub: Hub) -> None:
        self._backend = backend
        self._settings = settings
        self._turns = Turns(backend, hub=hub, version=settings.version)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream = Stream(send, accepted=False)
        try:
            with _NothingUnforeseen(500):
                response = await self._respond(scope, receive, stream=stream)
        except Gone:
            return
        except Fault as fault:
            response = await self._refused(fault)
        except BaseException:
            stream.abandon()
            raise
        await stream.finish(response)

    async def _respond(self, scope: Scope, receive: Receive, *, stream: Stream) -> Response:
        headers = headers_of(scope)
        path: bytes = scope["raw_path"]
        found = _ENDPOINT.match(path)
        url = self._settings.public_url + path.decode() if found else ""
        try:
            allowed(headers.get("host"), headers.get("origin"), site=self._settings.site)
            if found is None:
                return self._document(scope["method"], path)
            if scope["method"] not in {"POST", "GET", "DELETE"}:
                return Response(status=405, headers=((b"allow", b"POST, GET, DELETE"),))
            endpoint = Endpoint(found[1].decode() if found[1] else None, url)
            presented = [headers["authorization"]] if "authorization" in headers else []
            token = bearer(presented, scope["query_string"].decode("latin-1"))
            principal = await self._backend.authenticate(token, url)
            sent = Sent(principal, token, endpoint, headers, scope["extensions"], stream)
            return await self._taken(sent, scope, receive=receive)
        except Denied as no:
            raise closed(no, url) from no

    def _document(self, method: str, path: bytes) -> Response:
        """What anyone may read: how to sign in, the keys that sign, whether the gateway runs."""
        if method == "GET" and (about := _ABOUT.match(path)):
            endpoint = self._settings.public_url + (about[1] or b"/mcp").decode()
            return _json(metadata(endpoint, self._settings.authorization_servers))
        if method == "GET" and path == b"/.well-known/jwks.json":
            return _json(self._backend.jwks())
        return _json({"status": "ok"}) if method == "GET" and path == b"/healthz" else Response(status=404)

    async def _taken(self, sent: Sent, scope: Scope, *, receive: Receive) -> Response:
        with _SentBy(sent.principal):
            if scope["query_string"]:
                raise Fault(400, Code.INVALID_REQUEST, message="the endpoint takes no query")
            if scope["method"] == "DELETE":
                return self._turns.ended(sent)
            if scope["method"] == "GET":
                return await self._turns.listened(sent)
            sent.stream.accepted = check_media(sent.headers)
            message = read(await read_body(sent.headers, receive))
            if isinstance(message, Answered):
                return await self._turns.answered(message, sent)
        return await self._answer(request_of(message, sent))

    async def _answer(self, request: Request) -> Response:
        try:
            with _NothingUnforeseen(200), _SentBy(request.principal):
                return await self._turns.answer(request)
        except Fault as fault:
            return await self._refused(fault, request.message)

    async def _refused(self, fault: Fault, message: Message | None = None) -> Response:
        await self._backend.refused(fault.reason, fault.message, who=fault.who)
        return fault.response(message.id if message else None)


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


def _json(value: Any) -> Response:
    return Response(body=msgspec.json.encode(value), headers=((b"cache-control", b"no-store"),))
