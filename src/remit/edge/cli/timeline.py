"""The record as a person reads it: one line for each call and each event.

A call's intent waits for its outcome and becomes one line with it; one whose outcome never came says so. Everything
shown came from a receipt or the values beside it and is treated as hostile text.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from remit.edge.cli.output import Screen, visible
from remit.ledger.receipt import (
    Actor,
    Alarm,
    AnyBody,
    Asked,
    Completion,
    ContractEvent,
    Denial,
    Erasure,
    GatewayEvent,
    Intent,
    InventoryEvent,
    KeyEvent,
    Noise,
    Outcome,
    PolicyEvent,
    Receipt,
    TaskEvent,
)

_GOOD: Final = ("✓", "good")
_BAD: Final = ("✗", "bad")
_ODD: Final = ("!", "wait")
_EVENT: Final = ("·", "dim")
_NO_OUTCOME: Final = "no outcome is recorded: it may have taken effect"
_SHORT_DIGEST: Final = len("sha256:") + 12


class Entry(NamedTuple):
    """One line: receipt number, epoch ms, who, what, what became of it; `more` is by which policies and on which data.
    `mark` is a sign and its style.
    """

    seq: int
    at: int
    mark: tuple[str, str]
    who: str
    what: str
    became: str
    more: str = ""


class _Touched(Struct):
    """What is shown of a resource in the value `touched`; the catalogue, which wrote it, is slow to load."""

    data_class: str
    value: str


class Timeline:
    """Takes receipts in order, gives entries. `values` are those kept beside each receipt, by name."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[Receipt, Intent, str]] = {}

    def take(self, receipt: Receipt, values: Mapping[str, bytes]) -> Iterator[Entry]:
        """What can be told now that this receipt is known."""
        match receipt.body:
            case Intent() as intent:
                self._waiting[receipt.seq] = (receipt, intent, _touched(values))
            case Outcome() as outcome:
                yield self._ended(receipt, outcome)
            case Denial() as denial:
                yield _refused(receipt, denial, touched=_touched(values))
            case body:
                yield _event(receipt, body)

    def rest(self) -> Iterator[Entry]:
        """The calls whose outcome has not come."""
        for receipt, intent, touched in self._waiting.values():
            asked = intent.asked
            yield Entry(receipt.seq, receipt.at, _ODD, asked.agent, _target(asked), f"ALLOW  {_NO_OUTCOME}", touched)
        self._waiting.clear()

    def _ended(self, receipt: Receipt, outcome: Outcome) -> Entry:
        known = self._waiting.pop(outcome.intent, None)
        why = f" ({outcome.reason}{': ' if outcome.detail else ''}{outcome.detail})" if outcome.reason else ""
        told = f"{outcome.outcome}{why} in {outcome.duration_ms} ms"
        if known is None:
            return Entry(receipt.seq, receipt.at, _ODD, "", f"outcome of receipt {outcome.intent}", told)
        first, intent, touched = known
        mark = _GOOD if outcome.outcome == "completed" else _ODD
        asked, more = intent.asked, f"{_by(intent.asked.policies)}{touched}"
        return Entry(first.seq, first.at, mark, asked.agent, _target(asked), f"ALLOW  {told}", more)


def line(entry: Entry, screen: Screen, *, since: int) -> str:
    """One entry as text; `since` is the moment (epoch ms) its relative time counts from."""
    sign, style = entry.mark
    clock = time.strftime("%H:%M:%S", time.localtime(entry.at / 1000))
    relative = f"+{(entry.at - since) / 1000:.1f}s"
    who, what = visible(entry.who, most=40), visible(entry.what, most=80)
    when = screen.paint(f"{clock} {relative:>9} {'#' + str(entry.seq):>6}", "dim")
    return f"{when}  {screen.paint(sign, style)} {who:<12} {what:<28}  {visible(entry.became + entry.more)}".rstrip()


def _refused(receipt: Receipt, denial: Denial, *, touched: str) -> Entry:
    asked = denial.asked
    detail = f": {denial.detail}" if denial.detail else ""
    needs = f"  needs {', '.join(denial.approvals)}" if denial.approvals else ""
    times = f"  {denial.count} times" if denial.count > 1 else ""
    told = f"{denial.verdict:<5}  {denial.reason}{detail}{needs}{times}"
    # A denial by policy names the policies in its detail.
    by = "" if detail and asked.policies else _by(asked.policies)
    return Entry(receipt.seq, receipt.at, _BAD, asked.agent, _target(asked), told, f"{by}{touched}")


def _target(asked: Asked) -> str:
    return f"{asked.connector}/{asked.name}" if asked.connector or asked.name else asked.method


def _by(policies: tuple[str, ...]) -> str:
    return f"  by {', '.join(policies)}" if policies else ""


def _touched(values: Mapping[str, bytes]) -> str:
    kept = values.get("touched")
    if kept is None:
        return ""
    touched = msgspec.json.decode(kept, type=tuple[_Touched, ...])
    return "  on " + ", ".join(f"{one.data_class} {one.value}" for one in touched)


def _event(receipt: Receipt, body: AnyBody) -> Entry:
    who, what, became = _TELL[type(body)](body)
    mark = _ODD if isinstance(body, Alarm | Noise) else _EVENT
    return Entry(receipt.seq, receipt.at, mark, who, what, became)


def _completion(body: Completion) -> tuple[str, str, str]:
    why = ": ".join(said for said in (body.reason, body.detail) if said)
    return "", f"receipt {body.intent} ended", f"{body.outcome} ({why})" if why else body.outcome


def _task(body: TaskEvent) -> tuple[str, str, str]:
    why = f": {body.reason}" if body.reason else ""
    about = f"{body.agent} for {body.purpose}, asked by {body.requester} ({body.requester_proof})"
    return _name(body.actor), f"task {body.move}", f"{body.state}  {about}{why}"


def _policy(body: PolicyEvent) -> tuple[str, str, str]:
    changes = f"+{len(body.added)} -{len(body.removed)} ~{len(body.changed)}"
    return _name(body.actor), "policy applied", f"{_short(body.policy_set)}  {changes}"


def _contract(body: ContractEvent) -> tuple[str, str, str]:
    about = f"{body.contract_kind} {body.connector}/{body.name}"
    return _name(body.actor), f"contract {body.event}", f"{about}  {_short(body.digest)}"


def _inventory(body: InventoryEvent) -> tuple[str, str, str]:
    why = f": {body.reason}" if body.reason else ""
    whose = f" of {body.agent}" if body.agent else ""
    return _name(body.actor), f"{body.what} {body.event}", f"{body.name}{whose}{why}"


def _key(body: KeyEvent) -> tuple[str, str, str]:
    return _name(body.actor), f"{body.purpose} key rotated", body.new


def _gateway(body: GatewayEvent) -> tuple[str, str, str]:
    return "gateway", f"gateway {body.event}", f"boundary {body.boundary}, catalogue {_short(body.catalogue)}"


def _noise(body: Noise) -> tuple[str, str, str]:
    counts = ", ".join(f"{reason} {count}" for reason, count in sorted(body.counts.items()))
    return "", "without identity", counts


def _alarm(body: Alarm) -> tuple[str, str, str]:
    return "gateway", f"alarm {body.alarm}", body.detail


def _erasure(body: Erasure) -> tuple[str, str, str]:
    return _name(body.actor), "values erased", f"of {', '.join(map(str, body.receipts))}: {body.reason}"


_TELL: Final[Mapping[type[Any], Callable[[Any], tuple[str, str, str]]]] = {
    Completion: _completion,
    TaskEvent: _task,
    PolicyEvent: _policy,
    ContractEvent: _contract,
    InventoryEvent: _inventory,
    KeyEvent: _key,
    GatewayEvent: _gateway,
    Noise: _noise,
    Alarm: _alarm,
    Erasure: _erasure,
}


def _name(actor: Actor) -> str:
    return actor.name


def _short(digest: str) -> str:
    return digest[:_SHORT_DIGEST]
