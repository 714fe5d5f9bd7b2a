"""One authenticated request or message at one endpoint, in the generation of the protocol it is of.

A modern request says all of itself. A legacy one belongs to a session, which is looked for only among the caller's own;
besides requests, a session takes notifications, answers to what was asked of it, and one stream to listen on.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from remit.edge.mcp.agreement import agreed, unsupported
from remit.edge.mcp.backend import Backend
from remit.edge.mcp.hub import Hub
from remit.edge.mcp.leaving import LEFT
from remit.edge.mcp.methods import Methods
from remit.edge.mcp.request import Endpoint, Request
from remit.edge.mcp.rpc import Answered, Fault, Message, Response
from remit.edge.mcp.sessions import Given, Session, Sessions
from remit.edge.mcp.stream import Stream
from remit.edge.mcp.wire import HANDSHAKE, SERVED, Code, Meta
from remit.identity.model import Principal
from remit.reasons import Reason

_VERSION: Final = "mcp-protocol-version"
_SESSION: Final = "mcp-session-id"


class Sent(NamedTuple):
    """Who sent something, with which token, where, under which headers, and the way back to them. `extensions` are
    what the server gave with the request.
    """

    principal: Principal
    token: str | None
    endpoint: Endpoint
    headers: dict[str, str]
    extensions: Mapping[str, Any]
    stream: Stream


class Turns:
    """Serves both generations over one backend; the sessions of legacy clients live in it."""

    def __init__(self, backend: Backend, *, hub: Hub, version: str) -> None:
        self._backend = backend
        self._sessions = Sessions()
        self._methods = Methods(backend, self._sessions, hub=hub, version=version)

    async def answer(self, request: Request) -> Response:
        """The answer to a request or notification. Raises `Fault`, `Denied`."""
        return await (self._modern(request) if request.modern else self._legacy(request))

    async def answered(self, answered: Answered, sent: Sent) -> Response:
        """A client of the session wire answers a request of ours; it becomes a call where it is waited for."""
        session = self._session(sent)
        if not session.answered(answered.id, Given(answered.answer, sent.token)):
            await self._backend.refused(Reason.CALL_ANSWER, "nobody asked", who=sent.principal)
        return Response(status=202)

    async def listened(self, sent: Sent) -> Response:
        """A client of the session wire opens its stream for what is about no call."""
        sent.stream.accepted = True
        return await self._methods.listens.session(request_of(Message(method="GET"), sent, session=self._session(sent)))

    def ended(self, sent: Sent) -> Response:
        """A client ends its session."""
        self._sessions.close(sent.principal, self._session(sent))
        return Response(status=204)

    def _session(self, sent: Sent) -> Session:
        wanted = sent.headers.get(_SESSION)
        return self._sessions.find(sent.principal, sent.endpoint.connector, session_id=wanted)

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
            return await self._methods.answer(request)
        wanted = request.headers.get(_SESSION)
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


def request_of(message: Message, sent: Sent, *, session: Session | None = None) -> Request:
    """A message as the methods see it."""
    return Request(
        message=message,
        headers=sent.headers,
        endpoint=sent.endpoint,
        principal=sent.principal,
        token=sent.token,
        left=sent.extensions[LEFT],
        stream=sent.stream,
        session=session,
        modern=session is None and _is_modern(message, sent.headers),
    )


def _is_modern(message: Message, headers: dict[str, str]) -> bool:
    """A request is modern when header or body says so; any revision but those with a handshake is."""
    version = headers.get(_VERSION)
    return Meta.VERSION in message.meta or (version is not None and version not in HANDSHAKE)
