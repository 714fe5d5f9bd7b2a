"""The timeline tells every kind of receipt, and nothing a receipt holds can disturb the terminal."""

import io
from typing import Any, get_args

import msgspec
import pytest

from remit.catalogue.classify import Touched
from remit.edge.cli.output import Screen
from remit.edge.cli.timeline import Timeline, line
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

ANA = Actor(name="ana", kind="human", via="socket")
LOG = Asked(
    call="c1", door="mcp-http", method="tools/call", connector="git", name="git_log", agent="scout", policies=("reads",)
)
TOUCHED = msgspec.json.encode((Touched(data_class="internal", pointer="/repo_path", value="/srv/repo"),))

# Body → the words its line holds.
EVENTS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "denial": (
        Denial(asked=LOG, verdict="DENY", reason="schema.arguments", detail="max_count"),
        ("✗ scout", "git/git_log", "DENY   schema.arguments: max_count"),
    ),
    "step up": (
        Denial(asked=LOG, verdict="STEP_UP", reason="approval.required", approvals=("prod",), count=3),
        ("STEP_UP", "needs prod", "3 times"),
    ),
    "denial of nothing known": (
        Denial(asked=Asked(call="c", door="d", method="tools/call"), verdict="DENY", reason="call.malformed"),
        ("tools/call", "call.malformed"),
    ),
    "task": (
        TaskEvent(
            move="open", state="open", agent="scout", purpose="triage", requester="person/ana",
            requester_proof="authenticated", origin="declared", actor=ANA, expires=9, reason="because",
        ),
        ("· ana", "task open", "scout for triage, asked by person/ana (authenticated): because"),
    ),
    "policy": (
        PolicyEvent(policy_set="sha256:" + "a" * 64, added=("x",), actor=ANA),
        ("sha256:aaaaaaaaaaaa", "+1 -0 ~0"),
    ),
    "contract": (
        ContractEvent(event="drifted", connector="time", contract_kind="tool", name="now", digest="b", actor=ANA),
        ("contract drifted", "tool time/now"),
    ),
    "inventory": (
        InventoryEvent(event="revoked", what="agent", name="scout", reason="stolen", actor=ANA),
        ("agent revoked", "scout: stolen"),
    ),
    "key": (
        KeyEvent(purpose="ledger", old="o", new="n", signed_by_old="", signed_by_new="", actor=ANA),
        ("ledger key rotated",),
    ),
    "gateway": (
        GatewayEvent(event="started", version="1", engine="e", boundary="same-user", catalogue="sha256:c"),
        ("gateway started", "same-user"),
    ),
    "noise": (Noise(counts={"identity.missing": 3}, first=1, last=2), ("! ", "identity.missing 3")),
    "alarm": (Alarm(alarm="disk", detail="100 MB left"), ("alarm disk", "100 MB left")),
    "erasure": (Erasure(receipts=(3, 4), actor=ANA, reason="asked"), ("values erased", "of 3, 4: asked")),
}  # fmt: skip


def told(*receipts: tuple[Any, dict[str, bytes]], rest: bool = False) -> list[str]:
    timeline, screen = Timeline(), Screen(out=io.StringIO())
    entries = []
    for seq, (body, values) in enumerate(receipts):
        entries += timeline.take(Receipt(seq=seq, at=1_000 + seq * 500, body=body), values)
    return [line(entry, screen, since=1_000) for entry in (*entries, *(timeline.rest() if rest else ()))]


@pytest.mark.parametrize("body, words", EVENTS.values(), ids=EVENTS)
def test_every_kind_of_receipt_is_one_line(body, words):
    [shown] = told((body, {}))
    for word in words:
        assert word in shown


def test_no_kind_of_receipt_is_forgotten():
    covered = {type(body) for body, _ in EVENTS.values()} | {Completion, Intent, Outcome}  # tests of their own
    assert covered == set(get_args(AnyBody))


def test_an_intent_and_its_outcome_are_one_line():
    outcome = Outcome(call="c1", intent=0, outcome="completed", duration_ms=42)
    [shown] = told((Intent(asked=LOG, epoch=0), {"touched": TOUCHED}), (outcome, {}))
    assert "+0.0s     #0" in shown
    assert "✓ scout" in shown
    assert "ALLOW  completed in 42 ms  by reads  on internal /srv/repo" in shown


def test_an_outcome_that_is_no_success_says_why():
    outcome = Outcome(call="c1", intent=0, outcome="unknown", reason="upstream.died", detail="gone", duration_ms=1)
    [shown] = told((Intent(asked=LOG, epoch=0), {}), (outcome, {}))
    assert "! scout" in shown
    assert "unknown (upstream.died: gone)" in shown


def test_an_intent_without_an_outcome_is_told_at_the_end():
    assert told((Intent(asked=LOG, epoch=0), {})) == []
    [shown] = told((Intent(asked=LOG, epoch=0), {}), rest=True)
    assert "no outcome is recorded" in shown


def test_an_outcome_whose_intent_is_elsewhere_is_still_told():
    [shown] = told((Outcome(call="c1", intent=7, outcome="completed"), {}))
    assert "outcome of receipt 7" in shown


@pytest.mark.holds("INV-11")
def test_hostile_names_stay_on_their_line():
    asked = msgspec.structs.replace(LOG, name="x\n\x1b[2J\u202e", agent="a\rb")
    [shown] = told((Denial(asked=asked, verdict="DENY", reason="r", detail="\u2028"), {}))
    assert shown.isprintable()
