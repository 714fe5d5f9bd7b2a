"""One order for all writes, and one durable transaction for many of them.

`write` and `enqueue` apply to the shared state at once, in the event loop: that is the order. What each changed goes to
the `writer`, which makes it durable in groups; then the writes return.

A crash before the transaction is durable leaves nothing of the group: no one was told of it, and nothing was sent.
A crash after it leaves the group whole: intents nobody was told of are open intents, which the app records as unknown
when it starts. When persisting fails in any way nobody knows which of the two it is, so the store is failed: everything
raises `StoreFault` until it is opened again and reads what is really there.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeVar

from remit.commit.model import Row, Write, Written
from remit.commit.state import Delta, Moved, OpenIntent, State
from remit.edge.store.disk import Disk
from remit.edge.store.driver import Driver
from remit.edge.store.reads import Ledger
from remit.edge.store.writer import Writer, failed
from remit.errors import StoreFault
from remit.ledger.checkpoint import Signer
from remit.ledger.receipt import Denial, Intent, Noise

# What agents cause. Below the disk reserve it is refused; the reserve is for closing what is open and for stopping.
_FROM_AGENTS: Final = (Intent, Denial, Noise)

T = TypeVar("T")


class Given(NamedTuple):
    """The world as functions: `now` in epoch ms, `salts` of 16 random bytes."""

    now: Callable[[], int]
    salts: Callable[[], bytes]


class Sequencer(Ledger):
    """`commit/facts.py:Store` over any driver. Belongs to the event loop it was made in."""

    def __init__(self, state: State, driver: Driver, *, signer: Signer, disk: Disk, given: Given) -> None:
        super().__init__(driver)
        self._state, self._disk = state, disk
        self._now, self._salts = given
        self._loop = asyncio.get_running_loop()
        self._writer = Writer(driver, signer=signer, high=state.high)
        self._closing = False
        self._followers: tuple[Callable[[Delta], None], ...] = ()

    def epoch(self) -> int:
        """The revocation epoch."""
        return self._sound().epoch

    def counters(self, prefix: str) -> Mapping[str, int]:
        """All counters whose name begins with `prefix`."""
        return self._sound().counters(prefix)

    def counter(self, name: str) -> int:
        """One counter; 0 if it was never touched."""
        return self._sound().counter(name)

    async def row(self, kind: str, key: str) -> Row | None:
        """One row of state, None if there is none."""
        return self._sound().row(kind, key)

    def rows(self, kind: str) -> Mapping[str, Row]:
        """All rows of a kind."""
        return self._sound().rows(kind)

    def open_intents(self) -> tuple[OpenIntent, ...]:
        """Calls whose outcome is not recorded, oldest first: after a start, those a crash cut off."""
        return tuple(self._sound().open.values())

    async def write(self, write: Write) -> Written:
        """Durable when it returns. A caller who stops waiting does not undo it."""
        return await self.submit(write)

    def submit(self, write: Write) -> asyncio.Future[Written]:
        """As `write`, for who waits for many: sequenced when it returns, done when it is durable."""
        done: asyncio.Future[Written] = self._loop.create_future()
        self._sequence(write, done)
        return done

    async def enqueue(self, write: Write) -> Written:
        """Sequenced when it returns, durable with the next group commit. It never suspends."""
        return self.sequence(write)

    def sequence(self, write: Write) -> Written:
        """As `enqueue`, for who cannot wait."""
        return self._sequence(write, None).written()

    def follow(self, told: Callable[[Delta], None]) -> None:
        """From now on `told` hears what each write changed, in their order and before anybody is told of it."""
        self._followers = (*self._followers, told)

    def readable(self) -> Moved:
        """All that can be read now."""
        return self._sound().readable()

    async def close(self) -> None:
        """Commit what is pending and let go of the lock. Raises `StoreFault` if that could not be committed."""
        if self._closing:
            return
        known, self._closing = self._writer.fault, True
        await self._writer.close()
        await super().close()
        if self._writer.fault and not known:
            raise self._writer.fault

    async def _read(self, read: Callable[[], T]) -> T:
        self._sound()
        return await super()._read(read)

    def _sound(self) -> State:
        if self._writer.fault:
            raise failed(self._writer.fault.__cause__)
        if self._closing:
            raise StoreFault("the store is closed")
        return self._state

    def _sequence(self, write: Write, done: asyncio.Future[Written] | None) -> Delta:
        state, now = self._sound(), self._now()
        if any(isinstance(draft.body, _FROM_AGENTS) for draft in write.drafts):
            self._disk.check(now)
        delta = state.apply(write, now, salts=self._salts)
        self._writer.add(delta, done)
        for told in self._followers:
            told(delta)
        return delta
