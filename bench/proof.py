"""What the ledger says of a run: exported, verified, and held against what was really called and really arrived.

A figure counts only if every call behind it is on record: as many intents as calls were made, each with the digest
of that very call, each closed by one outcome `completed`. Arrivals at the tool server are counted in `cells.py`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from bench import tools
from bench.home import CONNECTOR, Desk
from remit.call import Ask, Call, call_digest, decode
from remit.edge.keys.signing import load_signer
from remit.edge.store.export import export, load
from remit.edge.store.sqlite import open_readonly
from remit.ledger.checkpoint import parse_key
from remit.ledger.receipt import Denial, Intent, Outcome, Receipt, Value
from remit.ledger.verify import Report, verify


class Unproven(Exception):
    """The record and the run do not agree."""


class Claim(NamedTuple):
    """What a run says it did: the calls of one task, by serial, each with so many lines in its arguments."""

    task: str
    tool: str
    serials: Sequence[int]
    lines: int = 0


class Proof(NamedTuple):
    """What was found to hold, of one ledger."""

    receipts: int
    calls: int
    checkpoints: int


_RECEIPT = msgspec.json.Decoder(Receipt)


async def proven(desk: Desk, claims: Sequence[Claim], directory: Path) -> Proof:
    """Export and verify the ledger of a home whose gateway has stopped. Raises `Unproven`, `Unverified`."""
    key = load_signer(desk.home.keys / "ledger.key").verifier_key()
    ledger = await open_readonly(desk.home.database)
    try:
        await export(ledger, directory, keys=[key])
    finally:
        await ledger.close()
    bundle = load(directory)
    report: Report = verify(bundle, [parse_key(key)])
    if report.open_intents:
        raise Unproven(f"{len(report.open_intents)} calls have no outcome")
    record = Record(bundle.leaves, bundle.values)
    for claim in by_task(claims):
        record.holds(claim, contract=desk.contracts[claim.tool])
    return Proof(report.receipts, sum(len(claim.serials) for claim in claims), report.checkpoints)


def by_task(claims: Sequence[Claim]) -> list[Claim]:
    """What was called of one task, once or in several goes, as one claim."""
    found: dict[str, Claim] = {}
    for claim in claims:
        before = found.get(claim.task, claim._replace(serials=()))
        if (before.tool, before.lines) != (claim.tool, claim.lines):
            raise Unproven("a task was called in two ways")
        found[claim.task] = before._replace(serials=(*before.serials, *claim.serials))
    return list(found.values())


class Record:
    """The calls of a verified ledger, task by task. `values` are those beside its receipts."""

    def __init__(self, leaves: Iterable[bytes], values: Iterable[Value]) -> None:
        self._digests = {value.seq: value.data.decode() for value in values if value.name == "digest"}
        self._intents: dict[str, dict[int, str]] = {}
        self._outcomes: dict[str, Counter[int]] = {}
        self._other: Counter[str] = Counter()
        for leaf in leaves:
            self._add(_RECEIPT.decode(leaf))

    def holds(self, claim: Claim, *, contract: str) -> None:
        """Raises `Unproven` unless intents and outcomes of the task are exactly those of the claim."""
        intents, outcomes = self._intents.get(claim.task, {}), self._outcomes.get(claim.task, Counter())
        expected = sorted(digest_of(serial, claim, contract) for serial in claim.serials)
        if self._other[claim.task]:
            raise Unproven(f"{self._other[claim.task]} calls of the task did not complete")
        if len(intents) != len(expected) or set(outcomes.values()) - {1} or outcomes.keys() != intents.keys():
            raise Unproven(f"{len(expected)} calls, {len(intents)} intents, {outcomes.total()} outcomes")
        if sorted(intents.values()) != expected:
            raise Unproven("an intent is not that of a call that was made")

    def _add(self, receipt: Receipt) -> None:
        body, task = receipt.body, receipt.task or ""
        if isinstance(body, Intent):
            self._intents.setdefault(task, {})[receipt.seq] = self._digests.get(receipt.seq, "")
        elif isinstance(body, Outcome) and body.outcome == "completed":
            self._outcomes.setdefault(task, Counter())[body.intent] += 1
        elif isinstance(body, Outcome | Denial):
            self._other[task] += 1


def digest_of(serial: int, claim: Claim, contract: str) -> str:
    """The digest of the call with that serial, as whoever knows the call computes it."""
    call = replace(_called(claim.tool), canonical=Raw(tools.arguments(serial, claim.lines)))
    return call_digest(call, task=claim.task, contract=contract)


@cache
def _called(tool: str) -> Call:
    """A call of the tool, whatever its arguments."""
    params = {"name": tool, "arguments": {}}
    return decode(Ask(method="tools/call", params=params, token=None, audience="", connector=CONNECTOR), "")
