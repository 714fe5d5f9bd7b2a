"""What a driver does: keep groups of writes whole, and read back what is durable.

A driver decides nothing. It is called from one writer thread (`persist`) and one reader thread (the rest), never from
the event loop. `fault` is called at the named points of `POINTS`, in this order, once a group: a test raises or dies
there; in service it does nothing.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from msgspec import Struct, field

from remit.commit.model import Row
from remit.commit.state import Delta, Leaf, OpenIntent
from remit.ledger.receipt import Value

POINTS: Final = ("begin", "receipts", "state", "checkpoint", "committed")

Fault = Callable[[str], None]


def no_fault(point: str) -> None:
    """Nothing happens at this point."""


class Group(Struct, kw_only=True, gc=False):
    """Writes that become durable together, merged: the last change of a row or counter is the one kept.

    `checkpoint` is the signed note over the tree of `size` leaves; `milestone` says it is also kept in the history.
    Values are inserted before those of the seqs in `erased` are deleted.
    """

    leaves: list[Leaf] = field(default_factory=list)
    values: dict[int, list[Value]] = field(default_factory=dict)
    rows: dict[tuple[str, str], Row | None] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    opened: dict[int, OpenIntent] = field(default_factory=dict)
    closed: list[int] = field(default_factory=list)
    erased: list[int] = field(default_factory=list)
    epoch: int = 0
    high: int = 0
    revision: int = 0
    size: int = 0
    checkpoint: bytes = b""
    milestone: bool = True


class Reader(Protocol):
    """Synchronous reads of durable data. They raise `StoreFault` when it cannot be read."""

    def leaf(self, seq: int) -> bytes | None:
        """The exact bytes of a receipt."""
        ...

    def page(self, start: int, stop: int, *, task: str | None) -> list[tuple[int, bytes]]:
        """The first leaves with start <= seq < stop, of one task if named: a page of some hundred, or all."""
        ...

    def hashes(self, start: int, stop: int) -> bytes:
        """Concatenated leaf hashes with start <= seq < stop."""
        ...

    def values(self, start: int, stop: int) -> tuple[Value, ...]:
        """The values kept beside receipts with start <= seq < stop."""
        ...

    def blob(self, digest: str) -> bytes | None:
        """A content-addressed blob."""
        ...

    def blobs(self) -> tuple[str, ...]:
        """The digests of all blobs."""
        ...

    def checkpoint(self) -> bytes:
        """The newest checkpoint."""
        ...

    def checkpoints(self) -> tuple[bytes, ...]:
        """The history's checkpoints, oldest first."""
        ...

    def close(self) -> None:
        """Let go of files and locks."""
        ...


class Driver(Reader, Protocol):
    """A reader that also writes."""

    def persist(self, group: Group) -> None:
        """Make the group durable, whole or not at all. After any exception nobody knows which."""
        ...


def merged(deltas: Sequence[Delta]) -> Group:
    """One group of at least one delta, in order; the deltas stay as they are."""
    group = Group()
    for delta in deltas:
        group.leaves += delta.leaves
        group.values.update(delta.values)
        group.counters.update(delta.counters)
        group.opened.update(delta.opened)
        group.closed += delta.closed
        # What calls do not do, most groups do not have.
        if delta.rows:
            group.rows.update(delta.rows)
        if delta.blobs:
            group.blobs.update(delta.blobs)
        if delta.erased:
            group.erased += delta.erased
    last = deltas[-1]
    group.epoch, group.high, group.revision, group.size = last.epoch, last.high, last.revision, last.size
    return group
