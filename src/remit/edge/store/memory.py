"""The store in memory: everything the contract says but surviving the process.

A first-class driver for tests, trials and embedding. What it keeps is a `Memory`, which can be opened again after
`close` like a disk, by one at a time.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Struct, field

from remit.commit.model import Row
from remit.commit.state import Leaf, OpenIntent, Saved, State
from remit.edge.store.disk import Alarmed, Disk, unheard
from remit.edge.store.driver import Fault, Group, no_fault
from remit.edge.store.sequencer import Given, Sequencer
from remit.errors import StoreFault
from remit.ledger.checkpoint import Checkpoint, Signer, sign
from remit.ledger.merkle import EMPTY_ROOT, Frontier
from remit.ledger.receipt import Value
from remit.limits import DISK_ALARM_BYTES

_PAGE: Final = 512


class Memory(Struct):
    """What a memory store holds; `held` while a store is open on it."""

    leaves: list[Leaf] = field(default_factory=list)
    by_task: dict[str, list[Leaf]] = field(default_factory=dict)
    values: dict[int, tuple[Value, ...]] = field(default_factory=dict)
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    open: dict[int, OpenIntent] = field(default_factory=dict)
    epoch: int = 0
    high: int = 0
    revision: int = 0
    checkpoint: bytes = b""
    checkpoints: tuple[bytes, ...] = ()
    held: bool = False

    def saved(self) -> Saved:
        """The state to go on from."""
        frontier = Frontier()
        for leaf in self.leaves:
            frontier.append(leaf.hash)
        return Saved(
            epoch=self.epoch,
            high=self.high,
            revision=self.revision,
            rows=dict(self.rows),
            counters=dict(self.counters),
            tasks={task: len(leaves) for task, leaves in self.by_task.items()},
            blobs=set(self.blobs),
            open=dict(self.open),
            frontier=frontier,
        )


class MemoryDriver:
    """Keeps groups in a `Memory`."""

    def __init__(self, memory: Memory, fault: Fault) -> None:
        self._memory, self._fault = memory, fault

    def persist(self, group: Group) -> None:
        """All or nothing: the points before the last raise before anything is changed."""
        for point in ("begin", "receipts", "state", "checkpoint"):
            self._fault(point)
        self._keep(group)
        self._fault("committed")

    def leaf(self, seq: int) -> bytes | None:
        """The exact bytes of a receipt."""
        return self._memory.leaves[seq].data if 0 <= seq < len(self._memory.leaves) else None

    def page(self, start: int, stop: int, *, task: str | None) -> list[tuple[int, bytes]]:
        """At most `_PAGE` leaves."""
        if task is None:
            found = self._memory.leaves[max(start, 0) : max(stop, 0)][:_PAGE]
        else:
            found = [leaf for leaf in self._memory.by_task.get(task, ()) if start <= leaf.seq < stop][:_PAGE]
        return [(leaf.seq, leaf.data) for leaf in found]

    def hashes(self, start: int, stop: int) -> bytes:
        """Concatenated leaf hashes."""
        return b"".join(leaf.hash for leaf in self._memory.leaves[max(start, 0) : max(stop, 0)])

    def values(self, start: int, stop: int) -> tuple[Value, ...]:
        """The values kept beside some receipts."""
        return tuple(value for seq in range(start, stop) for value in self._memory.values.get(seq, ()))

    def blob(self, digest: str) -> bytes | None:
        """A content-addressed blob."""
        return self._memory.blobs.get(digest)

    def blobs(self) -> tuple[str, ...]:
        """The digests of all blobs."""
        return tuple(self._memory.blobs)

    def checkpoint(self) -> bytes:
        """The newest checkpoint."""
        return self._memory.checkpoint

    def checkpoints(self) -> tuple[bytes, ...]:
        """The history's checkpoints."""
        return self._memory.checkpoints

    def close(self) -> None:
        """Let the next one in."""
        self._memory.held = False

    def _keep(self, group: Group) -> None:
        memory = self._memory
        memory.leaves += group.leaves
        for leaf in group.leaves:
            if leaf.task is not None:
                memory.by_task.setdefault(leaf.task, []).append(leaf)
        memory.values |= {seq: tuple(values) for seq, values in group.values.items()}
        for seq in group.erased:
            memory.values.pop(seq, None)
        for at, row in group.rows.items():
            if row is None:
                memory.rows.pop(at, None)
            else:
                memory.rows[at] = row
        memory.counters |= group.counters
        memory.blobs |= group.blobs
        memory.open |= group.opened
        for seq in group.closed:
            del memory.open[seq]
        memory.epoch, memory.high, memory.revision = group.epoch, group.high, group.revision
        memory.checkpoint = group.checkpoint
        if group.milestone:
            memory.checkpoints += (group.checkpoint,)


async def open_memory(
    *,
    signer: Signer,
    now: Callable[[], int],
    salts: Callable[[], bytes],
    memory: Memory | None = None,
    free: Callable[[], int] = lambda: DISK_ALARM_BYTES,
    on_alarm: Alarmed = unheard,
    fault: Fault = no_fault,
) -> Sequencer:
    """A store over `memory` (a new one, if not given). Raises `StoreFault` while another store is open on it.

    `now` is epoch ms, `salts` gives 16 random bytes a call.
    """
    memory = Memory() if memory is None else memory
    if memory.held:
        raise StoreFault("the store in memory is open already", "a ledger has one writer")
    memory.held = True
    if not memory.checkpoint:
        memory.checkpoint = sign(Checkpoint(signer.name, 0, EMPTY_ROOT), signer)
    return Sequencer(
        State(memory.saved()),
        MemoryDriver(memory, fault),
        signer=signer,
        disk=Disk(free, on_alarm),
        given=Given(now, salts),
    )
