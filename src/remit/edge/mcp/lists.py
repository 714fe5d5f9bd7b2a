"""Lists: the pinned copies within the caller's reach, in one order, page by page.

A cursor is opaque and holds: the same caller's same list at the same state. When what is listed has changed in
between, the cursor no longer fits and the client starts over, so no page is ever of another list than the first.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from remit.answer import Refusal
from remit.catalogue.model import Contract, ContractKind
from remit.edge.mcp.backend import Backend
from remit.edge.mcp.render import Renderer
from remit.edge.mcp.replies import complete, refused
from remit.edge.mcp.request import Request
from remit.edge.mcp.rpc import Fault, Response
from remit.edge.mcp.wire import Code
from remit.limits import LIST_PAGE_BYTES, LIST_PAGE_ITEMS, LIST_TTL_MS

_TAG_BYTES: Final = 16
_OFFSET_BYTES: Final = 4


class Listing(Struct, frozen=True):
    """A list method: the kind of contract it shows and the result's member that holds them."""

    kind: ContractKind
    member: str


LISTINGS: Final = {
    "tools/list": Listing("tool", "tools"),
    "prompts/list": Listing("prompt", "prompts"),
    "resources/list": Listing("resource", "resources"),
    "resources/templates/list": Listing("template", "resourceTemplates"),
}


class Pager:
    """Cuts lists into pages. Its key lives as long as the process; a cursor from before a restart starts over."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def page(self, contracts: Sequence[Contract], cursor: Any, *, caller: str, prefixed: bool) -> tuple[list[Raw], str]:
        """The page a cursor (None: the first) stands for, and the next cursor, empty at the end. Raises `Fault`."""
        ordered = sorted(contracts, key=lambda contract: (contract.connector, contract.name))
        about = _about(ordered, caller)
        start = self._offset(cursor, about)
        items: list[Raw] = []
        size = 0
        for contract in ordered[start : start + LIST_PAGE_ITEMS]:
            item = msgspec.json.encode(_shown(contract, prefixed=prefixed))
            size += len(item)
            if items and size > LIST_PAGE_BYTES:
                break
            items.append(Raw(item))
        after = start + len(items)
        return items, self._cursor(after, about) if after < len(ordered) else ""

    def _cursor(self, offset: int, about: bytes) -> str:
        position = offset.to_bytes(_OFFSET_BYTES, "big")
        return base64.urlsafe_b64encode(position + self._tag(position, about)).decode()

    def _offset(self, cursor: Any, about: bytes) -> int:
        if cursor is None:
            return 0
        try:
            data = base64.b64decode(cursor if isinstance(cursor, str) else "", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            data = b""
        position, tag = data[:_OFFSET_BYTES], data[_OFFSET_BYTES:]
        if not hmac.compare_digest(tag, self._tag(position, about)):
            raise Fault(400, Code.INVALID_PARAMS, message="the cursor does not fit this list; start again without one")
        return int.from_bytes(position, "big")

    def _tag(self, position: bytes, about: bytes) -> bytes:
        return hmac.digest(self._key, position + about, "sha256")[:_TAG_BYTES]


class Lists:
    """Serves the list methods over one backend."""

    def __init__(self, backend: Backend, renderer: Renderer) -> None:
        self._backend = backend
        self._render = renderer
        self._pager = Pager()

    async def answer(self, request: Request) -> Response:
        """One page of one list, or `Fault`."""
        if request.session is not None and request.stream.accepted:
            # Clients of the older generation are used to streams, and some count on them.
            request.stream.open()
        params = request.message.params or {}
        unknown = params.keys() - {"cursor", "_meta"}
        if unknown:
            raise Fault(400, Code.INVALID_PARAMS, message=f"unknown member `{min(unknown)[:80]}` of params")
        listing = LISTINGS[request.message.method]
        found = await self._backend.listed(request.ask(), listing.kind)
        if isinstance(found, Refusal):
            return refused(request, found, render=self._render)
        items, after = self._pager.page(
            found, params.get("cursor"), caller=request.principal.id, prefixed=request.endpoint.connector is None
        )
        members: dict[str, Any] = {listing.member: items} | ({"nextCursor": after} if after else {})
        return complete(request, members, render=self._render, ttl_ms=LIST_TTL_MS)


def _about(ordered: Sequence[Contract], caller: str) -> bytes:
    """What a cursor is bound to: the caller and the list, contract by contract."""
    return hashlib.sha256(
        msgspec.json.encode([caller, [(one.connector, one.kind, one.name, one.digest) for one in ordered]])
    ).digest()


def _shown(contract: Contract, *, prefixed: bool) -> dict[str, Any]:
    shown = dict(contract.body)
    if prefixed:
        shown["name"] = f"{contract.connector}/{contract.name}"
    return shown
