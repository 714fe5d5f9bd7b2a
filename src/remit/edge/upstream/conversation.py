"""One conversation with one server, in whichever generation of the protocol it speaks.

Opening asks `server/discover` first and falls back to `initialize`, as the specification tells clients of both
generations to; which one answered is what the conversation speaks from then on.
"""

import asyncio
import secrets
from collections.abc import Mapping
from itertools import count
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from remit.answer import ServerError
from remit.catalogue.model import Contract
from remit.edge.upstream.listening import Listening
from remit.edge.upstream.message import METHOD_NOT_FOUND, Answer, Request, Wrong, not_mcp
from remit.edge.upstream.params import CLIENT, LEGACY, MODERN, SERVER_INFO, call_params, own_params
from remit.edge.upstream.wire import Heard, Held, Wire
from remit.errors import UpstreamFault
from remit.forward.facts import Told
from remit.forward.model import Outgoing, Reply
from remit.limits import ANSWER_WAIT_S
from remit.reasons import Denied, Reason

PROBE_S: Final = 10.0
OPENING_S: Final = 20.0
LISTING_S: Final = 20.0
_NAME_CHARS_MAX: Final = 64
_ERROR_DATA_BYTES_MAX: Final = 64 * 1024
_UNSUPPORTED_VERSION: Final = -32022
_QUESTION: Final = "question"
HELD_MAX: Final = 64

Able = Mapping[str, Any]
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
    """Calls and questions to one server. Faults of both are the wire's.

    An exchange in which the server asked something is kept here, under a name nobody can guess, until the call that
    brings the answer takes it up; none is taken up twice. Each may keep a connection open, so there is a bound, beyond
    which the one that waits longest is given up.
    """

    def __init__(self, wire: Wire, server: Server) -> None:
        self._wire = wire
        self.server = server
        self._label = server.label
        self._tokens = count(1)
        self._held: dict[str, tuple[Held, asyncio.TimerHandle]] = {}
        self._level = ""
        self.listening = Listening(wire, revision=server.revision, capabilities=server.capabilities)

    @property
    def alive(self) -> bool:
        return self._wire.alive

    @property
    def waits(self) -> bool:
        """Whether the server waits for an answer to a question, or we for what it has to say."""
        return bool(self._held or self.listening)

    async def subscribed(self, outgoing: Outgoing, contract: Contract, *, heard: Heard, agent: str) -> Reply:
        """A governed call that begins or ends a subscription, whichever way the server's generation has for that. Where
        others of the same session want to hear of the resource too, ending one ends nothing at the server.
        """
        uri = outgoing.name
        if outgoing.method == "resources/unsubscribe":
            if self.listening.is_last(uri, agent):
                return await self._unsubscribed(outgoing, contract)
            return Reply(result=Raw(b"{}"), upstream=self._label)
        self.listening.may_want(uri)
        if self.server.revision == MODERN:
            refused = await self.listening.subscribe(uri, heard)
            reply = self._reply(refused) if refused else Reply(result=Raw(b"{}"), upstream=self._label)
        else:
            self._wire.attend()
            reply = await self.call(outgoing, contract, told=heard)
        if reply.error is None:
            self.listening.wants(uri, agent)
        return reply

    async def _unsubscribed(self, outgoing: Outgoing, contract: Contract) -> Reply:
        if self.server.revision != MODERN:
            return await self.call(outgoing, contract, told=_unheard)
        self.listening.unsubscribe(outgoing.name)
        return Reply(result=Raw(b"{}"), upstream=self._label)

    async def forget(self, uri: str, agent: str) -> None:
        """An agent wants to hear of a resource no more. Raises `UpstreamFault`."""
        if not self.listening.is_last(uri, agent):
            return
        if self.server.revision == MODERN:
            self.listening.unsubscribe(uri)
        else:
            await self.ask("resources/unsubscribe", {"uri": uri})

    async def call(self, outgoing: Outgoing, contract: Contract, *, told: Told, shared: bool = False) -> Reply:
        """Put one governed call on the wire, once; the first byte may be written before anything is awaited.

        `shared` says that others' calls go over the same line. Raises `Denied` for answers nobody waits for.
        """
        if outgoing.operation and self.server.revision != MODERN:
            raise Denied(Reason.CALL_OPERATION, "the tool server has none any more")
        await self._set_level(outgoing.client.log_level)
        token = next(self._tokens)
        request = Request(
            method=outgoing.method,
            params=call_params(outgoing, self.server.revision, token=token),
            timeout_s=outgoing.timeout_s,
            outgoing=outgoing,
            contract=contract,
            told=told,
            token=token,
            shared=shared,
        )
        if outgoing.held:
            held, answer = self._taken_up(outgoing)
            return self._reply(await held.answered(answer, request))
        if outgoing.answers is not None and self.server.revision != MODERN:
            raise Denied(Reason.CALL_ANSWER, "the tool server asked nothing")
        return self._reply(await self._wire.exchange(request))

    def _reply(self, answer: Answer | Held) -> Reply:
        if not isinstance(answer, Answer):
            return self._kept(answer)
        wrong = answer.error
        error = None
        if wrong is not None:
            data = wrong.data if len(memoryview(wrong.data)) <= _ERROR_DATA_BYTES_MAX else Raw(b"")
            error = ServerError(wrong.code, wrong.message, data)
        return Reply(result=answer.result, error=error, received=answer.received, upstream=self._label)

    def _kept(self, held: Held) -> Reply:
        """A question of the older generation, said as the newer one would; the exchange waits here for its answer."""
        while len(self._held) >= HELD_MAX:
            self.abandon(next(iter(self._held)))
        name = secrets.token_urlsafe(16)
        timer = asyncio.get_running_loop().call_later(ANSWER_WAIT_S, self.abandon, name)
        self._held[name] = (held, timer)
        asked = {"method": held.question.method, "params": held.question.params}
        said = {"resultType": "input_required", "inputRequests": {_QUESTION: asked}}
        return Reply(result=Raw(msgspec.json.encode(said)), upstream=self._label, held=name)

    def _taken_up(self, outgoing: Outgoing) -> tuple[Held, Raw]:
        answers = msgspec.json.decode(outgoing.answers or b"{}", type=dict[str, Raw])
        if _QUESTION not in answers or outgoing.held not in self._held:
            raise Denied(Reason.CALL_ANSWER, "the tool server no longer waits for them")
        held, timer = self._held.pop(outgoing.held)
        timer.cancel()
        return held, answers[_QUESTION]

    def abandon(self, name: str) -> None:
        """Nobody will answer what was asked on this exchange, if it is one of those kept here."""
        if name in self._held:
            held, timer = self._held.pop(name)
            timer.cancel()
            held.abandon()

    async def _set_level(self, level: str | None) -> None:
        """The older generation is told once how severe log messages have to be; each modern request says it itself."""
        if not level or level == self._level or "logging" not in self.server.capabilities:
            return
        if self.server.revision != MODERN:
            await self.ask("logging/setLevel", {"level": level})
        self._level = level

    async def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Raw] | None:
        """The members of the result of a question of our own; None if the server knows no such method."""
        written = own_params(params, self.server.revision)
        answer = await _own(self._wire, Request(method=method, params=written, timeout_s=LISTING_S))
        if answer.error is not None and answer.error.code == METHOD_NOT_FOUND:
            return None
        return _result(answer, dict[str, Raw])

    async def close(self) -> None:
        for name in list(self._held):
            self.abandon(name)
        await self.listening.close()
        await self._wire.close()


async def opened(wire: Wire, *, able: Able, legacy_first: bool = False) -> Conversation:
    """Find out which generation the server speaks, and open a conversation in it. Raises `UpstreamFault`.

    `able` is what the clients of this conversation can do, which the older generation is told once. `legacy_first`
    begins with the handshake: the last conversation with this server was of the older generation.
    """
    if legacy_first:
        try:
            return await by_handshake(wire, able=able)
        except UpstreamFault as e:
            if e.why != "protocol":
                raise
    return Conversation(wire, await _discovered(wire) or await _initialized(wire, able))


async def by_handshake(wire: Wire, *, able: Able) -> Conversation:
    """Open a conversation in the older generation, the only one there is on some lines. Raises `UpstreamFault`."""
    return Conversation(wire, await _initialized(wire, able))


async def _own(wire: Wire, request: Request) -> Answer:
    """The answer to a question of our own, of which nothing can be asked."""
    answer = await wire.exchange(request)
    if not isinstance(answer, Answer):
        answer.abandon()
        raise not_mcp("the tool server answered with a question")
    return answer


async def _discovered(wire: Wire) -> Server | None:
    """What a modern server says of itself, or None for any answer, or silence, that is not a modern server's."""
    wire.speak(MODERN)
    try:
        probe = Request(method="server/discover", params=own_params({}, MODERN), timeout_s=PROBE_S)
        answer = await _own(wire, probe)
        if answer.error is not None and _speaks_modern(answer.error):
            # It refused the revision and names it among those it speaks: asked again, it knows.
            answer = await _own(wire, probe)
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


def _unheard(method: str, params: Raw) -> None:
    """Nobody listens any more."""


class _Versions(Struct):
    supported: list[str] = []


def _speaks_modern(wrong: Wrong) -> bool:
    """Whether an error says that the server speaks the newer generation after all."""
    if wrong.code != _UNSUPPORTED_VERSION or not bytes(wrong.data):
        return False
    try:
        return MODERN in msgspec.json.decode(wrong.data, type=_Versions).supported
    except (msgspec.DecodeError, RecursionError):
        return False


async def _initialized(wire: Wire, able: Able) -> Server:
    wire.speak(LEGACY[0])
    offer = {"protocolVersion": LEGACY[0], "capabilities": able, "clientInfo": CLIENT}
    params = own_params(offer, LEGACY[0])
    said = _result(await _own(wire, Request(method="initialize", params=params, timeout_s=OPENING_S)), _Initialized)
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
