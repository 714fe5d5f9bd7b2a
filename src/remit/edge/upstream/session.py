"""One session: a conversation with one server on behalf of one task, or of everybody where the server is stateless.

Rules: it is opened by the first call that needs it, once, whoever waits. Before a call goes out, the called contract
and the server's own must be, by digest, what was pinned; what the server advertises is asked for at opening, after it
said that a list changed, and again when the last look is older than the bound. A server that died is started again by a
later call, after a delay that doubles; the call that was in flight is not repeated.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, NamedTuple

from msgspec import Raw, Struct

from remit.catalogue.model import Connector, Contract
from remit.edge.upstream.conversation import Conversation
from remit.edge.upstream.listing import SERVER, offered
from remit.edge.upstream.wire import Heard
from remit.errors import RemitError, UpstreamFault
from remit.forward.facts import Told
from remit.forward.model import Outgoing, Reply
from remit.reasons import Denied, Reason

_BACKOFF_S: Final = 0.5
_BACKOFF_MAX_S: Final = 30.0
NOTHING: Final = "{}"
_SUBSCRIPTIONS: Final = frozenset({"resources/subscribe", "resources/unsubscribe"})
_LOOKS_MAX: Final = 3
_ANNOUNCED_S: Final = 1.0


class Key(NamedTuple):
    """Whose session: `agent` and `task` are empty where the server is stateless. `able` is what the clients of it can
    do for the server, as JSON: a server of the older generation is told once and for all. `legacy` is whether they are
    of the older generation themselves: a server of both is then spoken to as they would.
    """

    connector: str
    agent: str
    task: str
    able: str = NOTHING
    legacy: bool = False


class Leave(NamedTuple):
    """What a call needs to go out now: the digest of the `server` contract that was pinned, and `in_force`, asked last,
    which raises when what the call was made for ended while a session that others share was opened. What only `stops`
    something goes out to a server that is no longer what was reviewed, too. `agent` is who makes it.
    """

    pinned_server: str | None
    in_force: Callable[[], None]
    stops: bool = False
    agent: str = ""


class Opened(NamedTuple):
    """A conversation, and what a stdio server is made of."""

    conversation: Conversation
    origin: dict[str, Any] | None


class Terms(Struct, frozen=True, kw_only=True):
    """What a session is given: how to open its conversation (telling it whom to call with what the server says beside
    its answers), whom to tell what a server advertises and what it says, whether anybody listens for that, and for how
    many seconds a look at what it advertises lasts.
    """

    open: Callable[["Session", Heard], Awaitable[Opened]]
    tell: Callable[[str, Sequence[Contract]], Awaitable[None]]
    said: Callable[[Key, str, Raw], None]
    attended: Callable[[Key], bool]
    check_s: float


class Session:
    """`in_flight` calls go through it now; `used` is when the last one ended, in the loop's time."""

    def __init__(self, key: Key, row: Connector, *, terms: Terms) -> None:
        self.key = key
        self.row = row
        self.in_flight = 0
        self.used = _now()
        self.holds_process = False
        self._terms = terms
        self._opened: Opened | None = None
        self._advertised: tuple[Contract, ...] = ()
        self._digests: dict[tuple[str, str], str] = {}
        self._looked = 0.0
        self._stale = True
        self._work: asyncio.Task[None] | None = None
        self._ended = False
        self._failures = 0
        self._not_before = 0.0

    @property
    def busy(self) -> bool:
        """Whether a call goes through it, or an exchange in it waits for the client."""
        return self.in_flight > 0 or (self._opened is not None and self._opened.conversation.waits)

    async def forward(self, contract: Contract, outgoing: Outgoing, *, told: Told, leave: Leave) -> Reply:
        """Send one call, once. Raises `UpstreamFault`, `Denied`; what the server says meanwhile goes to `told`."""
        self.in_flight += 1
        try:
            conversation = await self._current()
            if not leave.stops:
                self._agree(contract, leave.pinned_server)
            leave.in_force()
            if outgoing.method in _SUBSCRIPTIONS:
                reply = await _called(conversation.subscribed(outgoing, contract, heard=self._heard, agent=leave.agent))
            else:
                reply = await _called(conversation.call(outgoing, contract, told=told, shared=self.row.stateless))
            self._failures = 0
            return reply
        finally:
            self.in_flight -= 1
            self.used = _now()

    async def look(self) -> tuple[Contract, ...]:
        """What the server advertises now."""
        self._stale = True
        await self._current()
        return self._advertised

    def abandon(self, held: str) -> None:
        """Nobody will answer what the server asked on this exchange, if it is one of this session's."""
        if self._opened is not None:
            self._opened.conversation.abandon(held)

    async def attend(self) -> None:
        """Listen for what the server says beside its answers, if it is open and somebody wants to hear that."""
        # A server of the older generation may ask what it has to on a stream that is for what it says unasked.
        if self._opened is None or not (self._terms.attended(self.key) or self.key.able != NOTHING):
            return
        with contextlib.suppress(UpstreamFault):
            await self._opened.conversation.listening.attend(self._heard)

    async def forget(self, uri: str, agent: str) -> None:
        """An agent wants to hear of a resource no more."""
        if self._opened is not None and self._opened.conversation.alive:
            with contextlib.suppress(UpstreamFault):
                await self._opened.conversation.forget(uri, agent)

    @property
    def capabilities(self) -> Mapping[str, Any] | None:
        """What the server says it can do; None while no conversation is open."""
        return self._opened.conversation.server.capabilities if self._opened is not None else None

    async def end(self) -> None:
        """Close the conversation; calls in flight fail as sent. Never raises."""
        self._ended = True
        # Whoever is told of the contracts may end the session they are of.
        if self._work is not None and self._work is not asyncio.current_task():
            self._work.cancel()
            await asyncio.wait([self._work])
        await self._drop()

    async def _current(self) -> Conversation:
        """The conversation, open, with a fresh look at what the server advertises. Faults here are before any call."""
        for _ in range(_LOOKS_MAX):
            if self._ended:
                break
            if self._opened is not None and self._opened.conversation.alive and self._fresh():
                return self._opened.conversation
            await self._worked()
        what = "the session was ended" if self._ended else "what the tool server offers keeps changing"
        raise UpstreamFault(what, sent=False)

    def _fresh(self) -> bool:
        return not self._stale and _now() - self._looked < self._terms.check_s

    async def _worked(self) -> None:
        """Wait for the one task that opens and looks, starting it if nobody has. Cancelling a waiter leaves it be."""
        if self._work is None:
            self._work = asyncio.ensure_future(self._open_and_look())
            self._work.add_done_callback(self._worked_out)
        work = self._work
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if work.cancelled() and task is not None and not task.cancelling():
                raise UpstreamFault("the session was ended", sent=False) from None
            raise
        except Denied:
            raise
        except RemitError as e:
            # Whatever went wrong did so before the call: none of its bytes were written.
            raise UpstreamFault(e.message, e.advice, sent=False) from e
        except Exception as e:
            raise UpstreamFault("the session could not be opened", sent=False) from e

    def _worked_out(self, work: asyncio.Task[None]) -> None:
        self._work = None
        if not work.cancelled():
            work.exception()  # marks it as seen: whoever waits gets it, and there may be nobody

    async def _open_and_look(self) -> None:
        opened = self._opened
        if opened is None or not opened.conversation.alive:
            opened = await self._open()
        # Before the look: what is announced while it lasts makes it stale again.
        self._stale = False
        try:
            found = await offered(opened.conversation, self.key.connector, origin=opened.origin)
            digests: dict[tuple[str, str], str] = {
                (contract.kind, contract.name): contract.digest for contract in found
            }
            if digests != self._digests:
                await self._terms.tell(self.key.connector, found)
        except BaseException:
            self._stale = True
            raise
        self._advertised, self._digests, self._looked = found, digests, _now()
        await self.attend()

    async def _open(self) -> Opened:
        if self._opened is not None:
            self._failed()
            await self._drop()
        if self.row.command and (left := self._not_before - _now()) > 0:
            raise UpstreamFault(f"the tool server failed; it is started again in {left:.1f} s", sent=False)
        self._digests = {}
        try:
            self._opened = await self._terms.open(self, self._heard)
        except UpstreamFault:
            self._failed()
            raise
        finally:
            self.holds_process = self.holds_process and self._opened is not None
        return self._opened

    def _failed(self) -> None:
        """The first failure is forgiven, every further one doubles the delay until a call has been answered."""
        if self._failures:
            self._not_before = _now() + min(_BACKOFF_S * 2.0 ** (self._failures - 1), _BACKOFF_MAX_S)
        self._failures = min(self._failures + 1, 10)

    async def _drop(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.conversation.close()
        self.holds_process = False

    def _heard(self, method: str, params: Raw) -> None:
        """Something that is about no call. A changed list is looked at soon, call or not; however often the server says
        so, once a second.
        """
        self._terms.said(self.key, method, params)
        if method.endswith("/list_changed") and not self._stale:
            self._stale = True
            asyncio.get_running_loop().call_later(_ANNOUNCED_S, self._look_unasked)

    def _look_unasked(self) -> None:
        if self._stale and not self._ended and self._work is None and self._opened is not None:
            self._work = asyncio.ensure_future(self._open_and_look())
            self._work.add_done_callback(self._worked_out)

    def _agree(self, contract: Contract, pinned_server: str | None) -> None:
        if self._digests.get(("server", SERVER)) != pinned_server or pinned_server is None:
            raise Denied(Reason.SCHEMA_QUARANTINED, "the tool server itself is not what was reviewed")
        if self._digests.get((contract.kind, contract.name)) != contract.digest:
            raise Denied(Reason.SCHEMA_QUARANTINED, f"`{contract.target}` is not what was reviewed")


async def _called(call: Coroutine[None, None, Reply]) -> Reply:
    try:
        return await call
    except (UpstreamFault, Denied):
        raise
    except Exception as e:
        raise UpstreamFault("the call broke down on our side; it may have been sent", sent=True) from e


def _now() -> float:
    return asyncio.get_running_loop().time()
