"""What a server offers, asked page by page: untrusted text, read to a bound and held to its digest.

An object that is no contract (too large, without a name, without a canonical form) is left out and logged: it cannot
be pinned, so it cannot be called. A server that offers too much, or one name twice, is refused as a whole.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw

from remit.canonical import parse
from remit.catalogue import contract_of
from remit.catalogue.model import Contract, ContractKind
from remit.edge.upstream.conversation import Conversation
from remit.edge.upstream.wire import timed_out
from remit.errors import UpstreamFault
from remit.limits import CONTRACT_BYTES_MAX, CONTRACTS_PER_CONNECTOR_MAX, RESULT_BYTES_MAX
from remit.reasons import Denied

_log: Final = logging.getLogger("remit.upstream")

# The name of every `server` contract: what a server calls itself is part of the body, where a change shows.
SERVER: Final = "server"

# A page may take `LISTING_S`, and there is no end to pages: calls and everybody's drift check wait for the whole of it.
OFFERED_S: Final = 60.0


class _List(NamedTuple):
    capability: str
    method: str
    member: str
    kind: ContractKind
    name: str


_LISTS: Final = (
    _List("tools", "tools/list", "tools", "tool", "name"),
    _List("prompts", "prompts/list", "prompts", "prompt", "name"),
    _List("resources", "resources/list", "resources", "resource", "uri"),
    _List("resources", "resources/templates/list", "resourceTemplates", "template", "uriTemplate"),
)


async def offered(
    conversation: Conversation, connector: str, *, origin: Mapping[str, Any] | None
) -> tuple[Contract, ...]:
    """Everything the server advertises now, its own contract first. Raises `UpstreamFault`.

    `origin` is what a stdio server is made of. Capabilities are not part of the server's contract: one server states
    them differently in the two generations of the protocol. All of it has to be said within `OFFERED_S`.
    """
    try:
        async with asyncio.timeout(OFFERED_S):
            return await _offered(conversation, connector, origin=origin)
    except TimeoutError as e:
        raise timed_out(OFFERED_S, sent=False) from e


async def _offered(
    conversation: Conversation, connector: str, *, origin: Mapping[str, Any] | None
) -> tuple[Contract, ...]:
    server = conversation.server
    said = {"serverInfo": {"name": server.name, "version": server.version}, "instructions": server.instructions}
    body = {**said, "process": origin} if origin is not None else said
    found = {("server", SERVER): contract_of(connector, "server", name=SERVER, body=body)}
    read = 0
    for one in _LISTS:
        if one.capability not in server.capabilities:
            continue
        async for item in _items(conversation, one):
            read += len(memoryview(item))
            contract = _contract(one, item, connector=connector)
            if contract is None:
                continue
            if (contract.kind, contract.name) in found:
                raise UpstreamFault(f"`{connector}` offers two {one.member} of one name", sent=False)
            found[contract.kind, contract.name] = contract
            if len(found) > CONTRACTS_PER_CONNECTOR_MAX or read > RESULT_BYTES_MAX:
                raise UpstreamFault(f"`{connector}` offers more than is read", sent=False)
    return tuple(found.values())


async def _items(conversation: Conversation, one: _List) -> AsyncIterator[Raw]:
    cursor: str | None = None
    seen: set[str] = set()
    while True:
        page = await conversation.ask(one.method, {"cursor": cursor} if cursor is not None else {})
        if page is None:
            return
        try:
            items = msgspec.json.decode(page.get(one.member, b"null"), type=list[Raw])
            cursor = msgspec.json.decode(page.get("nextCursor", b"null"), type=str | None)
        except msgspec.DecodeError as e:
            raise UpstreamFault(f"the answer to `{one.method}` is not a list", sent=False, why="protocol") from e
        for item in items:
            yield item
        if cursor is None:
            return
        if cursor in seen:
            raise UpstreamFault(f"the answer to `{one.method}` never ends", sent=False, why="protocol")
        seen.add(cursor)


def _contract(one: _List, item: Raw, *, connector: str) -> Contract | None:
    try:
        body = parse(bytes(item), CONTRACT_BYTES_MAX)
        name = body.get(one.name) if isinstance(body, dict) else None
        return contract_of(connector, one.kind, name=name if isinstance(name, str) else "", body=body)
    except (Denied, UpstreamFault) as e:
        _log.warning("`%s` offers something in %s that is left out: %s", connector, one.member, e)
        return None
