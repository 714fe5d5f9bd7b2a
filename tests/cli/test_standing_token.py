"""Tokens that stand for days: an operator's act, on record, named with their age until they end."""

import json
import sqlite3
import time

import pytest

from remit.edge.cli import checkup
from remit.edge.cli.home import Home
from remit.edge.cli.offline import ask
from remit.limits import STANDING_TOKEN_DAYS_MAX, STANDING_TOKEN_OLD_DAYS

DAY_MS = 24 * 3600 * 1000
ISSUE = ("agent", "standing-token", "scout", "--reason", "an editor")


@pytest.fixture
def issued(remit, staffed):
    """One that was issued for thirty days."""
    return remit(*ISSUE, "--days", "30", "--json").json


def listed(remit):
    [scout] = remit("agent", "list", "--json").json["agents"]
    return scout["standing"]


def later(monkeypatch, days):
    """What the clock says some days from now, at the gateway and at the keyboard."""
    then = time.time_ns() + days * 24 * 3600 * 10**9
    monkeypatch.setattr("remit.app.time.time_ns", lambda: then)


def test_it_is_told_once_and_kept_nowhere(remit, staffed, issued):
    assert issued["token"].count(".") == 2
    everything = b"".join(path.read_bytes() for path in staffed.rglob("*") if path.is_file())
    signature = issued["token"].rpartition(".")[2]
    assert signature.encode() not in everything
    assert issued["jti"].encode() in everything
    for shown in (remit("agent", "list"), remit("ledger", "show"), remit("doctor", "--json")):
        assert signature not in shown.out + shown.err


def test_the_token_alone_is_printed_to_be_piped(remit, staffed):
    ran = remit(*ISSUE, "--days", "1")
    assert ran.out.removesuffix("\n").count(".") == 2
    assert "remit agent revoke --token" in ran.err


def test_it_is_listed_with_its_age_its_actor_and_its_reason(remit, issued):
    [token] = listed(remit)
    assert (token["jti"], token["agent"], token["reason"]) == (issued["jti"], "scout", "an editor")
    assert (token["url"], token["expires"]) == (issued["url"], issued["expires"])
    assert token["expires"] - token["issued"] == 30 * DAY_MS
    shown = remit("agent", "list").out
    assert f"standing privilege: token {issued['jti']} of scout for {issued['url']}, issued" in shown
    assert ": an editor" in shown


def test_it_is_for_one_connector_if_one_is_named(remit, staffed):
    everywhere = remit(*ISSUE, "--days", "1", "--json").json["url"]
    assert remit(*ISSUE, "--days", "1", "--connector", "git", "--json").json["url"] == f"{everywhere}/git"


def test_a_receipt_says_who_issued_and_who_ended_it(remit, issued):
    assert remit("agent", "revoke", "--token", issued["jti"], "--reason", "lost").code == 0
    shown = remit("ledger", "show").out
    assert f"{issued['jti']} of scout: an editor" in shown
    assert f"{issued['jti']} of scout: lost" in shown
    receipts = remit("ledger", "show", "--json").json["receipts"]
    events = [one["body"] for one in receipts if one["body"]["kind"] == "inventory"]
    assert [(body["event"], body["what"], body["name"], body["agent"], body["reason"]) for body in events] == [
        ("issued", "token", issued["jti"], "scout", "an editor"),
        ("revoked", "token", issued["jti"], "scout", "lost"),
    ]
    assert (events[0]["audience"], events[0]["expires"]) == (issued["url"], issued["expires"])


def test_revoked_it_is_gone_and_stays_so(remit, issued):
    revoke = ("agent", "revoke", "--token", issued["jti"], "--reason", "lost")
    assert remit(*revoke).out.startswith(f"token {issued['jti']} is revoked")
    assert listed(remit) == []
    assert (remit(*revoke).code, "already revoked" in remit(*revoke).err) == (2, True)


def test_a_revoked_token_cannot_be_restored(remit, issued, staffed):
    remit("agent", "revoke", "--token", issued["jti"], "--reason", "lost")
    assert remit("agent", "restore", "--token", issued["jti"]).code == 2

    # The command line takes none; the door itself does not either.
    body = json.dumps({"what": "token", "name": issued["jti"], "reason": ""}).encode()
    status, answer = ask(Home(staffed), "POST", path="/v1/restorations", body=body)
    assert (status, b"stays revoked" in answer) == (400, True)


WRONG = {
    "too long": (*ISSUE, "--days", STANDING_TOKEN_DAYS_MAX + 1),
    "for no time": (*ISSUE, "--days", "0"),
    "for less than none": (*ISSUE, "--days", "-1"),
    "for no number": (*ISSUE, "--days", "many"),
    "for ever": ISSUE,
    "without a reason": ("agent", "standing-token", "scout", "--days", "1"),
    "with an empty reason": ("agent", "standing-token", "scout", "--days", "1", "--reason", "  "),
    "of nobody": ("agent", "standing-token", "mole", "--days", "1", "--reason", "x"),
    "for no connector": (*ISSUE, "--days", "1", "--connector", "nowhere"),
    "for a path": (*ISSUE, "--days", "1", "--connector", "../v1"),
    "revoking what is none": ("agent", "revoke", "--token", "x", "--reason", "x"),
}


@pytest.mark.parametrize("typed", WRONG.values(), ids=WRONG)
def test_what_is_not_to_be_is_refused(remit, staffed, typed):
    assert remit(*typed).code == 2
    assert listed(remit) == []


def test_a_revoked_agent_gets_none(remit, staffed):
    remit("agent", "revoke", "scout", "--reason", "x")
    assert remit(*ISSUE, "--days", "1").code == 2


def test_an_agent_of_an_issuer_gets_none(remit, staffed):
    file = staffed / "remit.yaml"
    before, _, row = file.read_text().rpartition("\n  scout:\n")
    file.write_text(f"{before}\n  scout:\n    identity: {{issuer: ci, subject: scout}}\n{row}")
    ran = remit(*ISSUE, "--days", "1")
    assert (ran.code, "issuer's tokens" in ran.err) == (2, True), ran.err


@pytest.mark.parametrize("roles", ["requester", "auditor"])
def test_only_an_operator_issues_one_and_anybody_may_end_it(remit, staffed, issued, roles):
    file = staffed / "remit.yaml"
    before, _, rest = file.read_text().partition("roles: [")
    file.write_text(f"{before}roles: [{roles}]{rest.partition(']')[2]}")
    assert remit(*ISSUE, "--days", "1").code == 3
    assert remit("agent", "revoke", "--token", issued["jti"], "--reason", "x").code == 0


def test_expired_it_is_not_listed_and_forgotten_with_the_next(remit, staffed, issued, monkeypatch):
    gone = remit(*ISSUE, "--days", "1", "--json").json["jti"]
    remit("agent", "revoke", "--token", gone, "--reason", "x")
    later(monkeypatch, 31)
    assert listed(remit) == []
    kept = remit(*ISSUE, "--days", "1", "--json").json["jti"]
    with sqlite3.connect(staffed / "state" / "remit.db") as db:
        rows = db.execute("SELECT kind, key FROM state WHERE kind IN ('standing', 'revoked')").fetchall()
    assert rows == [("standing", kept)]


def _doctor(remit):
    return [found for found in remit("doctor", "--json").json["findings"] if found["what"] == "standing"]


def test_doctor_asks_about_an_old_one(remit, staffed, monkeypatch):
    jti = remit(*ISSUE, "--days", "90", "--json").json["jti"]
    later(monkeypatch, STANDING_TOKEN_OLD_DAYS - 1)
    monkeypatch.setattr(checkup, "now_ms", lambda: time.time_ns() // 10**6)
    assert _doctor(remit) == []
    later(monkeypatch, STANDING_TOKEN_OLD_DAYS + 1)
    [found] = _doctor(remit)
    assert (found["state"], jti in found["told"], f"--token {jti}" in found["advice"]) == ("warning", True, True)


def test_what_a_reason_hides_is_made_visible(remit, staffed):
    remit("agent", "standing-token", "scout", "--days", "1", "--reason", "a\u202eb\x1b[31m")
    assert r"a\u{202e}b\u{1b}[31m" in remit("agent", "list").out
