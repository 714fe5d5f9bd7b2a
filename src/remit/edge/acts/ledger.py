"""Erasing values that lie beside receipts. The receipts and their hashes stay, so the log still verifies."""

from msgspec import Struct

from remit.commit.facts import Store
from remit.commit.model import Write
from remit.edge.acts.who import Who, may
from remit.errors import CallerFault
from remit.ledger.receipt import Draft, Erasure


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
        """Erase the values beside receipts; the erasure is itself a receipt."""
        may(who, "ledger.erase")
        if not given.receipts or not given.reason:
            raise CallerFault("an erasure names receipts and a reason", "`remit ledger erase RECEIPT… --reason WHY`")
        event = Erasure(receipts=given.receipts, actor=who.actor, reason=given.reason)
        written = await self._store.write(Write(drafts=(Draft(body=event),)))
        return Erased(receipt=written.seqs[0])
