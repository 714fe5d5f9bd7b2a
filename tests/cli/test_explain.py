"""`remit policy explain`: the decision derived again from the record, and held against it."""

import json

import msgspec
import pytest

from tests.cli.recorded import allowed, completed, forbidden, malformed, record

ALLOWED, DENIED, MALFORMED, LYING = 1, 3, 4, 5


@pytest.fixture
def recorded(made):
    """A home with a decision of each kind, and one whose receipt states another policy than decided."""
    lie = allowed()
    asked = msgspec.structs.replace(lie.body.asked, policies=("starter.writes",))
    lie = msgspec.structs.replace(lie, body=msgspec.structs.replace(lie.body, asked=asked))
    record(made, allowed("t"), completed(ALLOWED, "t"), forbidden(), malformed(), lie)
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


def test_a_call_refused_before_policy_says_so(explain):
    assert "receipt 4: DENY, before policy was asked" in explain(MALFORMED).out
    assert explain(MALFORMED, "--json").json["reason"] == "schema.arguments"


def test_a_record_that_leads_elsewhere_is_not_verified(explain):
    ran = explain(LYING)
    assert (ran.code, "leads to another decision" in ran.err) == (8, True)


@pytest.mark.parametrize("seq, words", [(0, "no decision"), (2, "no decision"), (99, "no receipt 99")])
def test_what_is_no_decision_cannot_be_explained(explain, seq, words):
    ran = explain(seq)
    assert (ran.code, words in ran.err) == (2, True)


@pytest.mark.parametrize("name, words", [("arguments", "arguments"), ("facts", "not kept")])
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
