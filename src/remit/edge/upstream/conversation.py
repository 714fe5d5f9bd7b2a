"""One conversation with one server, in whichever generation of the protocol it speaks.

Opening asks `server/discover` first and falls back to `initialize`, as the specification tells clients of both
generations to; which one answered is what the conversation speaks from then on.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from remit.catalogue.model import Contract
from remit.edge.upstream.message import METHOD_NOT_FOUND, Answer, Request, not_mcp
from remit.edge.upstream.params import CLIENT, LEGACY, MODERN, SERVER_INFO, call_params, own_params
from remit.edge.upstream.wire import Wire
from remit.errors import UpstreamFault
from remit.forward.model import Outgoing, Reply

PROBE_S: Final = 10.0
OPENING_S: Final = 20.0
LISTING_S: Final = 20.0
_NAME_CHARS_MAX: Final = 64
_T = TypeVar("_T")


class Server(Struct, frozen=True, kw_only=True):
    """What a server says of itself as the conversation opens. Untrusted, like everything it says."""

    revision: str
    name: str = ""
    version: str = ""
    instructions: str | None = None
    capabilities: Mapping[str, Any] = {}

    @property
    def label(self) -> str:
        """`name version revision`, cut to what fits a receipt."""
        return " ".join(_printable(part) or "-" for part in (self.name, self.version, self.revision))


class _Info(Struct, frozen=True):
    name: str = ""
    version: str = ""


class _Discovered(Struct, rename="camel"):
    supported_versions: list[str]
    capabilities: dict[str, Any] = {}
    instructions: str | None = None
    meta: dict[str, Any] = msgspec.field(name="_meta", default_factory=dict)


class _Initialized(Struct, rename="camel"):
    protocol_version: str
    capabilities: dict[str, Any] = {}
    server_info: _Info = _Info()
    instructions: str | None = None


class Conversation:
    """Calls and questions to one server. Faults of both are the wire's."""

    def __init__(self, wire: Wire, server: Server) -> None:
        self._wire = wire
        self.server = server
        self._label = server.label

    @property
    def alive(self) -> bool:
        return self._wire.alive

    async def call(self, outgoing: Outgoing, contract: Contract) -> Reply:
        """Put one governed call on the wire, once; the first byte may be written before anything is awaited."""
        answer = await self._wire.exchange(
            Request(
                method=outgoing.method,
                params=call_params(outgoing, self.server.revision),
                timeout_s=outgoing.timeout_s,
                outgoing=outgoing,
                contract=contract,
            )
        )
        error = None if answer.error is None else (answer.error.code, answer.error.message)
        return Reply(result=answer.result, error=error, received=answer.received, upstream=self._label)

    async def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Raw] | None:
        """The members of the result of a question of our own; None if the server knows no such method."""
        written = own_params(params, self.server.revision)
        answer = await self._wire.exchange(Request(method=method, params=written, timeout_s=LISTING_S))
        if answer.error is not None and answer.error.code == METHOD_NOT_FOUND:
            return None
        return _result(answer, dict[str, Raw])

    async def close(self) -> None:
        await self._wire.close()


async def opened(wire: Wire, *, legacy_first: bool = False) -> Conversation:
    """Find out which generation the server speaks, and open a conversation in it. Raises `UpstreamFault`.

    `legacy_first` begins with the handshake: the last conversation with this server was of the older generation.
    """
    if legacy_first:
        try:
            return await by_handshake(wire)
        except UpstreamFault as e:
            if e.why != "protocol":
                raise
    return Conversation(wire, await _discovered(wire) or await _initialized(wire))


async def by_handshake(wire: Wire) -> Conversation:
    """Open a conversation in the older generation, the only one there is on some lines. Raises `UpstreamFault`."""
    return Conversation(wire, await _initialized(wire))


async def _discovered(wire: Wire) -> Server | None:
    """What a modern server says of itself, or None for any answer, or silence, that is not a modern server's."""
    wire.speak(MODERN)
    try:
        answer = await wire.exchange(
            Request(method="server/discover", params=own_params({}, MODERN), timeout_s=PROBE_S)
        )
        said = _result(answer, _Discovered)
        info = msgspec.convert(said.meta.get(SERVER_INFO, {}), _Info)
    except UpstreamFault as e:
        if e.why in ("protocol", "timeout"):
            return None
        raise
    except msgspec.ValidationError:
        return None
    if MODERN not in said.supported_versions:
        return None
    return Server(
        revision=MODERN,
        name=info.name,
        version=info.version,
        instructions=said.instructions,
        capabilities=said.capabilities,
    )


async def _initialized(wire: Wire) -> Server:
    wire.speak(LEGACY[0])
    offer = {"protocolVersion": LEGACY[0], "capabilities": {}, "clientInfo": CLIENT}
    params = own_params(offer, LEGACY[0])
    said = _result(await wire.exchange(Request(method="initialize", params=params, timeout_s=OPENING_S)), _Initialized)
    if said.protocol_version not in LEGACY:
        raise not_mcp(f"the tool server speaks an unknown revision, `{said.protocol_version[:40]}`")
    wire.speak(said.protocol_version)
    await wire.notify("notifications/initialized")
    return Server(
        revision=said.protocol_version,
        name=said.server_info.name,
        version=said.server_info.version,
        instructions=said.instructions,
        capabilities=said.capabilities,
    )


def _result(answer: Answer, shape: type[_T]) -> _T:
    if answer.result is None:
        raise not_mcp(f"the tool server answered with error {answer.error.code}" if answer.error else "too large")
    try:
        return msgspec.json.decode(answer.result, type=shape)
    except (msgspec.DecodeError, RecursionError) as e:
        raise not_mcp("the tool server's answer is not of its method's shape") from e


def _printable(text: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text[:_NAME_CHARS_MAX]).replace(" ", "_")
