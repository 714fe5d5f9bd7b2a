"""`remit connect CLIENT`: each client's own file gets one entry, which holds no secret and can be undone."""

import json
import re
import shlex
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from remit.edge.cli import connect, profile
from remit.edge.cli.clients import known
from remit.edge.cli.clients.known import CLIENTS, is_ours
from remit.limits import LABEL_CHARS_MAX

URL = "http://127.0.0.1:8700"


class Kept(NamedTuple):
    """Where a client keeps its entries: the person's file and the project's, and a file as somebody may have it."""

    user: str
    project: str
    before: str


JSON = '{\n  "more": [1.50],\n  "%s": {\n    "git": {"command": "git", "env": {"TOKEN": "theirs"}}\n  }\n}\n'
FILES = {
    "claude-code": Kept(".claude.json", ".mcp.json", JSON % "mcpServers"),
    "cursor": Kept(".cursor/mcp.json", ".cursor/mcp.json", JSON % "mcpServers"),
    "vscode": Kept(
        ".config/Code/User/mcp.json",
        ".vscode/mcp.json",
        '{\n\t// our servers\n\t"servers": {\n\t\t"git": {"command": "git"}, // pinned\n\t},\n\t"inputs": [],\n}\n',
    ),
    "codex": Kept(
        ".codex/config.toml",
        ".codex/config.toml",
        'model = "x" # mine\n\n[mcp_servers.git]\ncommand = "git"\nenv = {TOKEN = "theirs"}\n',
    ),
}
each_client = pytest.mark.parametrize("client", FILES)


@pytest.fixture(autouse=True)
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person with an empty home directory of their own."""
    made = tmp_path / "person"
    made.mkdir()
    monkeypatch.setenv("HOME", str(made))
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("CODEX_HOME", "CLAUDE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    return made


@pytest.fixture
def scout(home: Path) -> Path:
    """The profile of the home's only agent."""
    made = profile.make("scout", url=URL, trust_domain="remit.local")
    return profile.save(made, home / "agents" / "scout.json")


def laid(person: Path, client: str) -> Path:
    """The client's file as somebody has it."""
    file = person / FILES[client].user
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(FILES[client].before.encode())
    return file


def entries(client: str, file: Path) -> dict[str, Any]:
    found = CLIENTS[client].editor.value(file.read_text())[CLIENTS[client].key]
    assert isinstance(found, dict)
    return found


def everything(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_the_clients_that_can_be_typed_are_those_that_are_known():
    assert tuple(CLIENTS) == connect._CLIENTS
    assert FILES.keys() == CLIENTS.keys()


@each_client
def test_shown_is_what_would_be_written_and_nothing_is(remit, scout, person, client):
    file = laid(person, client)
    shown = remit("connect", client)

    assert shown.code == 0, shown.err
    assert everything(person) == {FILES[client].user: FILES[client].before.encode()}
    first, *lines = shown.out.splitlines()
    assert first == str(file)
    added = [line[1:] for line in lines if line.startswith("+") and line != "+"]
    assert remit("connect", client, "--write").code == 0
    written = file.read_text().splitlines()
    assert added == [line for line in written if line in added]
    assert len(added) > 3
    assert "theirs" not in shown.out


@pytest.mark.parametrize("client", ["claude-code", "cursor", "vscode"])
def test_of_a_file_in_one_line_only_the_new_part_is_shown(remit, scout, person, client):
    key = CLIENTS[client].key
    file = laid(person, client)
    file.write_text(f'{{"a": "theirs", "{key}": {{"git": {{"env": "theirs"}}}}, "b": "theirs"}}')
    shown = remit("connect", client)
    assert ('"remit": {' in shown.out, "theirs" in shown.out) == (True, False)


@each_client
def test_written_the_client_starts_the_bridge_of_the_agent(remit, scout, person, client):
    file = laid(person, client)
    remit("connect", client, "--write")
    entry = entries(client, file)["remit"]

    assert (Path(entry["command"]).is_absolute(), is_ours(entry)) == (True, True)
    assert entry["args"][-4:] == ["--agent", "scout", "--profile", str(scout)]
    assert entry.get("type", "stdio") == "stdio"
    assert entries(client, file)["git"]["command"] == "git"


@each_client
def test_the_command_of_an_entry_is_remit_wherever_it_is_started(remit, scout, person, client, tmp_path):
    remit("connect", client, "--write")
    entry = entries(client, person / FILES[client].user)["remit"]
    (tmp_path / "remit.py").write_text("raise SystemExit('the wrong one')")
    ran = subprocess.run(
        [entry["command"], *entry["args"][: entry["args"].index("--agent")], "--help"],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout.startswith("usage: remit connect")) == (0, True), ran.stderr


@pytest.mark.holds("CLI-SECRET")
@pytest.mark.parametrize("client, more", [*((client, ()) for client in FILES), ("claude-code", ("--http",))])
def test_no_secret_is_in_the_entry_or_in_what_is_said(remit, scout, person, client, more):
    laid(person, client)
    said = [remit("connect", client, *more, *act) for act in ((), ("--write",), ("--write", "--json"), ("--undo",))]
    remit("connect", client, *more, "--write")
    private = json.loads(scout.read_text())["key"]["d"]
    for text in (*(ran.out + ran.err for ran in said), *(data.decode() for data in everything(person).values())):
        assert private not in text
        assert not re.search(r"eyJ[\w-]+\.[\w-]+\.", text)


@each_client
def test_written_twice_is_written_once(remit, scout, person, client):
    laid(person, client)
    remit("connect", client, "--write")
    once = everything(person)
    again = remit("connect", client, "--write")
    assert (again.code, "already" in again.out, everything(person)) == (0, True, once)


@each_client
def test_undone_the_file_is_as_it_was(remit, scout, person, client):
    file = laid(person, client)
    file.chmod(0o644)
    remit("connect", client, "--write")
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert remit("connect", client, "--undo").code == 0
    assert everything(person) == {FILES[client].user: FILES[client].before.encode()}


@each_client
def test_a_file_made_for_the_entry_goes_with_it(remit, scout, person, client):
    remit("connect", client, "--write")
    file = person / FILES[client].user
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert remit("connect", client, "--undo").code == 0
    assert everything(person) == {}


@each_client
def test_undone_what_was_edited_since_stays(remit, scout, person, client):
    file = laid(person, client)
    remit("connect", client, "--write")
    edited = file.read_text().replace('"git"', '"git-2"')
    file.write_text(edited)
    assert remit("connect", client, "--undo").code == 0
    assert file.read_text().rstrip() == FILES[client].before.replace('"git"', '"git-2"').rstrip()
    assert file.with_name(f"{file.name}.remit-backup").read_text() == FILES[client].before


@each_client
def test_undone_twice_nothing_more_is_taken(remit, scout, person, client):
    laid(person, client)
    assert remit("connect", client, "--undo").out.startswith("no entry remit stands in")
    assert everything(person) == {FILES[client].user: FILES[client].before.encode()}


@each_client
def test_two_connectors_stand_side_by_side_and_are_undone_one_by_one(remit, scout, person, client):
    file = laid(person, client)
    for more in ((), ("--connector", "git"), ("--connector", "git", "--name", "other", "--task", "t-1")):
        assert remit("connect", client, *more, "--write").code == 0
    found = entries(client, file)
    assert found.keys() == {"git", "remit", "remit-git", "other"}
    assert found["remit-git"]["args"][-2:] == ["--connector", "git"]
    assert found["other"]["args"][-4:] == ["--connector", "git", "--task", "t-1"]
    for more in ((), ("--connector", "git"), ("--name", "other")):
        assert remit("connect", client, *more, "--undo").code == 0
    assert file.read_text().rstrip() == FILES[client].before.rstrip()


@each_client
def test_another_agent_takes_the_entry_s_place(remit, scout, person, home, client):
    file = laid(person, client)
    remit("connect", client, "--write")
    profile.save(profile.make("mole", url=URL, trust_domain="remit.local"), home / "agents" / "mole.json")
    assert remit("connect", client, "--agent", "mole", "--write").code == 0
    assert entries(client, file)["remit"]["args"][-3] == "mole"
    assert remit("connect", client, "--undo").code == 0
    assert file.read_text() == FILES[client].before


@pytest.mark.parametrize("act", ["--write", "--undo"])
@each_client
def test_an_entry_that_is_not_ours_is_left_alone(remit, scout, person, client, act):
    laid(person, client)
    ran = remit("connect", client, "--name", "git", act)
    assert (ran.code, "is not ours" in ran.err) == (2, True)
    assert everything(person) == {FILES[client].user: FILES[client].before.encode()}


@each_client
def test_a_project_has_a_file_of_its_own(remit, scout, person, tmp_path, client):
    project = tmp_path / "shop"
    project.mkdir()
    assert remit("connect", client, "--project", project, "--write").code == 0
    assert everything(project).keys() == {FILES[client].project}
    assert everything(person) == {}
    assert "remit" in entries(client, project / FILES[client].project)


@each_client
def test_a_project_cannot_send_the_entry_elsewhere(remit, scout, person, tmp_path, client):
    file = laid(person, client)
    link = tmp_path / "shop" / FILES[client].project
    link.parent.mkdir(parents=True)
    link.symlink_to(file)
    ran = remit("connect", client, "--project", tmp_path / "shop", "--write")
    assert (ran.code, file.read_text()) == (2, FILES[client].before)


@pytest.mark.parametrize(
    "client, variable, name",
    [("codex", "CODEX_HOME", "config.toml"), ("claude-code", "CLAUDE_CONFIG_DIR", ".claude.json")],
)
def test_a_client_s_own_variable_is_honoured(remit, scout, person, tmp_path, monkeypatch, client, variable, name):
    monkeypatch.setenv(variable, str(tmp_path / "moved"))
    remit("connect", client, "--write")
    assert (everything(tmp_path / "moved").keys(), everything(person)) == ({name}, {})


@each_client
def test_what_cannot_be_edited_is_left_and_the_entry_shown(remit, scout, person, client):
    file = laid(person, client)
    broken = {
        "codex": 'mcp_servers = {git = {command = "git"}}\n',
    }.get(client, '{"%s": {"git": 1}, "x": {"y": 1},, }')
    file.write_text(broken)
    ran = remit("connect", client, "--write")
    assert (ran.code, file.read_text()) == (2, broken)
    assert str(file) in ran.err
    if client == "codex":
        assert tomllib.loads(ran.err[ran.err.index("[") : ran.err.index("remit: ")])["mcp_servers"]["remit"]["args"]


def test_a_helper_prints_headers_that_open_the_endpoint(remit, scout, person):
    remit("connect", "claude-code", "--http", "--connector", "git", "--write")
    entry = entries("claude-code", person / ".claude.json")["remit-git"]
    assert (entry["type"], entry["url"]) == ("http", f"{URL}/mcp/git")
    words = shlex.split(entry["headersHelper"])
    printed = remit(*words[words.index("agent") :])
    headers = json.loads(printed.out)
    assert headers.keys() == {"Authorization", "Remit-Client"}
    assert headers["Remit-Client"] == "claude-code"


@pytest.mark.parametrize("client", [name for name, row in CLIENTS.items() if not row.helper])
def test_only_a_client_that_runs_a_helper_gets_one(remit, scout, person, client):
    ran = remit("connect", client, "--http", "--write")
    assert (ran.code, everything(person), "standing-token" in ran.err) == (2, {}, True)


WRONG = {
    "an unknown client": ("emacs",),
    "no agent for the bridge": (),
    "writing without a client": ("--agent", "scout", "--write"),
    "undoing without a client": ("--agent", "scout", "--undo"),
    "both": ("codex", "--write", "--undo"),
    "two places": ("codex", "--user", "--project", "."),
    "no such project": ("codex", "--project", "/nowhere"),
    "no such agent": ("codex", "--agent", "mole"),
    "a name that is none": ("codex", "--name", "a.b"),
    "a label that is none": ("codex", "--client", "a b"),
    "a word the client would expand": ("codex", "--task", "${HOME}"),
    "a word of two lines": ("codex", "--task", "a\nb"),
}


@pytest.mark.parametrize("typed", WRONG.values(), ids=WRONG)
def test_what_is_meant_has_to_be_clear(remit, scout, person, typed):
    ran = remit("connect", *typed)
    assert (ran.code in (2, 4), everything(person)) == (True, {})


def test_of_several_agents_one_has_to_be_named(remit, scout, person, home):
    profile.save(profile.make("mole", url=URL, trust_domain="remit.local"), home / "agents" / "mole.json")
    assert remit("connect", "codex", "--write").code == 2
    assert remit("connect", "codex", "--agent", "mole", "--write").code == 0


def test_a_profile_says_whose_it_is(remit, scout, person, tmp_path):
    moved = scout.rename(tmp_path / "p.json")
    assert remit("connect", "codex", "--profile", moved, "--client", "laptop", "--write").code == 0
    args = entries("codex", person / ".codex/config.toml")["remit"]["args"]
    assert args[-6:] == ["--agent", "scout", "--profile", str(moved), "--client", "laptop"]


def test_this_remit_is_named_by_its_whole_path(monkeypatch, tmp_path):
    script = tmp_path / "remit"
    script.touch(mode=0o755)
    monkeypatch.setattr("sys.argv", [str(script), "connect"])
    assert known.program() == (str(script),)
    monkeypatch.setattr("sys.argv", ["/x/remit/edge/cli/__main__.py"])
    assert known.program() == (sys.executable, "-P", "-m", "remit.edge.cli")


NOT_OURS = {
    "another command": {"command": "git", "args": ["connect", "--agent", "x"]},
    "another act": {"command": "/bin/remit", "args": ["up"]},
    "no arguments": {"command": "/bin/remit"},
    "no texts": {"command": 1, "args": [None, 2]},
    "another helper": {"type": "http", "headersHelper": "get-headers agent headers"},
    "a helper that does not end": {"headersHelper": "remit agent headers '"},
    "nothing": {},
    "no object": "remit connect --agent",
}


@pytest.mark.parametrize("entry", NOT_OURS.values(), ids=NOT_OURS)
def test_only_what_starts_remit_is_ours(entry):
    assert not is_ours(entry)


@pytest.mark.parametrize(
    "text, fits", [("a.b:c@d-e_f", True), ("x" * LABEL_CHARS_MAX, True), ("", False), ("é", False)]
)
def test_a_label_is_one_that_the_agents_door_takes(remit, scout, text, fits):
    from remit.edge.mcp.exchange import _LABEL

    assert bool(_LABEL.match(text)) is fits
    assert (remit("agent", "headers", "scout", "--client", text).code == 0) is fits
