"""The store, as a contract in words. Every driver passes the one suite in `tests/store/`."""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from remit.commit.model import Row, Write, Written
from remit.ledger.receipt import Value


class Sequenced(Protocol):
    """State and counters of one gateway and the one way to change them, behind exactly one sequencer.

    *Atomicity.* A `Write` happens whole or not at all, in one order for all writes. Its conditions are checked
    against the state after every earlier write, in flight included, so 64 concurrent reservations under a limit of
    1 succeed once. A refused write (`Denied`, `Restart`, `Conflict`) leaves nothing.

    *Durability.* `write` returns when the write would survive a power loss (group commit, checkpoint signed in the
    same transaction). `enqueue` returns when it is sequenced; it is durable with the next group commit, and any
    later `write` that returns implies it. When a group commit fails, nobody can know whether it persisted: the store
    is then failed, every call raises `StoreFault`, and only opening it again (which reads what is really there) ends
    that.

    *Time.* Receipts carry max(clock, high-water mark); the mark is durable. A clock more than
    `CLOCK_REGRESSION_MS` behind it makes writes with `expect_epoch` raise `Denied(clock.regressed)`.

    *Disk.* Below the reserve, writes of what agents cause (intents, denials, noise) raise `Denied(commit.disk)`; the
    reserve is for outcomes, revocations and whatever else ends or stops something.

    *Reads* are of the sequenced state, which may be ahead of the durable one by a group commit. In a process of its
    own they may be behind the sequencer by what is on its way, but never torn and never out of order: whoever reads an
    epoch reads everything that was true under it, and after a refused write what it was refused for.
    """

    def epoch(self) -> int:
        """The revocation epoch: rises with every revocation, never falls."""
        ...

    def counters(self, prefix: str) -> Mapping[str, int]:
        """All counters whose name begins with `prefix`."""
        ...

    def counter(self, name: str) -> int:
        """One counter; 0 if it was never touched."""
        ...

    async def row(self, kind: str, key: str) -> Row | None:
        """One row of state, None if there is none."""
        ...

    def rows(self, kind: str) -> Mapping[str, Row]:
        """All rows of a kind."""
        ...

    async def write(self, write: Write) -> Written:
        """Durable when it returns. Raises `Denied`, `Restart`, `Conflict` or `StoreFault`."""
        ...

    async def enqueue(self, write: Write) -> Written:
        """Sequenced when it returns. Raises like `write`. Beside the sequencer it does not suspend."""
        ...


class Store(Sequenced, Protocol):
    """The same with its ledger, where the sequencer is."""

    async def blob(self, digest: str) -> bytes | None:
        """A content-addressed blob."""
        ...

    async def leaf(self, seq: int) -> bytes | None:
        """The exact bytes of a durable receipt."""
        ...

    def leaves(self, start: int, stop: int, *, task: str | None = None) -> AsyncIterator[tuple[int, bytes]]:
        """Durable leaves with start <= seq < stop, in order, of one task if named."""
        ...

    async def leaf_hashes(self, start: int, stop: int) -> bytes:
        """Concatenated 32-byte leaf hashes with start <= seq < stop."""
        ...

    async def values(self, seq: int) -> tuple[Value, ...]:
        """The values kept beside a receipt."""
        ...

    async def checkpoint(self) -> bytes:
        """The newest durable checkpoint, a C2SP signed note."""
        ...

    async def close(self) -> None:
        """Commit what is pending and let go of the lock."""
        ...
