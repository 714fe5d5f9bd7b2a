"""`remit task` asks the people's door for exactly what was typed, and shows what it answered."""

import json

import pytest

from remit.task import TaskSpec
from tests.cli.simulated import TASK


def test_open_sends_only_what_was_typed(remit, door):
    door.answers["POST", "/v1/tasks"] = {"task": TASK}
    assert remit("task", "open", "--agent", "scout", "--purpose", "triage").code == 0
    assert door.asked == [("POST", "/v1/tasks", {"agent": "scout", "purpose": "triage"})]


def test_open_sends_every_narrowing(remit, door, tmp_path):
    door.answers["POST", "/v1/tasks"] = {"task": TASK}
    schema, subject = tmp_path / "schema.json", tmp_path / "subject"
    schema.write_text('{"properties": {"n": {"const": 1}}}')
    subject.write_text("a.b.c\n")
    ran = remit(
        *("task", "open", "--agent", "scout", "--purpose", "triage", "--tool", "git/a", "--tool", "git/b"),
        *("--calls", 3, "--per-tool", "git/a=1", "--minutes", 5, "--tier", "read", "--data-class", "internal"),
        *("--argument", f"git/a={schema}", "--text", "please", "--subject-token", subject),
        *("--environment", "dev", "--tenant", "shop", "--requester", "person/bo"),
    )
    assert ran.code == 0, ran.err
    assert door.asked[0][2] == {
        "agent": "scout",
        "purpose": "triage",
        "tools": ["git/a", "git/b"],
        "calls": 3,
        "per_tool": {"git/a": 1},
        "minutes": 5,
        "tiers": ["read"],
        "data_classes": ["internal"],
        "arguments": {"git/a": {"properties": {"n": {"const": 1}}}},
        "text": "please",
        "subject_token": "a.b.c",
        "environment": "dev",
        "tenant": "shop",
        "requester": "person/bo",
    }
    # Where a text came from is for orchestrators to say, not for people.
    assert door.asked[0][2].keys() ^ set(TaskSpec.__struct_fields__) == {"subject_token", "text_source"}


def test_a_step_token_is_the_only_line_on_standard_output(remit, door):
    door.answers["POST", "/v1/tasks"] = {"task": TASK, "token": "head.body.signature"}
    ran = remit("task", "open", "--agent", "scout", "--purpose", "triage", "--token")
    assert ran.out == "head.body.signature\n"
    assert door.asked[0][2]["token"] is True


SEEN = [
    {"target": "git/git_log", "kind": "tool", "tier": "read"},
    {"target": "git/git_reset", "kind": "tool", "tier": "privileged"},
    {"target": "git/git_sh\u202e", "kind": "tool", "tier": None},
    {"target": "git/server:", "kind": "server", "tier": "privileged"},
]

# The tool a task is narrowed to → what is doubted about it.
DOUBTS = {
    "git/git_log": "",
    "git/*": "",
    "git/git_sh\u202e": "",
    "git/git_lgo": "warning: no gateway has seen `git/git_lgo`; did you mean `git/git_log`?\n",
    "files/read": "warning: no gateway has seen `files/read`\n",
    "git/server:": "warning: no gateway has seen `git/server:`\n",
    "git/git_reset": "warning: `git/git_reset` is privileged; this task allows read only\n",
}


@pytest.mark.parametrize("tool, words", DOUBTS.items())
def test_a_tool_that_no_call_can_mean_is_doubted_and_the_task_is_open(remit, door, tool, words):
    door.answers["POST", "/v1/tasks"] = {"task": TASK, "token": "a.b.c"}
    door.answers["GET", "/v1/contracts"] = {"contracts": SEEN}
    ran = remit("task", "open", "--agent", "scout", "--purpose", "triage", "--token", "--tool", tool)
    assert (ran.code, ran.out, ran.err) == (0, "a.b.c\n", words)


@pytest.mark.parametrize("answer", [{"contracts": []}, (403, {"error": {"fault": "NotPermitted", "message": "no"}})])
def test_who_sees_no_contracts_is_told_no_doubts(remit, door, answer):
    door.answers["POST", "/v1/tasks"] = {"task": TASK}
    door.answers["GET", "/v1/contracts"] = answer
    ran = remit("task", "open", "--agent", "scout", "--purpose", "triage", "--tool", "git/git_lgo")
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.holds("INV-11")
def test_what_a_requester_wrote_cannot_move_the_cursor(remit, door):
    door.answers["GET", "/v1/tasks/t-1"] = {"task": TASK, "used": {"calls": 2}}
    ran = remit("task", "show", "t-1")
    assert "look\\u{1b}[31m around\\u{202e}" in ran.out
    assert "\x1b" not in ran.out
    assert "used      calls 2" in ran.out


def test_list_filters_at_the_door_and_shows_newest_first(remit, door):
    door.answers["GET", "/v1/tasks?agent=scout&state=open"] = {
        "tasks": [TASK, {**TASK, "id": "t-2", "opened_at": 9_000}]
    }
    ran = remit("task", "list", "--agent", "scout", "--state", "open")
    assert [line.split()[0] for line in ran.out.splitlines()] == ["TASK", "t-2", "t-1"]


def test_no_tasks_are_said_to_be_none(remit, door):
    door.answers["GET", "/v1/tasks"] = {"tasks": []}
    assert remit("task", "list").out == "no tasks\n"


@pytest.mark.parametrize("move", ["suspend", "resume", "complete", "revoke"])
def test_a_move_is_one_request(remit, door, move):
    door.answers["POST", f"/v1/tasks/t-1/{move}"] = {"task": {**TASK, "state": "moved"}}
    ran = remit("task", move, "t-1", "--reason", "why not")
    assert (ran.code, ran.out) == (0, "task t-1 is moved\n")
    assert door.asked[0][2] == {"reason": "why not"}


def test_renew_says_until_when(remit, door):
    door.answers["POST", "/v1/tasks/t-1/renew"] = {"task": TASK}
    assert "expires 1970-" in remit("task", "renew", "t-1", "--minutes", 10).out
    assert door.asked[0][2] == {"minutes": 10}


def test_an_id_cannot_leave_its_segment_of_the_path(remit, door):
    remit("task", "show", "../agents?x=1")
    assert door.asked[0][1] == "/v1/tasks/..%2Fagents%3Fx%3D1"


def test_json_is_the_door_s_answer(remit, door):
    door.answers["GET", "/v1/tasks"] = {"tasks": [TASK]}
    assert remit("task", "list", "--json").json == {"tasks": [TASK]}
    assert remit("--json", "task", "list").json == {"tasks": [TASK]}


# What was typed → the words that say what is wrong with it.
WRONG = {
    "no agent": (["task", "open", "--purpose", "x"], "--agent"),
    "no command": (["task"], "COMMAND"),
    "no such command": (["task", "close", "t-1"], "invalid choice: 'close'"),
    "calls is no number": (["task", "open", "--agent", "a", "--purpose", "p", "--calls", "many"], "invalid int"),
    "per-tool without a number": (
        ["task", "open", "--agent", "a", "--purpose", "p", "--per-tool", "x"],
        "TARGET=VALUE",
    ),
    "per-tool is no number": (["task", "open", "--agent", "a", "--purpose", "p", "--per-tool", "x=-1"], "`-1`"),
    "argument without a file": (["task", "open", "--agent", "a", "--purpose", "p", "--argument", "=f"], "TARGET=VALUE"),
    "argument's file is missing": (
        ["task", "open", "--agent", "a", "--purpose", "p", "--argument", "x=/nowhere"],
        "/nowhere",
    ),
    "argument's file is no JSON": (
        ["task", "open", "--agent", "a", "--purpose", "p", "--argument", f"x={__file__}"],
        "JSON",
    ),
    "abbreviated flag": (["task", "open", "--age", "a", "--purpose", "p"], "--agent"),
    "renew without minutes": (["task", "renew", "t-1"], "--minutes"),
}


@pytest.mark.parametrize("arguments, words", WRONG.values(), ids=WRONG)
def test_wrong_usage_is_one_line_and_exit_code_2(remit, door, arguments, words):
    ran = remit(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("remit: ")
    assert words in ran.err
    assert "Traceback" not in ran.err
    assert door.asked == []


def test_wrong_usage_is_json_when_asked_for(remit):
    ran = remit("--json", "task", "open")
    assert ran.code == 2
    assert ran.json["error"]["fault"] == "CallerFault"
    assert ran.err == ""
    assert json.loads(ran.out) == ran.json
