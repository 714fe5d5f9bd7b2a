"""One order for all writes, and one durable transaction for many of them.

`write` and `enqueue` apply to the shared state at once, in the event loop: that is the order. A single writer thread
takes everything that waits (at most `GROUP_COMMIT_MAX`), signs a checkpoint over exactly that tree and has the
driver persist both in one transaction; then the writes return. While it persists, the next group gathers.

A crash before the transaction is durable leaves nothing of the group: no one was told of it, and nothing was sent.
A crash after it leaves the group whole: intents nobody was told of are open intents, which the app records as unknown
when it starts. When persisting fails in any way nobody knows which of the two it is, so the store is failed: everything
raises `StoreFault` until it is opened again and reads what is really there.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeVar

from remit.commit.model import Row, Write, Written
from remit.commit.state import Delta, Moved, OpenIntent, State
from remit.edge.store.disk import Disk
from remit.edge.store.driver import Driver, merged
from remit.edge.store.reads import Ledger
from remit.errors import StoreFault
from remit.ledger.checkpoint import Checkpoint, Signer, sign
from remit.ledger.merkle import root_of
from remit.ledger.receipt import Denial, Intent, Noise
from remit.limits import GROUP_COMMIT_MAX

# How long a group of writes nobody waits for stays open for company. It bounds what a crash of the machine can lose
# of enqueued receipts; a write that somebody waits for ends it at once.
LINGER_S: Final = 0.005

# After a group that several waited for, the next begins at least this much later than it did: a group costs about
# 0.25 ms of CPU whatever it holds, so under load company is worth waiting for. A caller alone never waits.
PACE_S: Final = 0.001
PACED_MOST: Final = 4
CROWD: Final = 32

# How often a checkpoint is kept in the history: checking its signature costs an auditor as much as ten receipts.
MILESTONE_MS: Final = 10_000

# What agents cause. Below the disk reserve it is refused; the reserve is for closing what is open and for stopping.
_FROM_AGENTS: Final = (Intent, Denial, Noise)

T = TypeVar("T")
Waiting = tuple[Delta, asyncio.Future[Written] | None]


class Given(NamedTuple):
    """The world as functions: `now` in epoch ms, `salts` of 16 random bytes."""

    now: Callable[[], int]
    salts: Callable[[], bytes]


class Sequencer(Ledger):
    """`commit/facts.py:Store` over any driver. Belongs to the event loop it was made in."""

    def __init__(self, state: State, driver: Driver, *, signer: Signer, disk: Disk, given: Given) -> None:
        super().__init__(driver)
        self._state, self._driver, self._signer, self._disk = state, driver, signer, disk
        self._now, self._salts = given
        self._loop = asyncio.get_running_loop()
        self._fault: StoreFault | None = None
        self._waiting: deque[Waiting] = deque()
        self._awaited = 0
        self._wake = threading.Condition()
        self._closing = False
        self._followers: tuple[Callable[[Delta], None], ...] = ()
        self._began, self._company = 0.0, 0
        self._milestone = state.high - MILESTONE_MS
        self._writer = threading.Thread(target=self._persist_all, name="remit-store-writer", daemon=True)
        self._writer.start()

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
        known = self._fault
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.to_thread(self._writer.join)
        await super().close()
        if self._fault and self._fault is not known:
            raise self._fault

    async def _read(self, read: Callable[[], T]) -> T:
        self._sound()
        return await super()._read(read)

    def _sound(self) -> State:
        if self._fault:
            raise _failed(self._fault.__cause__)
        if self._closing:
            raise StoreFault("the store is closed")
        return self._state

    def _sequence(self, write: Write, done: asyncio.Future[Written] | None) -> Delta:
        state, now = self._sound(), self._now()
        if any(isinstance(draft.body, _FROM_AGENTS) for draft in write.drafts):
            self._disk.check(now)
        # A crash from here to the group's commit leaves nothing of this write; nobody was told of it yet.
        delta = state.apply(write, now, salts=self._salts)
        with self._wake:
            # Under the lock, so that nothing joins the queue after the writer thread has left it for good.
            self._sound()
            self._waiting.append((delta, done))
            self._awaited += done is not None
            if len(self._waiting) == 1 or (done is not None and self._awaited == 1):
                self._wake.notify()
        for told in self._followers:
            told(delta)
        return delta

    def _persist_all(self) -> None:
        """The writer thread: group after group, until closed or failed."""
        while group := self._next_group():
            try:
                self._persist(group)
            except StoreFault as fault:
                self._fail(fault, group)
                return
            self._tell(self._resolve, group)

    def _next_group(self) -> list[Waiting]:
        with self._wake:
            while not self._waiting and not self._closing:
                self._wake.wait()
            if not self._awaited and not self._closing:
                self._wake.wait_for(lambda: bool(self._awaited or self._closing), LINGER_S)
            if self._company > 1:
                self._wake.wait_for(lambda: self._closing, self._began + _pace(self._company) - time.monotonic())
            self._began, self._company = time.monotonic(), self._awaited
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), GROUP_COMMIT_MAX))]
            self._awaited -= sum(done is not None for _, done in group)
            return group

    def _persist(self, group: list[Waiting]) -> None:
        last = group[-1][0]
        whole = merged([delta for delta, _ in group])
        whole.milestone = whole.high >= self._milestone + MILESTONE_MS
        try:
            whole.checkpoint = sign(Checkpoint(self._signer.name, last.size, root_of(last.peaks)), self._signer)
            self._driver.persist(whole)
        except Exception as e:
            raise _failed(e) from e
        if whole.milestone:
            self._milestone = whole.high

    def _fail(self, fault: StoreFault, group: list[Waiting]) -> None:
        with self._wake:
            self._fault = fault
            self._tell(self._refuse, [*group, *self._waiting])

    def _tell(self, how: Callable[[list[Waiting]], None], group: list[Waiting]) -> None:
        try:
            self._loop.call_soon_threadsafe(how, group)
        except RuntimeError:
            # The loop is gone, and everybody who waited with it; what was persisted stays so.
            return

    @staticmethod
    def _resolve(group: list[Waiting]) -> None:
        for delta, done in group:
            if done is not None and not done.done():
                done.set_result(delta.written())

    def _refuse(self, group: list[Waiting]) -> None:
        for _, done in group:
            if done is not None and not done.done():
                done.set_exception(_failed(self._fault and self._fault.__cause__))


def _pace(company: int) -> float:
    """Seconds from one group's beginning to the next: the more wait, the more a larger group saves each of them; a
    crowd gathers by itself while a group is written.
    """
    return PACE_S if company >= CROWD else PACE_S * min(company // 2, PACED_MOST)


def _failed(cause: BaseException | None) -> StoreFault:
    """A new error for everyone: one raised twice would grow its traceback for ever."""
    fault = StoreFault("the store failed while writing", "restart the gateway; it reads what was really written")
    fault.__cause__ = cause
    return fault
