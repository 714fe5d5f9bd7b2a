"""`remit policy explain`: the decision derived again from the record, and held against it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from remit.decision import Decision
from remit.edge.cli.explanation import _BEFORE_POLICY
from tests.cli.recorded import (
    DECIDED,
    POLICIES,
    allowed,
    completed,
    forbidden,
    malformed,
    overtaken,
    record,
    spent,
    withheld,
)

FLOW = Path(__file__).parents[2] / "docs/flow"

ALLOWED, DENIED, MALFORMED, LYING, WITHHELD, SPENT, OVERTAKEN, LYING_UP = 1, 3, 4, 5, 6, 7, 8, 9


@pytest.fixture
def recorded(made):
    """A home with a decision of each kind, and one whose receipt states another policy than decided."""
    lie = allowed()
    asked = msgspec.structs.replace(lie.body.asked, policies=("starter.writes",))
    lie = msgspec.structs.replace(lie, body=msgspec.structs.replace(lie.body, asked=asked))
    calm = withheld()
    calm = msgspec.structs.replace(calm, body=msgspec.structs.replace(calm.body, approvals=()))
    kinds = (forbidden(), malformed(), lie, withheld(), spent(), overtaken(), calm)
    record(made, allowed("t"), completed(ALLOWED, "t"), *kinds)
    return made


@pytest.fixture(params=["store", "bundle"])
def explain(request, remit, recorded, tmp_path):
    """Explain a receipt from the store, and from an exported bundle where there is no home."""
    if request.param == "store":
        return lambda seq, *more: remit("policy", "explain", seq, *more)
    assert remit("ledger", "export", tmp_path / "b").code == 0
    return lambda seq, *more: remit("--home", "/nowhere", "policy", "explain", seq, "--bundle", tmp_path / "b", *more)


@pytest.mark.holds("LEDGER-EXPLAIN")
def test_an_allowed_call_names_the_permit(explain):
    shown = explain(ALLOWED).out
    assert "receipt 1: ALLOW, derived again and the same" in shown
    assert "decided by starter.reads (permit)" in shown
    assert 'permit (principal, action in Action::"read", resource);' in shown


@pytest.mark.holds("LEDGER-EXPLAIN")
def test_a_denied_call_names_the_forbid_and_what_it_read(explain):
    shown = explain(DENIED).out
    assert "receipt 3: DENY" in shown
    assert "decided by starter.same-user (forbid)" in shown
    assert 'context.boundary = "same-user"' in shown


def test_json_holds_decision_and_policies(explain):
    found = explain(DENIED, "--json").json
    assert found["decision"]["verdict"] == "DENY"
    assert "starter.same-user" in [one["id"] for one in found["determining"]]


def test_a_call_that_waits_names_the_approval_it_needs(explain):
    shown = explain(WITHHELD).out
    assert "receipt 6: STEP_UP, derived again and the same" in shown
    assert "reason    approval.required" in shown
    assert "needs     privileged-call" in shown
    assert "decided by starter.privileged-approval (forbid)" in shown


def test_a_call_refused_before_policy_says_that_policy_was_not_asked(explain):
    shown = explain(MALFORMED).out
    assert shown.splitlines() == [
        "receipt 4: DENY; policy was not asked",
        "  call      clerk tools/call desk/read",
        "  reason    schema.arguments: `/path`",
        "  policy    not asked: step 4, schema, refused the call, and policy is step 6",
    ]
    told = explain(MALFORMED, "--json").json
    assert (told["reason"], told["policy_asked"]) == ("schema.arguments", False)


def test_facts_of_an_earlier_round_do_not_make_it_policy_s_decision(explain):
    assert "not asked: step 3, task, refused the call" in explain(OVERTAKEN).out


def test_a_call_refused_after_policy_says_that_policy_had_allowed_it(explain):
    shown = explain(SPENT).out
    assert "receipt 7: ALLOW, derived again and the same" in shown
    assert "reason    commit.budget\n  refused   after policy had allowed it" in shown


WITHOUT = {
    "call.malformed": "step 1, call, refused",
    "identity.rate": "step 2, identity, refused",
    "policy.none": "none was in force",
    "gateway.fault": "the gateway failed before",
}


@pytest.mark.parametrize("reason, words", WITHOUT.items(), ids=WITHOUT)
def test_why_policy_was_not_asked_is_said(remit, made, reason, words):
    record(made, malformed(reason))
    assert f"not asked: {words}" in remit("policy", "explain", 1).out


def test_every_step_before_policy_is_known_by_its_number():
    numbered = {page.stem[3:]: int(page.stem[:2]) for page in FLOW.glob("0[1-5]-*.md")}
    assert numbered == _BEFORE_POLICY


@pytest.mark.holds("LEDGER-EXPLAIN")
@pytest.mark.parametrize("seq, verdict", [(ALLOWED, "ALLOW"), (DENIED, "DENY"), (WITHHELD, "STEP_UP")])
def test_the_identical_decision_follows_from_the_bundle_alone(remit, recorded, tmp_path, seq, verdict):
    """Another process, in a directory of its own, with no home named and the store out of reach."""
    remit("ledger", "export", tmp_path / "bundle")
    recorded.rename(tmp_path / "away")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "bundle").rename(elsewhere / "bundle")
    run = [sys.executable, "-m", "remit.edge.cli", "policy", "explain", str(seq), "--bundle", "bundle", "--json"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(elsewhere), "LC_ALL": "C.UTF-8"}
    ran = subprocess.run(run, cwd=elsewhere, env=environment, capture_output=True, check=True, timeout=60)
    again = msgspec.convert(json.loads(ran.stdout)["decision"], Decision)
    assert again == POLICIES.decide(DECIDED[verdict])
    assert again.verdict == verdict
    assert [path.name for path in elsewhere.iterdir()] == ["bundle"]


@pytest.mark.parametrize("seq", [LYING, LYING_UP])
def test_a_record_that_leads_elsewhere_is_not_verified(explain, seq):
    ran = explain(seq)
    assert (ran.code, "leads to another decision" in ran.err) == (8, True)


@pytest.mark.parametrize(
    "seq, words", [(0, "no decision"), (2, "2 is the outcome of 1\n  explain 1"), (99, "no receipt 99")]
)
def test_what_is_no_decision_cannot_be_explained(explain, seq, words):
    ran = explain(seq)
    assert (ran.code, words in ran.err) == (2, True)


@pytest.mark.parametrize("name, words", [("arguments", "arguments"), ("facts", "made from is not in the record")])
def test_values_that_are_gone_are_said_to_be(remit, recorded, tmp_path, name, words):
    remit("ledger", "export", tmp_path / "b")
    values = tmp_path / "b" / "values.jsonl"
    kept = [line for line in values.read_text().splitlines() if json.loads(line)["name"] != name]
    values.write_text("\n".join(kept) + "\n")
    ran = remit("policy", "explain", ALLOWED, "--bundle", tmp_path / "b")
    assert (ran.code, words in ran.err) == (2, True)


def test_values_that_were_changed_are_not_used(remit, recorded, tmp_path):
    remit("ledger", "export", tmp_path / "b")
    values = tmp_path / "b" / "values.jsonl"
    lines = [json.loads(line) for line in values.read_text().splitlines()]
    next(line for line in lines if line["seq"] == ALLOWED)["salt"] = "AAAAAAAAAAAAAAAAAAAAAA=="
    values.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    ran = remit("policy", "explain", ALLOWED, "--bundle", tmp_path / "b")
    assert (ran.code, "is not the one that was recorded" in ran.err) == (8, True)


@pytest.mark.holds("LEDGER-EXPLAIN")
@pytest.mark.parametrize(
    "other", [{"agent": "clerk"}, {"name": "run"}, {"tier": "write"}, {}], ids=["agent", "tool", "tier", "digest"]
)
def test_what_lies_beside_a_receipt_has_to_be_of_its_call(remit, made, other):
    draft = allowed()
    if not other:
        draft = msgspec.structs.replace(draft, values={**draft.values, "digest": b"sha256:" + b"0" * 64})
    asked = msgspec.structs.replace(draft.body.asked, **other)
    record(made, msgspec.structs.replace(draft, body=msgspec.structs.replace(draft.body, asked=asked)))
    ran = remit("policy", "explain", 1)
    assert (ran.code, "of another call than it names" in ran.err) == (8, True)
