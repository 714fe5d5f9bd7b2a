"""Group after group onto the disk: what was added together becomes durable together.

Groups are made in the event loop, and a thread persists one at a time: it signs a checkpoint over exactly that tree
and has the driver keep both in one transaction. Only whole groups pass between the two, so they share no lock, and
a write costs the loop no more than a place in a list. While a group is persisted, the next gathers.

A caller alone waits for the hand-over to the thread and back too, some 0.05 ms. It is not spared by committing in the
event loop: where the disk takes long, or begins to, everything else would stand still with it.
"""

import asyncio
import threading
import time
from queue import SimpleQueue
from typing import Final

from remit.commit.model import Written
from remit.commit.state import Delta
from remit.edge.store.driver import Driver, merged
from remit.errors import StoreFault
from remit.ledger.checkpoint import Checkpoint, Signer, sign
from remit.ledger.merkle import root_of
from remit.limits import GROUP_COMMIT_MAX

# How long a group of writes nobody waits for stays open for company. It bounds what a crash of the machine can lose
# of enqueued receipts; a write that somebody waits for ends it at once.
LINGER_S: Final = 0.005

# After a group that several waited for, the next begins at least this much later than it did: a group costs about
# 0.2 ms of CPU whatever it holds, so under load company is worth waiting for. A caller alone never waits.
PACE_S: Final = 0.001
PACED_MOST: Final = 2
CROWD: Final = 32

# How often a checkpoint is kept in the history: checking its signature costs an auditor as much as ten receipts.
MILESTONE_MS: Final = 10_000

Waiting = tuple[Delta, asyncio.Future[Written] | None]


class Writer:
    """Belongs to the event loop it was made in; `high` is the newest time mark that is durable."""

    def __init__(self, driver: Driver, *, signer: Signer, high: int) -> None:
        self.fault: StoreFault | None = None
        self._driver, self._signer = driver, signer
        self._milestone = high - MILESTONE_MS
        self._loop = asyncio.get_running_loop()
        self._gathered: list[Waiting] = []
        self._awaited = 0
        self._due: asyncio.Handle | None = None
        self._lingering = self._busy = self._closing = False
        self._began, self._company = 0.0, 0
        self._groups: SimpleQueue[list[Waiting]] = SimpleQueue()
        self._thread = threading.Thread(target=self._persist_all, name="remit-store-writer", daemon=True)
        self._thread.start()

    def add(self, delta: Delta, done: asyncio.Future[Written] | None) -> None:
        """Persist the delta in a group with others; `done` is told when it is durable, or of the fault."""
        # A crash from here to the group's commit leaves nothing of it; nobody was told of it yet.
        self._gathered.append((delta, done))
        self._awaited += done is not None
        if not self._busy:
            self._plan()

    async def close(self) -> None:
        """Persist what was added, and end. A group that fails is told of in `fault`."""
        self._closing = True
        if not self._busy:
            self._hand_over()
        await asyncio.to_thread(self._thread.join)

    def _plan(self) -> None:
        """Settle when what is gathered goes to the thread, which has nothing to do."""
        if self._due is not None:
            if not (self._lingering and self._awaited):
                return
            self._due.cancel()
        self._lingering = not self._awaited
        wait = LINGER_S if self._lingering else self._began + _pace(self._company) - time.monotonic()
        # At the earliest when what is ready to run now has run: that may add to the group.
        later = self._loop.call_later
        self._due = later(wait, self._hand_over) if wait > 0 else self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        """What is gathered goes to the thread; nothing, which ends it, only when the writer closes."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        group, self._gathered = self._gathered[:GROUP_COMMIT_MAX], self._gathered[GROUP_COMMIT_MAX:]
        self._began, self._company = time.monotonic(), self._awaited
        self._awaited = sum([done is not None for _, done in self._gathered])
        self._busy = True
        self._groups.put(group)

    def _ended(self, group: list[Waiting], fault: StoreFault | None) -> None:
        """The thread is free again, or gave up."""
        self._busy = False
        if fault:
            self.fault = fault
            _refuse([*group, *self._gathered], fault)
            self._gathered = []
            return
        for delta, done in group:
            if done is not None and not done.done():
                done.set_result(delta.written())
        if self._closing:
            self._hand_over()
        elif self._gathered:
            self._plan()

    def _persist_all(self) -> None:
        """The thread: group after group, until there is none, or one fails."""
        while group := self._groups.get():
            fault = None
            try:
                self._persist(group)
            except StoreFault as e:
                fault = e
            try:
                self._loop.call_soon_threadsafe(self._ended, group, fault)
            except RuntimeError:
                # The loop is gone, and everybody who waited with it; what was persisted stays so.
                return
            if fault:
                return

    def _persist(self, group: list[Waiting]) -> None:
        last = group[-1][0]
        milestone = last.high >= self._milestone + MILESTONE_MS
        try:
            whole = merged([delta for delta, _ in group])
            whole.milestone = milestone
            whole.checkpoint = sign(Checkpoint(self._signer.name, last.size, root_of(last.peaks)), self._signer)
            self._driver.persist(whole)
        except Exception as e:
            raise failed(e) from e
        if milestone:
            self._milestone = last.high


def failed(cause: BaseException | None) -> StoreFault:
    """A new error for everyone: one raised twice would grow its traceback for ever."""
    fault = StoreFault("the store failed while writing", "restart the gateway; it reads what was really written")
    fault.__cause__ = cause
    return fault


def _refuse(group: list[Waiting], fault: StoreFault) -> None:
    for _, done in group:
        if done is not None and not done.done():
            done.set_exception(failed(fault.__cause__))


def _pace(company: int) -> float:
    """Seconds from one group's beginning to the next: the more wait, the more a larger group saves each of them; a
    crowd gathers by itself while a group is written.
    """
    return PACE_S if company >= CROWD else PACE_S * min(company // 2, PACED_MOST)
