"""`remit doctor` finds what is wrong, says what to do, and changes nothing."""

import os
import shutil
import time
from types import SimpleNamespace

import pytest

from remit.limits import DISK_ALARM_BYTES, DISK_RESERVE_BYTES
from tests.cli.recorded import malformed, record


def findings(ran) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for one in ran.json["findings"]:
        found.setdefault(one["what"], []).append((one["state"], one["told"]))
    return found


def test_a_new_home_is_in_order(remit, made):
    ran = remit("doctor", "--json")
    assert (ran.code, ran.json["healthy"]) == (0, True)
    states = {what: {state for state, _ in found} for what, found in findings(ran).items()}
    assert {what for what, seen in states.items() if seen == {"warning"}} == {"boundary", "checkpoints"}
    assert "problem" not in set().union(*states.values())


@pytest.mark.holds("INV-15")
def test_same_user_is_said_in_plain_words(remit, made):
    [(state, told)] = findings(remit("doctor", "--json"))["boundary"]
    assert state == "warning"
    assert "agents that run as this user can read the keys and act as you" in told


def test_a_tool_server_that_cannot_be_reached_is_named_with_its_log(remit, staffed, home, door):
    dead = {"name": "git", "state": "unreachable", "detail": "it ended", "tools": 0, "quarantined": 0}
    status = {"alarms": [], "warnings": [], "connectors": [dead], "policy_set": ""}
    door.answers["GET", "/v1/status"] = status
    lines = remit("doctor").out.splitlines()
    at = next(number for number, line in enumerate(lines) if "git is unreachable: it ended" in line)
    assert lines[at + 1].strip() == f"its log is {home}/state/logs/git.log"


def test_what_is_there_is_counted_in_words(remit, staffed):
    assert "1 agent, 1 tool server, 1 purpose" in remit("doctor").out


def test_each_fault_of_the_catalogue_has_a_line_of_its_own(remit, made):
    (made / "remit.yaml").write_text("version: 1\nagent: {}\nconnector: {}\n")
    ran = remit("doctor")
    faults = [line for line in ran.out.splitlines() if "remit.yaml" in line or "did you mean" in line]
    assert len(faults) > 1
    assert "\\u{a}" not in ran.out


def _open_key(home):
    (home / "keys" / "ledger.key").chmod(0o644)


def _open_state(home):
    (home / "state").chmod(0o755)


def _no_key(home):
    (home / "keys" / "tokens.key").unlink()


def _other_key(home):
    shutil.copy(home / "keys" / "tokens.key", home / "keys" / "ledger.key")


def _bad_catalogue(home):
    (home / "remit.yaml").write_text("version: 1\nagent: {}\n")


def _missing_program(home):
    text = (home / "remit.yaml").read_text()
    [person] = [line.strip().rstrip(":") for line in text.split("people:\n")[1].splitlines()[:1]]
    connector = f"connectors:\n  x: {{owner: {person}, environment: dev, command: [/nowhere/server]}}\n"
    (home / "remit.yaml").write_text(text + connector)


def _no_store(home):
    (home / "state" / "remit.db").unlink()


def _torn_store(home):
    database = home / "state" / "remit.db"
    database.write_bytes(b"SQLite format 3\x00" + b"\xff" * 4096)


def _forged_leaf(home):
    import sqlite3

    with sqlite3.connect(home / "state" / "remit.db") as db:
        db.execute("UPDATE leaves SET leaf = CAST(leaf || ? AS BLOB) WHERE seq = 0", (b" ",))
    db.close()


# What is done to a home → the finding that names it.
BROKEN = {
    "a key others can read": (_open_key, "modes", "open to others"),
    "state others can read": (_open_state, "modes", "open to others"),
    "a key that is gone": (_no_key, "keys", "tokens.key"),
    "a key that is another": (_other_key, "keys", "is not a ledger key"),
    "a catalogue that does not load": (_bad_catalogue, "catalogue", "remit.yaml:2"),
    "a program that is not there": (_missing_program, "tools", "/nowhere/server"),
    "no store": (_no_store, "ledger", "remit.db"),
    "a torn store": (_torn_store, "ledger", "remit.db"),
    "a forged leaf": (_forged_leaf, "ledger", "do not lead to the signed root"),
}


@pytest.mark.parametrize("breaks, what, words", BROKEN.values(), ids=BROKEN)
def test_a_problem_is_named_and_exits_with_1(remit, made, breaks, what, words):
    breaks(made)
    ran = remit("doctor", "--json")
    assert (ran.code, ran.json["healthy"]) == (1, False)
    assert [told for state, told in findings(ran)[what] if state == "problem" and words in told], ran.out
    shown = remit("doctor")
    assert shown.code == 1
    assert "✗ " in shown.out


def test_keys_of_another_user_are_named(remit, made, monkeypatch):
    me = os.geteuid()
    monkeypatch.setattr("os.geteuid", lambda: me + 1)
    told = [told for state, told in findings(remit("doctor", "--json"))["modes"] if state == "problem"]
    assert f"`{made / 'keys' / 'ledger.key'}` is owned by another user" in told
    assert not [one for one in told if "open to others" in one]


def test_policy_files_that_are_not_in_force_are_a_warning(remit, made):
    (made / "policy" / "more.cedar").write_text('@id("x")\npermit (principal, action in Action::"read", resource);\n')
    ran = remit("doctor", "--json")
    assert ran.code == 0
    assert findings(ran)["policy"][-1] == ("warning", "the files differ from the set in force")


def test_a_clock_behind_the_record_is_a_problem(remit, made, monkeypatch):
    record(made, malformed())
    monkeypatch.setattr("remit.edge.cli.soundness.now_ms", lambda: int(time.time() * 1000) - 60_000)
    [(state, told)] = findings(remit("doctor", "--json"))["clock"]
    assert state == "problem"
    assert "every call is denied" in told


@pytest.mark.parametrize(
    "free, state", [(DISK_RESERVE_BYTES - 1, "problem"), (DISK_ALARM_BYTES - 1, "warning"), (DISK_ALARM_BYTES, "ok")]
)
def test_the_disk_is_looked_at(remit, made, monkeypatch, free, state):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    [(found, _)] = findings(remit("doctor", "--json"))["disk"]
    assert found == state


def test_looking_changes_nothing(remit, made):
    def contents():
        return {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}

    remit("doctor")  # the first look at a store may tidy its log
    before = contents()
    remit("doctor")
    assert contents() == before
