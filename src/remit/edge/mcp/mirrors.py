"""Arguments that a client repeats in headers, held against those of the body (MCP 2026-07-28, custom headers)."""

from typing import Any

from remit.answer import Refusal
from remit.edge.mcp.agreement import Mirrored, agrees, mirrored_by
from remit.edge.mcp.backend import Backend
from remit.edge.mcp.request import Request
from remit.limits import CONTRACTS_PER_CONNECTOR_MAX


class Mirrors:
    """Knows which arguments of a pinned tool are repeated; worked out once per contract."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._known: dict[str, tuple[Mirrored, ...]] = {}

    async def check(self, request: Request) -> None:
        """`Mcp-Param-*` against the arguments, only for a tool the caller can see: the check must not tell more."""
        params = request.message.params or {}
        name, arguments = params.get("name"), params.get("arguments") or {}
        if not isinstance(name, str) or not isinstance(arguments, dict):
            return
        connector = request.endpoint.connector
        if connector is None:
            connector, _, name = name.partition("/")
        contract = self._backend.tool(connector, name)
        if contract is None or not (mirrored := self._of(contract.digest, contract.body.get("inputSchema"))):
            return
        found = await self._backend.listed(request.ask(), "tool")
        if not isinstance(found, Refusal) and any(one.digest == contract.digest for one in found):
            agrees(mirrored, arguments, headers=request.headers)

    def _of(self, digest: str, schema: Any) -> tuple[Mirrored, ...]:
        found = self._known.get(digest)
        if found is None:
            if len(self._known) >= CONTRACTS_PER_CONNECTOR_MAX:
                self._known.clear()
            found = self._known[digest] = mirrored_by(schema)
        return found
