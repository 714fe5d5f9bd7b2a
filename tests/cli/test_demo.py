"""`remit demo` tells its story with real tool servers, checks every step, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from remit.edge.cli.demo import play as played, setting
from remit.edge.cli.demo.stage import Unexpected
from remit.edge.cli.demo.story import Story
from remit.edge.cli.output import Screen
from remit.errors import ConfigFault

RUN = (sys.executable, "-m", "remit.edge.cli", "demo")


def processes_about(directory: Path) -> list[str]:
    """The command lines of running processes that mention a directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(directory) in line and str(os.getpid()) != entry.parent.name:
            found.append(line)
    return found


@pytest.mark.holds("DEMO", "WIRE-REAL", "CATALOGUE-PIN", "TAMPER-BYTE", "INV-15")
@pytest.mark.slow
def test_every_step_goes_as_told_and_nothing_is_left(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    ran = subprocess.run(RUN, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr == ""
    assert "\x1b" not in ran.stdout
    for words in (
        "✓ a write within the task",
        "DENY   task.scope",
        "DENY   schema.arguments",
        "DENY   schema.quarantined",
        "DENY   policy.denied: by `starter.privileged-approval`, `starter.same-user`",
        "DENY   task.not_open",
        "is not the one that was recorded",
        "every step went as told: 11 calls",
    ):
        assert words in ran.stdout
    assert list(tmp_path.iterdir()) == []
    assert processes_about(tmp_path) == []


# The last line that is told before it is interrupted: in a command, in the gateway's start, in a call, in the audit.
MOMENTS = [
    "$ remit init",
    "remit up &",
    "$ remit tool pin git",
    "another tool server",
    "it stops",
    "$ remit ledger export",
]


@pytest.mark.holds("DEMO")
@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_interrupted_it_leaves_nothing_either(tmp_path, moment):
    """As a terminal does it: every process of the foreground group hears it, and people press it twice."""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    pipe = subprocess.PIPE
    running = subprocess.Popen(RUN, stdout=pipe, stderr=pipe, text=True, env=environment, start_new_session=True)
    for line in running.stdout:
        if moment in line:
            break
    os.killpg(running.pid, signal.SIGINT)
    time.sleep(0.2)
    os.killpg(running.pid, signal.SIGINT)
    _, err = running.communicate(timeout=60)
    # The second may come when all is done and Python is leaving.
    assert running.returncode in (130, -signal.SIGINT), err
    assert err == ""
    deadline = time.monotonic() + 10
    while processes_about(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_about(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_what_goes_wrong_because_it_was_interrupted_is_an_interruption(tmp_path, monkeypatch):
    """A child that dies of the same ctrl-C is noticed before the story hears of it."""

    async def play(self):
        os.kill(os.getpid(), signal.SIGINT)
        raise Unexpected("the gateway ended")

    monkeypatch.setattr(Story, "play", play)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        played.play(Screen(json=True), keep=False)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def wrong(monkeypatch, tmp_path):
    """A story whose first scene goes otherwise."""

    async def goes_otherwise(self):
        self._stage.home.root.mkdir()
        raise Unexpected("the agent was told `ok`, not `schema.arguments`")

    monkeypatch.setattr(Story, "_home", goes_otherwise)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_a_step_that_goes_otherwise_is_reported_and_exits_with_1(remit, wrong, tmp_path, home):
    ran = remit("demo")
    assert (ran.code, ran.err) == (1, "remit: the agent was told `ok`, not `schema.arguments`\n")
    assert not list(tmp_path.glob("remit-demo-*"))


def test_a_home_that_is_kept_says_how_to_look_at_it(remit, wrong, tmp_path):
    ran = remit("demo", "--keep")
    [root] = tmp_path.glob("remit-demo-*")
    assert f"remit --home {root / 'home'} ledger show" in ran.err


def test_with_json_a_failure_is_one_value(remit, wrong):
    ran = remit("demo", "--json")
    assert json.loads(ran.out)["error"]["fault"] == "Unexpected"


@pytest.mark.parametrize("missing", ["mcp_server_git", "git"])
def test_what_is_not_installed_is_named(monkeypatch, missing):
    monkeypatch.setattr(setting, "find_spec", lambda name: None if name == missing else object())
    monkeypatch.setattr(setting, "which", lambda name: None if name == missing else name)
    with pytest.raises(ConfigFault, match=missing):
        setting.check_installed()


def test_the_repository_is_fresh_and_says_itself_what_is_staged(tmp_path):
    made = setting.repository(tmp_path / "r")
    assert setting.staged(made) == ""
    subprocess.run(["git", "-C", made, "add", "notes.md"], check=True)
    assert setting.staged(made) == "notes.md"


def test_the_story_is_played_in_a_temporary_home(tmp_path, monkeypatch):
    seen = []

    async def play(self):
        seen.append(self._stage.root)

    monkeypatch.setattr(Story, "play", play)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    played.play(Screen(json=True), keep=False)
    assert seen[0].parent == tmp_path
    assert not seen[0].exists()
