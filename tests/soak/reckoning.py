"""The account of a run: what clients were told, what arrived at the tool servers, and what is on record.

Rules, each a method: a call that arrived has an intent, and arrived once; an intent has one outcome, and one that says
`not_sent` did not arrive; a call that was released completed; a call that was refused has its receipt, which gives the
reason; denials and noise are counted, no fewer than clients heard.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from remit.ledger.receipt import Denial, Intent, Noise, Outcome, Receipt, Value
from remit.reasons import WORDS, Reason
from tests.soak.clients import Notes

SENT = frozenset({"completed", "tool_error", "withheld"})


class Record:
    """What an exported ledger says, read a line at a time. Intents and outcomes are by `n` of the arguments."""

    def __init__(self, bundle: Path) -> None:
        self.intents: dict[int, int] = {}  # seq of the intent → n
        self.outcomes: dict[int, Outcome] = {}  # seq of the intent → outcome
        self.denials: dict[int, str] = {}  # seq → reason
        self.denied: Counter[str] = Counter()
        self.noise: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.twice: list[int] = []
        touched = {
            value.seq: int(json.loads(value.data)[0]["value"]) for value in _lines(bundle, "values.jsonl", Value)
        }
        for receipt in _lines(bundle, "leaves.jsonl", Receipt):
            self._add(receipt, touched)

    def _add(self, receipt: Receipt, touched: Mapping[int, int]) -> None:
        body = receipt.body
        self.kinds[type(body).__name__] += 1
        if isinstance(body, Intent):
            self.intents[receipt.seq] = touched[receipt.seq]
        elif isinstance(body, Outcome):
            if body.intent in self.outcomes:
                self.twice.append(body.intent)
            self.outcomes[body.intent] = body
        elif isinstance(body, Denial):
            self.denials[receipt.seq] = body.reason
            self.denied[body.reason] += body.count
        elif isinstance(body, Noise):
            self.noise.update(body.counts)


class Reckoning:
    """Everything that does not add up, as sentences; `arrived` are the `n` in the order they arrived."""

    def __init__(self, record: Record, notes: Notes, arrived: Iterable[int]) -> None:
        self._record = record
        self._notes = notes
        self._arrived = Counter(arrived)
        self._ended = {record.intents[seq]: outcome for seq, outcome in record.outcomes.items()}

    def faults(self) -> list[str]:
        return [
            *self.arrivals(),
            *self.endings(),
            *self.releases(),
            *self.refusals(),
            *self.counts(),
        ]

    def arrivals(self) -> Iterator[str]:
        known = Counter(self._record.intents.values())
        yield from (f"call {n} has {times} intents" for n, times in known.items() if times > 1)
        yield from (f"call {n} arrived {times} times" for n, times in self._arrived.items() if times > 1)
        yield from (f"call {n} arrived without an intent" for n in self._arrived if n not in known)

    def endings(self) -> Iterator[str]:
        yield from (f"the intent {seq} has two outcomes" for seq in self._record.twice)
        for seq, n in self._record.intents.items():
            ended = self._ended.get(n)
            if ended is None:
                yield f"the intent {seq} of call {n} has no outcome"
            elif ended.outcome == "not_sent" and n in self._arrived:
                yield f"call {n} arrived, and its outcome says it was not sent: {ended.detail}"
            elif ended.outcome in SENT and n not in self._arrived:
                yield f"call {n} is on record as `{ended.outcome}`, and never arrived"

    def releases(self) -> Iterator[str]:
        for n in self._notes.released:
            ended = self._ended.get(n)
            if ended is None or ended.outcome not in {"completed", "tool_error"}:
                yield f"call {n} was released, its outcome is {ended}"

    def refusals(self) -> Iterator[str]:
        # A denial is named by its own receipt, a call whose result is withheld by its intent.
        receipts = self._record.denials | {seq: outcome.reason for seq, outcome in self._record.outcomes.items()}
        for n, (reason, receipt) in self._notes.refused.items():
            # Reasons that look alike to an agent name no receipt; `counts` covers them.
            if receipt and receipts.get(int(receipt)) != reason:
                yield f"call {n} was refused for {reason}, receipt {receipt} says {receipts.get(int(receipt))}"

    def counts(self) -> Iterator[str]:
        if self._record.noise.total() < self._notes.statuses[401]:
            yield f"{self._notes.statuses[401]} requests were turned away, {self._record.noise} are on record"
        heard = Counter(reason for n, (reason, _) in self._notes.refused.items() if n not in self._ended)
        recorded: Counter[str] = Counter()
        for reason, times in self._record.denied.items():
            recorded[WORDS[Reason(reason)].like or reason] += times
        for reason, times in heard.items():
            if recorded[reason] < times:
                yield f"{times} calls were refused for {reason}, {recorded[reason]} are on record"
        yield from (f"the gateway failed {times} times: {said}" for said, times in self._notes.faults.items())
        if broken := self._notes.lost["calls"]:
            yield f"{broken} connections of clients that wait and read broke"
        # 404 and 429: an agent has opened more sessions than it may hold, and the one longest unused made room.
        for status in self._notes.statuses.keys() - {200, 202, 204, 401, 404, 429}:
            yield f"{self._notes.statuses[status]} sound requests were answered {status}"


def _lines(bundle: Path, name: str, shape: type) -> Iterator:
    decoder = msgspec.json.Decoder(shape)
    with (bundle / name).open("rb") as file:
        for line in file:
            if shape is not Value or b'"name":"touched"' in line:
                yield decoder.decode(line)
