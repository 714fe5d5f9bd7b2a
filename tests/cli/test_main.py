"""Whatever goes wrong ends in one line, one line of advice and a documented exit code."""

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from remit import errors
from remit.edge.cli import INTERRUPTED, main
from remit.edge.cli.door import Refused
from remit.edge.cli.home import Home
from remit.errors import RemitError
from tests.cli.simulated import SimulatedDoor

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
KINDS = (*(kind for kind in RemitError.__subclasses__() if kind.__module__ == errors.__name__), Refused)
FAULTS = {kind.__name__: kind.exit_code for kind in KINDS}


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "Refused"])
def test_an_error_of_the_door_exits_with_its_own_code(remit, door, fault):
    door.refuses("GET", "/v1/tasks", fault)
    ran = remit("task", "list")
    assert ran.code == FAULTS[fault]
    assert ran.err == f"remit: said {fault}\n  do better\n"
    assert remit("task", "list", "--json").json == {
        "error": {"fault": fault, "message": f"said {fault}", "advice": "do better"}
    }


def test_a_refusal_of_a_stage_exits_with_9_and_names_its_reason(remit, door):
    door.refuses("GET", "/v1/tasks", "Denied", reason="commit.disk")
    assert remit("task", "list").code == 9
    told = remit("task", "list", "--json").json["error"]
    assert (told["fault"], told["reason"]) == ("Denied", "commit.disk")


def test_an_error_of_a_kind_nobody_knows_is_still_an_error(remit, door):
    door.refuses("GET", "/v1/tasks", "Surprise")
    assert remit("task", "list").code == 1


@pytest.mark.parametrize("answer", [b"", b"<html>", b"[1"])
def test_an_answer_that_is_no_json_is_the_gateway_s_fault(remit, door, answer):
    door.answers["GET", "/v1/tasks"] = (200, answer)
    assert remit("task", "list").code == errors.UpstreamFault.exit_code


@pytest.mark.holds("CLI-REFERENCE")
def test_the_reference_lists_every_exit_code():
    rows = dict(re.findall(r"^\| (\d+) \| ([^|]+) \|", REFERENCE.read_text(), re.MULTILINE))
    expected = {0, 1, INTERRUPTED, 141, *FAULTS.values()}
    assert set(map(int, rows)) == expected
    assert all(text.strip() for text in rows.values())


# What connecting raises → exit code.
@pytest.mark.parametrize(
    "fault, code",
    [(PermissionError(13, "denied"), 3), (TimeoutError("timed out"), 6), (ConnectionResetError(104, "x"), 6)],
)
def test_a_door_that_cannot_be_used_says_why(remit, monkeypatch, fault, code):
    def connected(path):
        raise fault

    monkeypatch.setattr("remit.edge.cli.socket_http.connected", connected)
    assert remit("task", "list").code == code


def test_a_gateway_that_hangs_up_is_not_waited_for(remit, home):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(Home(home).socket))
        listening.listen()

        def hang_up() -> None:
            accepted, _ = listening.accept()
            accepted.close()

        hanging = threading.Thread(target=hang_up)
        hanging.start()
        ran = remit("task", "list")
        hanging.join()
    assert (ran.code, "did not answer" in ran.err) == (6, True)


def test_a_home_may_lie_deeper_than_a_socket_s_address_is_long(made, tmp_path, capsys):
    deep = tmp_path / ("x" * 120) / "home"
    shutil.copytree(made, deep)
    door = SimulatedDoor(deep / "door.sock")
    door.answers["GET", "/v1/tasks"] = {"tasks": []}
    try:
        assert main(["--home", str(deep), "task", "list"]) == 0
    finally:
        door.close()
    assert capsys.readouterr().out == "no tasks\n"


def test_a_bug_is_one_line_and_no_traceback(remit, door, monkeypatch):
    monkeypatch.setattr("remit.edge.cli.task.moment", lambda ms: 1 / 0)
    door.answers["GET", "/v1/tasks/x"] = {"task": {"id": "x"}}
    ran = remit("task", "show", "x")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("remit: unexpected: ")


def test_a_bug_shows_its_traceback_when_asked_for(remit, door, monkeypatch):
    monkeypatch.setenv("REMIT_TRACEBACK", "1")
    door.answers["GET", "/v1/tasks/x"] = {"task": {"id": "x"}}
    with pytest.raises(KeyError):
        remit("task", "show", "x")


def test_an_interrupt_is_quiet(remit, door, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("remit.edge.cli.door.Door.get", interrupted)
    ran = remit("task", "list")
    assert (ran.code, ran.out, ran.err) == (INTERRUPTED, "", "")


def test_a_reader_that_left_is_no_error(home):
    run = [sys.executable, "-c", "import sys; from remit.edge.cli import main; sys.exit(main())", "--help"]
    read, write = os.pipe()
    os.close(read)
    ran = subprocess.run(run, stdout=write, stderr=subprocess.PIPE, timeout=30, check=False)
    os.close(write)
    assert ran.stderr == b""


def test_a_home_that_is_none_says_how_to_make_one(tmp_path, capsys):
    assert main(["--home", str(tmp_path), "task", "list"]) == errors.CallerFault.exit_code
    assert "`remit init`" in capsys.readouterr().err


def test_help_and_version_exit_with_0(capsys):
    for arguments in (["--help"], ["--version"], ["task", "--help"], ["task", "open", "--help"]):
        assert main(arguments) == 0
    assert "examples:" in capsys.readouterr().out
