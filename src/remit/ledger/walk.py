"""Receipt by receipt: does the record tell a possible story?

The tree proves that these are the recorded bytes. This asks whether what they say holds together: numbers, time,
each task's gap-free counter, outcomes that answer an open intent once, completions that end an accepted call once,
erasures of what came before, values that hash to what the receipt says.
"""

import hashlib
from collections.abc import Iterable

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder

from remit.errors import Unverified
from remit.ledger.receipt import FORMAT, SALT_BYTES, Completion, Erasure, Intent, Outcome, Receipt, Value


class _Versioned(Struct):
    v: int = 1


_version = Decoder(_Versioned).decode
_receipt = Decoder(Receipt).decode


def decode(seq: int, leaf: bytes) -> Receipt:
    """The receipt of a leaf. Raises `Unverified` for a version or shape this reader does not know."""
    try:
        version = _version(leaf).v
        if version != FORMAT:
            raise Unverified(
                f"receipt {seq} is of the unknown format version {version}", "verify it with a newer Remit"
            )
        return _receipt(leaf)
    except (MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise Unverified(f"receipt {seq} cannot be read") from e


def check_value(value: Value, expected: str | None) -> None:
    """Raises `Unverified` unless salt and value are those that `expected` was made of."""
    # A salt of another length would move where the value begins, and the two together would hash alike.
    hashed = "sha256:" + hashlib.sha256(value.salt + value.data).hexdigest()
    if len(value.salt) != SALT_BYTES or hashed != expected:
        raise Unverified(f"its value `{value.name}` is not the one that was recorded")


class Walk:
    """Steps through receipts in order. `scope` and `task` are the bundle's. `open` are intents without an outcome; the
    rest are counts.
    """

    def __init__(self, scope: str, task: str | None) -> None:
        self._scope, self._task = scope, task
        self._at = self._last = -1
        self.tasks: dict[str, int] = {}
        self.open: dict[int, tuple[str, str | None]] = {}
        self._answered: set[int] = set()
        self._accepted: dict[int, tuple[str, str, str | None]] = {}
        self._absent: dict[int, int] = {}
        self._kept: set[int] = set()
        self._erased: set[int] = set()
        self.checked = 0

    @property
    def erased(self) -> int:
        """Values that an erasure of this bundle accounts for."""
        return sum(count for seq, count in self._absent.items() if seq in self._erased)

    @property
    def missing(self) -> int:
        """Values that are not here and that no erasure accounts for."""
        return sum(self._absent.values()) - self.erased

    def step(self, seq: int, receipt: Receipt, *, values: Iterable[Value]) -> None:
        """Check one receipt against all before it. Raises `Unverified`, which does not say the number yet."""
        if receipt.seq != seq:
            raise Unverified(f"it says it is receipt {receipt.seq}")
        if seq <= self._last:
            raise Unverified("it stands after a later one")
        if receipt.at < self._at:
            raise Unverified("time runs backwards from the one before it")
        self._last, self._at = seq, receipt.at
        self._count(receipt)
        self._pair(receipt)
        self._check_values(receipt, values)

    def _count(self, receipt: Receipt) -> None:
        task = receipt.task
        if (task is None) != (receipt.n is None):
            raise Unverified("it has a task without a number in it, or a number without a task")
        if self._scope == "task" and task != self._task:
            raise Unverified(f"it is not of the task `{self._task}`")
        if task is None:
            return
        due = self.tasks.get(task, 0)
        if self._scope != "receipt" and receipt.n != due:
            raise Unverified(f"it is number {receipt.n} of the task `{task}`, where number {due} is due")
        self.tasks[task] = due + 1

    def _pair(self, receipt: Receipt) -> None:
        body = receipt.body
        if self._scope == "receipt":
            return
        if isinstance(body, Intent):
            self.open[receipt.seq] = (body.asked.call, receipt.task)
        elif isinstance(body, Outcome):
            self._answer(body, receipt.task)
        elif isinstance(body, Completion):
            if self._accepted.pop(body.intent, None) != (body.call, body.operation, receipt.task):
                raise Unverified(f"it ends no accepted call that goes on, which would be that of receipt {body.intent}")
        elif isinstance(body, Erasure):
            self._erase(body, receipt.seq)

    def _answer(self, body: Outcome, task: str | None) -> None:
        if body.intent in self._answered:
            raise Unverified(f"the intent of receipt {body.intent} was answered before")
        if self.open.get(body.intent) != (body.call, task):
            raise Unverified(f"it is an outcome without its intent, which would be receipt {body.intent}")
        del self.open[body.intent]
        self._answered.add(body.intent)
        if body.outcome == "accepted":
            self._accepted[body.intent] = (body.call, body.operation, task)

    def _erase(self, body: Erasure, at: int) -> None:
        if any(not 0 <= seq < at for seq in body.receipts):
            raise Unverified("it erases what is not before it")
        if still := self._kept.intersection(body.receipts):
            raise Unverified(f"it erased the values of receipt {min(still)}, which are still kept")
        self._erased.update(body.receipts)

    def _check_values(self, receipt: Receipt, values: Iterable[Value]) -> None:
        seen = set()
        for value in values:
            expected = receipt.values.get(value.name)
            if expected is None or value.name in seen:
                raise Unverified(f"it has no such value as `{value.name}`, or has it twice")
            check_value(value, expected)
            seen.add(value.name)
        self.checked += len(seen)
        if seen:
            self._kept.add(receipt.seq)
        if len(receipt.values) > len(seen):
            self._absent[receipt.seq] = len(receipt.values) - len(seen)
