"""Without a gateway a command does the same in its own process, holding the store's lock meanwhile."""

import subprocess
import sys

from remit.edge.store.lock import Lock


def test_work_is_done_without_a_gateway_and_is_on_record(remit, staffed):
    assert remit("agent", "enroll", "scout").code == 0
    opened = remit("task", "open", "--agent", "scout", "--purpose", "triage", "--calls", 2, "--json").json["task"]
    assert [task["id"] for task in remit("task", "list", "--json").json["tasks"]] == [opened["id"]]
    assert "used      calls 0" in remit("task", "show", opened["id"]).out
    assert remit("task", "complete", opened["id"]).out == f"task {opened['id']} is completed\n"
    shown = remit("ledger", "show").out
    for words in ("agent enrolled", "task open", "task complete"):
        assert words in shown


def test_what_the_lifecycle_forbids_is_forbidden_here_too(remit, staffed):
    task = remit("task", "open", "--agent", "scout", "--purpose", "triage", "--json").json["task"]["id"]
    assert remit("task", "revoke", task).code == 0
    ran = remit("task", "resume", task)
    assert ran.code == 2
    assert remit("task", "show", "nobody-s").code == 2


def test_wider_than_the_purpose_is_refused(remit, staffed):
    ran = remit("task", "open", "--agent", "scout", "--purpose", "triage", "--tool", "mail/send")
    assert (ran.code, "`mail/send` is beyond the purpose" in ran.err) == (2, True)


def test_policies_are_applied_under_the_person_s_name(remit, staffed):
    (staffed / "policy" / "more.cedar").write_text(
        '@id("more")\npermit (principal, action in Action::"read", resource);'
    )
    assert "+ more" in remit("policy", "check").out
    assert "in force: sha256:" in remit("policy", "apply").out
    assert remit("policy", "check", "--json").json["added"] == []


def test_a_policy_that_does_not_load_changes_nothing(remit, staffed):
    before = remit("policy", "show").out
    (staffed / "policy" / "more.cedar").write_text("permit (principal")
    ran = remit("policy", "apply")
    assert (ran.code, "more.cedar" in ran.err) == (4, True)
    assert remit("policy", "show").out == before


def test_two_writers_never_meet(remit, staffed):
    lock = Lock(staffed / "state" / "remit.db.lock")
    try:
        ran = remit("task", "list")
    finally:
        lock.release()
    assert (ran.code, ran.out) == (7, "")


def test_somebody_the_catalogue_does_not_know_may_do_nothing(remit, staffed):
    text = (staffed / "remit.yaml").read_text()
    (staffed / "remit.yaml").write_text(text.replace("os_user: ", "os_user: not-"))
    ran = remit("task", "list")
    assert ran.code == 3


def test_a_role_that_is_missing_is_named(remit, staffed):
    text = (staffed / "remit.yaml").read_text()
    (staffed / "remit.yaml").write_text(text.replace("[requester, operator, auditor]", "[auditor]"))
    ran = remit("agent", "enroll", "scout")
    assert (ran.code, "it takes the role `operator`" in ran.err) == (3, True)
    assert list((staffed / "agents").iterdir()) == []


def test_the_module_is_the_command():
    ran = subprocess.run([sys.executable, "-m", "remit.edge.cli", "--version"], capture_output=True, check=True)
    assert ran.stdout.startswith(b"remit ")
