"""How client and gateway make themselves known: what is told of a connector, and what a session agrees on.

Of a connector nothing is told but what is relayed, and that only if something of it is within the caller's reach.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from remit.call import Client
from remit.edge.mcp.backend import Backend, reach
from remit.edge.mcp.render import Renderer
from remit.edge.mcp.replies import complete
from remit.edge.mcp.request import Request
from remit.edge.mcp.rpc import Fault, Response, result
from remit.edge.mcp.sessions import Sessions
from remit.edge.mcp.wire import LEGACY, SERVED, TASKS, Code
from remit.forward import askable
from remit.limits import LIST_TTL_MS
from remit.result import ASKS
from remit.result.note import LEVELS

_CHANGES: Final = {"listChanged": True}
_AGGREGATE: Final = "Tools and prompts are named `connector/name`. Resources are served at `/mcp/<connector>` only."


class Greeting:
    """Serves `server/discover`, `initialize` and what belongs to a session over one backend."""

    def __init__(self, backend: Backend, sessions: Sessions, *, renderer: Renderer) -> None:
        self._backend = backend
        self._sessions = sessions
        self._render = renderer

    async def discover(self, request: Request) -> Response:
        """What a modern client is told of the endpoint."""
        members = {"supportedVersions": SERVED, **await self._about(request)}
        return complete(request, members, render=self._render, ttl_ms=LIST_TTL_MS)

    async def initialize(self, request: Request) -> Response:
        """A new session, and what its client is told."""
        params = request.message.params or {}
        wanted = params.get("protocolVersion")
        shapes = isinstance(params.get("capabilities"), dict), isinstance(params.get("clientInfo"), dict)
        if not isinstance(wanted, str) or not all(shapes):
            raise Fault(
                400, Code.INVALID_PARAMS, message="`initialize` has `protocolVersion`, `capabilities` and `clientInfo`"
            )
        revision = wanted if wanted in LEGACY else LEGACY[0]
        most = self._backend.sessions_max(request.principal.name)
        session = self._sessions.open(request.principal, request.endpoint.connector, revision=revision, most=most)
        # Kept as long as the session, so only what is ever told of it.
        session.capabilities = askable(Client(capabilities=params["capabilities"]), ASKS.values()).capabilities
        # From here on the client has its name, under which its default task may be opened.
        about = await self._about(msgspec.structs.replace(request, session=session))
        members = {"protocolVersion": revision, "serverInfo": self._render.info, **about}
        body = result(request.message.id, members)
        return Response(body=body, headers=((b"mcp-session-id", session.id.encode()),))

    async def level(self, request: Request) -> Response:
        """Remembered here; a server learns of it with the next call."""
        level = (request.message.params or {}).get("level")
        if request.session is None or level not in LEVELS:
            raise Fault(400, Code.INVALID_PARAMS, message=f"`level` is one of {', '.join(LEVELS)}")
        request.session.level = level
        return complete(request, {}, render=self._render)

    async def ping(self, request: Request) -> Response:
        """That the gateway is there."""
        return complete(request, {}, render=self._render)

    async def _about(self, request: Request) -> dict[str, Any]:
        """What every caller is told; of a connector only if something of it is within reach."""
        connector = request.endpoint.connector
        if connector is None:
            return {"capabilities": dict.fromkeys(("tools", "prompts"), _CHANGES), "instructions": _AGGREGATE}
        if await reach(self._backend, request.ask()) is not True:
            return {"capabilities": _relayed(None)}
        about: dict[str, Any] = {"capabilities": _relayed(self._backend.capabilities(connector), modern=request.modern)}
        if instructions := self._backend.instructions(connector):
            about["instructions"] = instructions
        return about


def _relayed(offered: Mapping[str, Any] | None, *, modern: bool = False) -> dict[str, Any]:
    """Of what a server can do, what is relayed; while nobody has asked it, what every connector has here."""
    if offered is None:
        return {"tools": _CHANGES, "prompts": _CHANGES, "resources": _CHANGES}
    relayed: dict[str, Any] = {name: {} for name in ("completions", "logging") if name in offered}
    relayed |= {name: _CHANGES for name in ("tools", "prompts", "resources") if name in offered}
    resources = offered.get("resources")
    if isinstance(resources, Mapping) and resources.get("subscribe") is True:
        relayed["resources"] = {**_CHANGES, "subscribe": True}
    extensions = offered.get("extensions")
    if modern and isinstance(extensions, Mapping) and TASKS in extensions:
        relayed["extensions"] = {TASKS: {}}
    return relayed
