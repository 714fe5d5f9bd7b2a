"""`remit ledger`: the record read, exported, verified and proved, beside a gateway or without one."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from remit.edge.keys.signing import load_signer, make_signer
from remit.ledger.bundle import encode
from tests.cli.recorded import allowed, checkpoint, completed, forbidden, malformed, record

FIRST = 1  # receipt 0 is the starter policy's


@pytest.fixture
def recorded(made):
    """A home with an allowed call, two denials and a call without an outcome."""
    record(made, allowed("t-1"), completed(FIRST, "t-1"), forbidden(), malformed(), allowed("t-2"))
    return made


@pytest.fixture
def key(recorded) -> str:
    return load_signer(recorded / "keys" / "ledger.key").verifier_key()


@pytest.fixture
def bundle(remit, recorded, tmp_path):
    assert remit("ledger", "export", tmp_path / "bundle").code == 0
    return tmp_path / "bundle"


def test_the_timeline_tells_every_call_in_order(remit, recorded):
    lines = remit("ledger", "show").out.splitlines()
    assert len(lines) == 5
    for line, words in zip(
        lines,
        (
            ("#0", "policy applied"),
            (
                "#1",
                "✓ triage",
                "desk/read",
                "ALLOW  completed in 5 ms",
                "by starter.reads",
                "internal /srv/notes\\u{202e}",
            ),
            ("#3", "✗ triage", "desk/run", "DENY   policy.denied"),
            ("#4", "✗ clerk", "DENY   schema.arguments: `/path`"),
            ("#5", "! triage", "no outcome is recorded"),
        ),
        strict=True,
    ):
        assert all(word in line for word in words), line


def test_the_timeline_of_a_task_holds_nothing_else(remit, recorded):
    lines = remit("ledger", "show", "--task", "t-1").out.splitlines()
    assert [line.split()[2] for line in lines] == ["#1"]
    ran = remit("ledger", "show", "--task", "none")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("remit: there is no task `none` in the record\n")


def test_a_long_record_is_shown_whole(remit, made):
    record(made, *(malformed() for _ in range(1030)))
    assert [one["seq"] for one in remit("ledger", "show", "--json").json["receipts"]] == list(range(1031))


def test_json_is_the_receipts_themselves(remit, recorded):
    receipts = remit("ledger", "show", "--json").json["receipts"]
    assert [one["seq"] for one in receipts] == [0, 1, 2, 3, 4, 5]
    assert receipts[3]["body"]["reason"] == "policy.denied"


@pytest.mark.slow
def test_following_goes_on_until_interrupted(recorded):
    run = [sys.executable, "-m", "remit.edge.cli", "--home", recorded, "ledger", "show", "--follow", "--json"]
    following = subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert [json.loads(following.stdout.readline())["seq"] for _ in range(6)] == [0, 1, 2, 3, 4, 5]
        record(recorded, malformed())
        assert json.loads(following.stdout.readline())["seq"] == 6
        following.send_signal(signal.SIGINT)
        _, err = following.communicate(timeout=30)
    finally:
        following.kill()
    assert (following.returncode, err) == (130, "")


def test_an_export_verifies_with_the_key_alone(remit, bundle, key, tmp_path):
    ran = remit("--home", tmp_path / "nowhere", "ledger", "verify", bundle, "--key", key)
    assert ran.code == 0, ran.err
    assert "verified: the whole record of remit.local/remit, 6 of 6 receipts" in ran.out
    assert "no outcome  receipts 5" in ran.out


def test_the_report_is_json_when_asked_for(remit, bundle, key):
    report = remit("ledger", "verify", bundle, "--key", key, "--json").json
    assert (report["receipts"], report["size"], report["open_intents"]) == (6, 6, [5])


def test_at_home_its_own_key_is_trusted(remit, bundle):
    assert remit("ledger", "verify", bundle).code == 0


def test_elsewhere_nobody_is_trusted_unless_named(remit, bundle, tmp_path):
    ran = remit("--home", tmp_path / "nowhere", "ledger", "verify", bundle)
    assert (ran.code, "no key is trusted" in ran.err) == (2, True)


def test_a_home_inside_the_bundle_is_not_trusted(remit, recorded, bundle):
    brought = shutil.copytree(recorded, bundle / "home")
    ran = remit("--home", brought, "ledger", "verify", bundle)
    assert (ran.code, "the bundle brings the home" in ran.err) == (2, True)


def test_keys_are_read_from_files_too(remit, bundle, key, tmp_path):
    (tmp_path / "keys").write_text(f"{make_signer('other/log').verifier_key()}\n\n{key}\n")
    assert remit("ledger", "verify", bundle, "--key", tmp_path / "keys").code == 0


def test_a_file_named_like_the_trusted_key_is_not_asked_for_another(remit, bundle, tmp_path, monkeypatch, key):
    trusted = make_signer("remit.local/remit").verifier_key()
    (tmp_path / trusted).parent.mkdir(parents=True)
    (tmp_path / trusted).write_text(key)
    monkeypatch.chdir(tmp_path)
    ran = remit("ledger", "verify", bundle, "--key", trusted)
    assert (ran.code, "no trusted key" in ran.err) == (8, True)


def test_another_s_key_is_not_enough(remit, bundle):
    ran = remit("ledger", "verify", bundle, "--key", make_signer("remit.local/remit").verifier_key())
    assert (ran.code, "no trusted key" in ran.err) == (8, True)
    assert "is this the key of this gateway?" in ran.err


def test_a_file_that_is_not_there_is_wrong_usage_and_nothing_tampered_with(remit, bundle, tmp_path):
    assert remit("ledger", "verify", tmp_path / "nowhere").code == 2
    assert remit("ledger", "verify", bundle, "--checkpoint", tmp_path / "nowhere").code == 2


@pytest.mark.parametrize("given", ["", "remit.local/remit", "a+b+c", "\u202e"])
def test_what_is_no_key_is_wrong_usage(remit, bundle, given):
    assert remit("ledger", "verify", bundle, "--key", given).code == 2


# What is done to a copy → the words that name it.
TAMPERED = {
    "a byte flipped": (lambda b: _edit(b / "leaves.jsonl", lambda d: d.replace(b"desk", b"desj", 1)), "receipt 1 "),
    "the tail dropped": (
        lambda b: _edit(b / "leaves.jsonl", lambda d: b"".join(d.splitlines(keepends=True)[:-1])),
        "receipt 5 is missing",
    ),
    "two swapped": (lambda b: _edit(b / "leaves.jsonl", _swapped), "receipt 3 "),
    "a value changed": (lambda b: _edit(b / "values.jsonl", lambda d: d.replace(b'"data":"', b'"data":"A', 1)), ""),
    "a file missing": (lambda b: (b / "checkpoint").unlink(), "`checkpoint` is missing"),
}


@pytest.mark.holds("TAMPER-BYTE", "TAMPER-TAIL", "TAMPER-ORDER")
@pytest.mark.parametrize("tamper, words", TAMPERED.values(), ids=TAMPERED)
def test_the_verifier_names_the_first_thing_wrong(remit, bundle, key, tamper, words):
    tamper(bundle)
    ran = remit("ledger", "verify", bundle, "--key", key)
    assert ran.code == 8
    assert words in ran.err
    assert remit("ledger", "verify", bundle, "--key", key, "--json").json["error"]["fault"] == "Unverified"


def test_a_task_alone_is_exported_with_its_proofs(remit, recorded, key, tmp_path):
    assert "wrote 2 receipts" in remit("ledger", "export", tmp_path / "t", "--task", "t-1").out
    assert "verified: the task of" in remit("ledger", "verify", tmp_path / "t", "--key", key).out


def test_an_export_never_writes_into_something(remit, recorded, bundle):
    assert remit("ledger", "export", bundle).code == 2


@pytest.fixture
def saved(recorded, tmp_path):
    """A checkpoint put aside, in the two forms there are: one note, and a file of published ones."""
    note = checkpoint(recorded)
    (tmp_path / "note").write_bytes(note)
    (tmp_path / "published").write_bytes(encode(note.decode()) + b"\n" + b'"torn')
    return [tmp_path / "note", tmp_path / "published"]


def test_one_receipt_proves_itself_and_what_it_extends(remit, recorded, saved, key, tmp_path):
    record(recorded, malformed())
    file = tmp_path / "receipt.json"
    assert remit("ledger", "prove", 3, "-o", file, "--checkpoint", saved[0]).code == 0
    ran = remit("ledger", "verify", file, "--key", key, "--checkpoint", saved[0])
    assert "verified: the receipt of remit.local/remit, 1 of 7 receipts" in ran.out
    assert remit("ledger", "prove", 3, "--checkpoint", saved[0]).out.encode() == file.read_bytes()


def test_a_receipt_that_is_not_there_cannot_be_proved(remit, recorded):
    assert remit("ledger", "prove", 99).code == 2


def test_the_record_extends_what_was_saved(remit, recorded, saved):
    record(recorded, malformed())
    ran = remit("ledger", "consistency", "--checkpoint", saved[0], "--checkpoint", saved[1])
    assert ran.out == "the record of 7 receipts extends 2 checkpoints, of sizes 6, 6\n"


@pytest.mark.holds("TAMPER-TAIL", "TAMPER-FORK")
def test_a_record_that_was_put_back_does_not(remit, recorded, saved, tmp_path):
    before = shutil.copytree(recorded, tmp_path / "before")
    record(recorded, malformed())
    (tmp_path / "later").write_bytes(checkpoint(recorded))
    ran = remit("--home", before, "ledger", "consistency", "--checkpoint", tmp_path / "later")
    assert (ran.code, "was truncated: it had 7 receipts and has 6" in ran.err) == (8, True)
    record(before, forbidden())
    assert remit("--home", before, "ledger", "consistency", "--checkpoint", tmp_path / "later").code == 8


@pytest.mark.parametrize("data", [b"", b"\n", b"hello", b'"hello"\n', b'"hello"', b'"torn'])
def test_what_is_no_checkpoint_is_refused(remit, bundle, key, tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    assert remit("ledger", "verify", bundle, "--key", key, "--checkpoint", tmp_path / "x").code == 8


def test_files_that_are_not_there_are_wrong_usage(remit, bundle, key, tmp_path):
    assert remit("ledger", "verify", bundle, "--key", key, "--checkpoint", tmp_path / "none").code == 2


def test_erasing_asks_the_door(remit, door):
    door.answers["POST", "/v1/erasures"] = {"receipt": 12}
    ran = remit("ledger", "erase", 3, 4, "--reason", "asked for")
    assert ran.out == "values beside 3, 4 are erased, receipt 12\n"
    assert door.asked == [("POST", "/v1/erasures", {"receipts": [3, 4], "reason": "asked for"})]


def test_reading_changes_nothing_and_needs_no_lock(remit, recorded):
    lock = os.open(recorded / "state" / "remit.db.lock", os.O_RDWR)
    before = (recorded / "state" / "remit.db").read_bytes()
    assert remit("ledger", "show").code == 0
    assert (recorded / "state" / "remit.db").read_bytes() == before
    os.close(lock)


def _edit(file, change):
    changed = change(file.read_bytes())
    assert changed != file.read_bytes()
    file.write_bytes(changed)


def _swapped(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    lines[3], lines[4] = lines[4], lines[3]
    return b"".join(lines)
