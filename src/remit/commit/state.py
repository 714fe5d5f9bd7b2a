"""Step 8, the state machine every store shares: what a write does, and when it must not.

`State.apply` checks every condition of a `Write` against the state after all earlier writes and only then changes
anything; a refused write leaves nothing. What it returns, a `Delta`, is all that has to be persisted, and nothing
else: two drivers that persist the same deltas hold the same ledger. It never reads a clock or makes a salt: both are
given. It never does I/O.

Checked in this order: time, epoch, counters the decision read, rows, budgets, blobs, drafts. The drafts' rules are the
ledger's own: an outcome answers an intent that is open, once; an erasure names receipts before it.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from msgspec import Struct, field
from msgspec.json import Encoder

from remit.canonical import digest
from remit.commit.model import Put, Reserve, Row, Write, Written
from remit.errors import CallerFault, Conflict
from remit.ledger.merkle import Frontier, leaf_hash
from remit.ledger.receipt import FORMAT, Draft, Erasure, Intent, Outcome, Receipt, Value
from remit.limits import CLOCK_REGRESSION_MS, VALUES_PER_RECEIPT_MAX
from remit.reasons import Denied, Reason, Restart

_encode = Encoder().encode
_sha256 = hashlib.sha256


class Leaf(Struct, frozen=True, gc=False):
    """One receipt as it will be stored: `data` are its exact bytes, `n` its number in its task."""

    seq: int
    task: str | None
    n: int | None
    data: bytes
    hash: bytes


class OpenIntent(NamedTuple):
    """A call that was about to be sent and whose outcome is not known yet."""

    seq: int
    intent: Intent
    task: str | None


class Saved(Struct, kw_only=True):
    """What a driver reads back at open. `tasks` counts each task's receipts; `blobs` are the digests it keeps."""

    epoch: int = 0
    high: int = 0
    revision: int = 0
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    blobs: set[str] = field(default_factory=set)
    open: dict[int, OpenIntent] = field(default_factory=dict)
    frontier: Frontier = field(default_factory=Frontier)


class Moved(Struct, frozen=True, kw_only=True):
    """What of the readable state moved; all of it, if seen from nothing. A row of None is deleted."""

    rows: Mapping[tuple[str, str], Row | None]
    counters: Mapping[str, int]
    epoch: int


class Delta(Struct, kw_only=True, gc=False):
    """What one write changed. `values` are those to keep, by the receipt's seq. A row of None is deleted; `peaks` are
    the tree's after it, `high` the time mark's.
    """

    leaves: list[Leaf] = field(default_factory=list)
    values: dict[int, list[Value]] = field(default_factory=dict)
    rows: dict[tuple[str, str], Row | None]
    counters: dict[str, int]
    blobs: dict[str, bytes]
    opened: dict[int, OpenIntent] = field(default_factory=dict)
    closed: list[int] = field(default_factory=list)
    erased: list[int] = field(default_factory=list)
    epoch: int
    high: int
    revision: int
    size: int
    peaks: tuple[bytes, ...] = ()

    def written(self) -> Written:
        """What the writer is told."""
        return Written(seqs=tuple([leaf.seq for leaf in self.leaves]), epoch=self.epoch)


class State:
    """The sequenced state of one store. Not thread-safe: one event loop applies, in one order."""

    def __init__(self, saved: Saved) -> None:
        self.epoch, self.high, self._revision = saved.epoch, saved.high, saved.revision
        self.frontier = saved.frontier
        self.open = saved.open
        self._tasks = saved.tasks
        self._blobs = saved.blobs
        self._rows: dict[str, dict[str, Row]] = {}
        self._counters: dict[str, int] = {}
        self._groups: dict[str, list[str]] = {}
        for (kind, key), row in saved.rows.items():
            self._rows.setdefault(kind, {})[key] = row
        self._count(saved.counters)

    def counter(self, name: str) -> int:
        """One counter; 0 if it was never touched."""
        return self._counters.get(name, 0)

    def counters(self, prefix: str) -> dict[str, int]:
        """All counters whose name begins with `prefix`; quick for `task/<id>/` and longer."""
        group = _group(prefix)
        if group and group == prefix:
            return {name: self._counters[name] for name in self._groups.get(group, ())}
        # A prefix without two whole segments may begin the names of many groups.
        names = self._groups.get(group, ()) if group else self._counters
        return {name: self._counters[name] for name in names if name.startswith(prefix)}

    def row(self, kind: str, key: str) -> Row | None:
        """One row of state, None if there is none."""
        return self._rows.get(kind, {}).get(key)

    def rows(self, kind: str) -> dict[str, Row]:
        """All rows of a kind, as a copy."""
        return dict(self._rows.get(kind, {}))

    def readable(self) -> Moved:
        """All that can be read, as a copy: what `take` makes another state like this one from."""
        rows: dict[tuple[str, str], Row | None] = {
            (kind, key): row for kind, of_kind in self._rows.items() for key, row in of_kind.items()
        }
        return Moved(rows=rows, counters=dict(self._counters), epoch=self.epoch)

    def take(self, moved: Moved | Delta) -> None:
        """Let what moved be so, in the order it did."""
        self.epoch = moved.epoch
        self._count(moved.counters)
        for (kind, key), row in moved.rows.items():
            if row is None:
                self._rows.get(kind, {}).pop(key, None)
            else:
                self._rows.setdefault(kind, {})[key] = row

    def apply(self, write: Write, now: int, *, salts: Callable[[], bytes]) -> Delta:
        """Check everything, then change everything; return what to persist.

        `now` is epoch ms, `salts` gives 16 random bytes a call. Raises `Denied` (`clock.regressed`,
        `commit.budget`), `Restart`, `Conflict`, or `CallerFault` for a write no correct caller makes.
        """
        self._check_expectations(write, now)
        rows, revision = self._changed(write.puts)
        delta = Delta(
            rows=rows,
            counters=self._reserved(write.reserves),
            blobs=self._new_blobs(write.blobs),
            epoch=self.epoch + write.raise_epoch,
            high=max(now, self.high),
            revision=revision,
            size=self.frontier.size,
        )
        tasks: dict[str, int] = {}
        for draft in write.drafts:
            self._sequence(draft, delta, tasks=tasks, salts=salts)
        self._adopt(delta, tasks)
        return delta

    def _check_expectations(self, write: Write, now: int) -> None:
        if write.expect_epoch is not None:
            if now < self.high - CLOCK_REGRESSION_MS:
                raise Denied(Reason.CLOCK_REGRESSED, f"the clock is {self.high - now} ms behind the record")
            if write.expect_epoch != self.epoch:
                raise Restart(f"the revocation epoch is {self.epoch}, not {write.expect_epoch}")
        for name, value in write.expect_counters.items():
            if self.counter(name) != value:
                raise Restart(f"the counter `{name}` is {self.counter(name)}, not {value}")

    def _changed(self, puts: Iterable[Put]) -> tuple[dict[tuple[str, str], Row | None], int]:
        changed: dict[tuple[str, str], Row | None] = {}
        revision = self._revision
        for put in puts:
            at = (put.kind, put.key)
            now = changed[at] if at in changed else self.row(*at)
            version = now.version if now else 0
            if put.expect is not None and put.expect != version:
                raise Conflict(f"the {put.kind} `{put.key}` was changed by somebody else", "look at it, then try again")
            # Versions are never used twice, so a row that was deleted and made again is another row.
            revision += 1
            changed[at] = None if put.value is None else Row(value=put.value, version=revision)
        return changed, revision

    def _reserved(self, reserves: Iterable[Reserve]) -> dict[str, int]:
        changed: dict[str, int] = {}
        for reserve in reserves:
            name = reserve.counter
            after = (changed[name] if name in changed else self.counter(name)) + reserve.amount
            if after < 0 or (reserve.most is not None and after > reserve.most):
                raise Denied(Reason.COMMIT_BUDGET, f"`{name}` would be {after} of {reserve.most}")
            changed[name] = after
        return changed

    def _new_blobs(self, blobs: Mapping[str, bytes]) -> dict[str, bytes]:
        if not blobs:
            return {}
        new = {name: data for name, data in blobs.items() if name not in self._blobs}
        for name, data in new.items():
            if digest(data) != name:
                raise CallerFault(f"a blob does not have the digest `{name}`")
        return new

    def _sequence(self, draft: Draft, delta: Delta, *, tasks: dict[str, int], salts: Callable[[], bytes]) -> None:
        """Add one draft to the delta as the next receipt."""
        seq, task, n = delta.size, draft.task, None
        if task is not None:
            n = tasks[task] if task in tasks else self._tasks.get(task, 0)
            tasks[task] = n + 1
        values, hash_only, hashes = draft.values, draft.hash_only, {}
        kept: list[Value] = []
        if len(values) > VALUES_PER_RECEIPT_MAX:
            raise CallerFault(f"a receipt has {len(values)} values, at most {VALUES_PER_RECEIPT_MAX} are kept")
        for name, data in values.items():
            salt = salts()
            salted = _sha256(salt)
            salted.update(data)  # the two are never put together: a value may be large
            hashes[name] = f"sha256:{salted.hexdigest()}"
            if name not in hash_only:
                kept.append(Value(seq=seq, name=name, salt=salt, data=data))
        if kept:
            delta.values[seq] = kept
        self._track(draft, delta)
        data = _encode(Receipt(seq=seq, at=delta.high, body=draft.body, v=FORMAT, task=task, n=n, values=hashes))
        delta.leaves.append(Leaf(seq, task, n, data, leaf_hash(data)))
        delta.size = seq + 1

    def _track(self, draft: Draft, delta: Delta) -> None:
        body, seq = draft.body, delta.size
        if isinstance(body, Intent):
            delta.opened[seq] = OpenIntent(seq, body, draft.task)
        elif isinstance(body, Outcome):
            answered = body.intent
            intent = delta.opened.get(answered) or self.open.get(answered)
            if intent is None or answered in delta.closed:
                raise CallerFault(f"receipt {answered} is no open intent")
            if intent.intent.asked.call != body.call or intent.task != draft.task:
                raise CallerFault(f"receipt {answered} is the intent of another call")
            delta.closed.append(answered)
        elif isinstance(body, Erasure):
            if any(not 0 <= erased < seq for erased in body.receipts):
                raise CallerFault("an erasure names a receipt that is not before it")
            delta.erased.extend(body.receipts)

    def _adopt(self, delta: Delta, tasks: dict[str, int]) -> None:
        """Nothing below can fail: what was checked becomes true."""
        self.take(delta)
        self.high, self._revision = delta.high, delta.revision
        for leaf in delta.leaves:
            self.frontier.append(leaf.hash)
        delta.peaks = tuple(self.frontier.peaks)
        self._tasks.update(tasks)
        self._blobs.update(delta.blobs)
        self.open.update(delta.opened)
        for seq in delta.closed:
            del self.open[seq]

    def _count(self, counters: Mapping[str, int]) -> None:
        for name, value in counters.items():
            if name not in self._counters:
                self._groups.setdefault(_group(name), []).append(name)
            self._counters[name] = value


def _group(name: str) -> str:
    """The first two segments, empty if there are fewer; so a task's counters are found without reading every task's."""
    first, slash, rest = name.partition("/")
    second, closing, _ = rest.partition("/")
    return f"{first}/{second}/" if slash and closing else ""
