"""Erasing values that lie beside receipts. The receipts and their hashes stay, so the log still verifies."""

import msgspec
from msgspec import Struct

from remit.commit.facts import Store
from remit.commit.model import Put, Write
from remit.edge.acts.who import Who, may
from remit.errors import CallerFault
from remit.ledger.receipt import Draft, Erasure, Receipt, TaskEvent
from remit.task.model import State, Task


class Erase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Receipts by number, and why their values have to go."""

    receipts: tuple[int, ...]
    reason: str


class Erased(Struct, frozen=True, kw_only=True):
    receipt: int


class Records:
    """Acts on the record."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def erase(self, who: Who, given: Erase) -> Erased:
        """Erase the values beside receipts, and an ended task's text with them; the erasure is itself a receipt."""
        may(who, "ledger.erase")
        if not given.receipts or not given.reason:
            raise CallerFault("an erasure names receipts and a reason", "`remit ledger erase RECEIPT… --reason WHY`")
        event = Erasure(receipts=given.receipts, actor=who.actor, reason=given.reason)
        puts = {put.key: put for seq in given.receipts if (put := await self._textless(seq)) is not None}
        written = await self._store.write(Write(puts=tuple(puts.values()), drafts=(Draft(body=event),)))
        return Erased(receipt=written.seqs[0])

    async def _textless(self, seq: int) -> Put | None:
        """The row of an ended task whose receipt this is, without its text: the text is one of the receipt's values."""
        leaf = await self._store.leaf(seq)
        receipt = None if leaf is None else msgspec.json.decode(leaf, type=Receipt)
        if receipt is None or not isinstance(receipt.body, TaskEvent) or receipt.task is None:
            return None
        row = await self._store.row("task", receipt.task)
        task = None if row is None else msgspec.json.decode(row.value, type=Task)
        if row is None or task is None or not task.text or task.state in (State.OPEN, State.SUSPENDED):
            return None
        blank = msgspec.structs.replace(task, text="")
        return Put(kind="task", key=task.id, value=msgspec.json.encode(blank), expect=row.version)
