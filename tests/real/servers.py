"""Tool servers other people publish: how each is started, what the catalogue says of it, and what is asked of it.

What is asked is the same for everybody who asks; `{here}` stands for the asker's own copy of the data, `{port}` for the
database's, `{who}` for the asker, so that whoever asks the server directly changes the same things as whoever asks
through the gateway.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tests.real.database import programs

BIN = Path(sys.executable).parent
NPM = os.environ.get("REMIT_NPM_DIR", "")


class Side(NamedTuple):
    """What an asker's servers work on: a directory of its own, and the port of the database everybody reads."""

    here: Path
    port: int

    def fill(self, text: str) -> str:
        return text.replace("{here}", str(self.here)).replace("{port}", str(self.port))


class Step(NamedTuple):
    """One request. `refused` is the reason why it does not pass, as it is shown; empty if it does. `recorded` is what
    the record says, where that is not `completed` or the reason shown.
    """

    name: str
    arguments: Mapping[str, Any] = {}
    kind: str = "tool"
    refused: str = ""
    recorded: str = ""

    def by(self, who: str, side: Side) -> dict[str, Any]:
        """The request as this asker makes it."""
        text = msgspec.json.encode({"kind": self.kind, "name": self.name, "arguments": self.arguments}).decode()
        filled: dict[str, Any] = msgspec.json.decode(side.fill(text).replace("{who}", who))
        return filled


class Server(NamedTuple):
    """A published server, and the newest protocol revision it speaks. `command` is filled like a step; `rows` are the
    catalogue's tool rows, as YAML flow text.
    """

    command: Sequence[str]
    rows: Mapping[str, str]
    steps: Sequence[Step]
    revision: str = "2025-11-25"
    env: Sequence[str] = ()
    more: str = ""

    def started(self, side: Side) -> list[str]:
        return [side.fill(part) for part in self.command]


def _npm(package: str) -> str:
    return str(Path(NPM) / "node_modules" / "@modelcontextprotocol" / package / "dist" / "index.js")


def _everything(*transport: str) -> Sequence[str]:
    return ("node", _npm("server-everything"), *transport)


READ = "{tier: read, data: {internal: []}}"
WRITE = "{tier: write, data: {internal: []}}"
_THOUGHT = {"thought": "what if not", "thoughtNumber": 1, "totalThoughts": 2, "nextThoughtNeeded": True}
GZIP = {"name": "{who}.gz", "data": "data:text/plain;base64,aGVsbG8=", "outputType": "resource"}

EVERYTHING = (
    Step("echo", {"message": "grüezi {who}"}),
    Step("get-sum", {"a": 2, "b": 3.5}),
    Step("get-structured-content", {"location": "Chicago"}),
    Step("get-tiny-image"),
    Step("gzip-file-as-resource", GZIP),
    Step("trigger-long-running-operation", {"duration": 0.2, "steps": 2}),
    Step("get-sum", {"a": "two", "b": 3}, refused="schema.arguments"),
    Step("echo", {"message": "x", "smuggled": True}, refused="schema.arguments"),
    Step("get-env", refused="schema.unknown"),
    Step("no-such-tool", refused="schema.unknown"),
    Step("demo://resource/static/document/architecture.md", kind="resource"),
    Step("simple-prompt", kind="prompt"),
    Step("args-prompt", {"city": "Bern", "state": "BE"}, kind="prompt"),
)

_EVERYTHING_ROWS = {
    **dict.fromkeys(("echo", "get-sum", "get-structured-content", "get-tiny-image"), READ),
    **dict.fromkeys(("gzip-file-as-resource", "trigger-long-running-operation"), WRITE),
}
_EVERYTHING_MORE = f"    resources: {READ}\n    prompts: {READ}\n"

# Branches of this name are made in a write; any other is `privileged`, which no task here covers.
_BRANCHES = {
    "rules": [
        {"when": {"properties": {"branch_name": {"pattern": "^by-"}}, "required": ["branch_name"]}, "tier": "write"}
    ],
    "data": {"internal": []},
}

GIT = Server(
    revision="2026-07-28",
    command=(str(BIN / "mcp-server-git"), "--repository", "{here}"),
    env=("PATH",),
    rows={"git_status": READ, "git_log": READ, "git_add": WRITE, "git_create_branch": json.dumps(_BRANCHES)},
    steps=(
        Step("git_log", {"repo_path": "{here}", "max_count": 1}),
        Step("git_status", {"repo_path": "{here}"}),
        Step("git_create_branch", {"repo_path": "{here}", "branch_name": "by-{who}"}),
        Step("git_create_branch", {"repo_path": "{here}", "branch_name": "release"}, refused="task.arguments"),
        Step("git_add", {"repo_path": "{here}", "files": ["note.txt"]}),
        Step("git_status", {"repo_path": "{here}"}),
        Step("git_log", {"repo_path": "{here}", "max_count": "one"}, refused="schema.arguments"),
        Step("git_reset", {"repo_path": "{here}"}, refused="schema.unknown"),
    ),
)

TIME = Server(
    revision="2026-07-28",
    command=(str(BIN / "mcp-server-time"), "--local-timezone", "UTC"),
    rows={"convert_time": READ},
    steps=(
        Step("convert_time", {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}),
        Step(
            "convert_time",
            {"source_timezone": "nowhere", "time": "12:00", "target_timezone": "Asia/Tokyo"},
            recorded="tool_error",
        ),
        Step("convert_time", {"source_timezone": "UTC", "time": 12}, refused="schema.arguments"),
        Step("get_current_time", {"timezone": "UTC"}, refused="schema.unknown"),
    ),
)

FILES = Server(
    command=("node", _npm("server-filesystem"), "{here}"),
    rows={"read_text_file": READ, "list_directory": READ, "write_file": WRITE, "edit_file": WRITE},
    steps=(
        Step("read_text_file", {"path": "{here}/note.txt"}),
        Step("write_file", {"path": "{here}/{who}.txt", "content": "one\n"}),
        Step(
            "edit_file",
            {"path": "{here}/{who}.txt", "edits": [{"oldText": "one", "newText": "two"}], "dryRun": False},
        ),
        Step("read_text_file", {"path": "{here}/{who}.txt"}),
        Step("list_directory", {"path": "{here}"}),
        Step("read_text_file", {"path": "/etc/passwd"}, recorded="tool_error"),
        Step("write_file", {"path": "{here}/x", "content": "x", "mode": "0777"}, refused="schema.arguments"),
        Step(
            "move_file",
            {"source": "{here}/note.txt", "destination": "{here}/gone"},
            refused="schema.unknown",
        ),
    ),
)

MEMORY = Server(
    command=("node", _npm("server-memory")),
    env=("MEMORY_FILE_PATH",),
    rows={"read_graph": READ, "search_nodes": READ, "create_entities": WRITE},
    more=f"    resources: {READ}\n",
    steps=(
        Step("create_entities", {"entities": [{"name": "{who}", "entityType": "client", "observations": ["calls"]}]}),
        Step("read_graph"),
        Step("search_nodes", {"query": "{who}"}),
        Step("memory://knowledge-graph", kind="resource"),
        Step("create_entities", {"entities": [{"name": "nameless"}]}, refused="schema.arguments"),
        Step("delete_entities", {"entityNames": ["{who}"]}, refused="schema.unknown"),
    ),
)

THINKING = Server(
    command=("node", _npm("server-sequential-thinking")),
    rows={"sequentialthinking": READ},
    steps=(
        Step("sequentialthinking", {**_THOUGHT, "thoughtNumber": 1, "nextThoughtNeeded": True}),
        Step("sequentialthinking", {**_THOUGHT, "thoughtNumber": 2, "nextThoughtNeeded": False}),
        Step("sequentialthinking", {"thought": "but what for"}, refused="schema.arguments"),
        Step("think-twice", _THOUGHT, refused="schema.unknown"),
    ),
)

# One statement that reads is a read, one that adds a row a write, which the server's own transaction turns down.
# Anything else, several statements first of all, which would leave that transaction, is `privileged`.
_TIERS = {"^select [^;]*$": "read", "^insert into stock [^;]*$": "write"}
_QUERIES = {
    "rules": [
        {"when": {"properties": {"sql": {"pattern": pattern}}, "required": ["sql"]}, "tier": tier}
        for pattern, tier in _TIERS.items()
    ],
    "data": {"internal": []},
}
_ALL_ROWS = Step("query", {"sql": "select item, pieces from stock order by item"})

DATABASE = Server(
    revision="2024-11-05",
    command=("node", _npm("server-postgres"), "postgresql://clerk@127.0.0.1:{port}/postgres"),
    rows={"query": json.dumps(_QUERIES)},
    more=f"    resources: {READ}\n",
    steps=(
        _ALL_ROWS,
        Step("postgres://clerk@127.0.0.1:{port}/stock/schema", kind="resource"),
        Step("query", {"sql": "insert into stock values ('{who}', 1)"}, recorded="tool_error"),
        Step("query", {"sql": "select pieces from nowhere"}, recorded="tool_error"),
        Step("query", {"sql": "commit; delete from stock"}, refused="task.arguments"),
        Step("query", {"sql": 1}, refused="schema.arguments"),
        Step("drop", {"table": "stock"}, refused="schema.unknown"),
        _ALL_ROWS,
    ),
)

PYPI = {"git": GIT, "time": TIME}
NPM_SERVERS = {
    "db": DATABASE,
    "thinking": THINKING,
    "files": FILES,
    "memory": MEMORY,
    "all": Server(_everything("stdio"), _EVERYTHING_ROWS, EVERYTHING, more=_EVERYTHING_MORE),
    "web": Server(_everything("streamableHttp"), _EVERYTHING_ROWS, EVERYTHING, more=_EVERYTHING_MORE),
}
# Servers whose resources are read, and the scheme of their URIs.
RESOURCES = {"all": "demo", "web": "demo", "memory": "memory", "db": "postgres"}
# What cannot be started here, and why.
MISSING = {
    **({} if NPM else dict.fromkeys(NPM_SERVERS, "REMIT_NPM_DIR names no directory with npm servers (`make real`)")),
    **({} if programs() else {"db": "PostgreSQL is not installed"}),
}
SERVERS = {name: server for name, server in (PYPI | NPM_SERVERS).items() if name not in MISSING}


def data(here: Path) -> Path:
    """A copy of the data all servers work on: a repository with one commit that is the same everywhere."""
    here.mkdir(parents=True)
    (here / "note.txt").write_text("hello\n")
    fixed = {"GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}
    git = ["git", "-C", str(here), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-mone"], check=True, env={**os.environ, **fixed})
    return here
