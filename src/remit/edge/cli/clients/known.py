"""The clients Remit can configure: where each keeps its tool servers, in which format, and what an entry looks like.

An entry starts a command and names the agent, its profile and what else is not secret. The command stands with its
whole path, since clients start in a directory and an environment of their own; a word that a client would expand
(`${…}`) is refused.
"""

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal

from msgspec import Struct

from remit.edge.cli.clients import jsonc, toml
from remit.errors import CallerFault

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Client(Struct, frozen=True, kw_only=True):
    """`user` and `project` are the files, from the person's home (or `base`) and from the project's directory on; `key`
    holds the entries. `base` is the variable that moves the user's file, with the file's path from there on. `helper`:
    a command can give it its headers. `after` is what to do then.
    """

    title: str
    user: tuple[str, ...]
    project: str
    key: str
    after: str
    base: tuple[str, str] | None = None
    format: Literal["json", "toml"] = "json"
    typed: bool = False
    helper: bool = False

    @property
    def editor(self) -> ModuleType:
        """What reads and edits its format: `value`, `put`, `drop`."""
        return toml if self.format == "toml" else jsonc

    def user_file(self) -> Path:
        """Where this person's entries are, for all projects."""
        if self.base and (moved := os.environ.get(self.base[0])):
            return Path(moved).expanduser().absolute() / self.base[1]
        return Path.home().joinpath(*self.user)

    def bridged(self, words: Sequence[str]) -> dict[str, Any]:
        """An entry that starts a command and speaks to it over stdio."""
        command, *more = map(_literal, words)
        return {**({"type": "stdio"} if self.typed else {}), "command": command, "args": more}

    def helped(self, url: str, words: Sequence[str]) -> dict[str, Any]:
        """An entry that speaks HTTP with headers that a command prints. Raises `CallerFault` if it cannot be had."""
        if not self.helper:
            advice = "leave out `--http`: it starts the bridge; `remit agent standing-token` is for those that cannot"
            raise CallerFault(f"{self.title} is not known to run a command for its headers", advice)
        return {"type": "http", "url": _literal(url), "headersHelper": shlex.join(map(_literal, words))}


_CODE_HOME: Final = ("Library", "Application Support") if sys.platform == "darwin" else (".config",)

CLIENTS: Final[Mapping[str, Client]] = {
    "claude-code": Client(
        title="Claude Code",
        user=(".claude.json",),
        base=("CLAUDE_CONFIG_DIR", ".claude.json"),
        project=".mcp.json",
        key="mcpServers",
        typed=True,
        helper=True,
        after="start Claude Code anew; `/mcp` shows it, and asks once where it stands in a project",
    ),
    "codex": Client(
        title="Codex",
        user=(".codex", "config.toml"),
        base=("CODEX_HOME", "config.toml"),
        project=".codex/config.toml",
        key="mcp_servers",
        format="toml",
        after="start Codex anew; `codex mcp list` shows it, in a project once that is trusted",
    ),
    "cursor": Client(
        title="Cursor",
        user=(".cursor", "mcp.json"),
        project=".cursor/mcp.json",
        key="mcpServers",
        after="enable it in Cursor's settings under MCP",
    ),
    "vscode": Client(
        title="VS Code",
        user=(*_CODE_HOME, "Code", "User", "mcp.json"),
        project=".vscode/mcp.json",
        key="servers",
        typed=True,
        after="`MCP: List Servers` in VS Code shows and starts it",
    ),
}


def program() -> tuple[str, ...]:
    """How this very Remit is started from anywhere: its script, else its interpreter with it as a module."""
    script = Path(sys.argv[0]).absolute()
    if script.name == "remit" and os.access(script, os.X_OK):
        return (str(script),)
    # -P: whatever lies in the directory the client starts in is not imported instead.
    return (sys.executable, "-P", "-m", "remit.edge.cli")


def is_ours(entry: Any) -> bool:
    """Whether an entry is one that `remit connect` made."""
    if not isinstance(entry, dict):
        return False
    words = [entry.get("command"), *(entry.get("args") or ())] if "command" in entry else _helper(entry)
    texts = [word for word in words if isinstance(word, str)]
    pairs = set(pairwise(texts))
    remit = texts and (Path(texts[0]).name == "remit" or ("-m", "remit.edge.cli") in pairs)
    return bool(remit and (("connect", "--agent") in pairs or ("agent", "headers") in pairs))


def server_name(given: str | None, connector: str | None) -> str:
    """What the entry is called: as named, else `remit`, with the one connector it is for. Raises `CallerFault`."""
    name = given or (f"remit-{connector}" if connector else "remit")
    if not _NAME.fullmatch(name):
        raise CallerFault(f"`{name}` cannot name an entry", "`--name` takes letters, digits, `-` and `_`, at most 64")
    return name


def _helper(entry: Mapping[str, Any]) -> list[str]:
    helper = entry.get("headersHelper")
    try:
        return shlex.split(helper) if isinstance(helper, str) else []
    except ValueError:
        return []


def _literal(word: str) -> str:
    if "${" in word or not word.isprintable():
        raise CallerFault(f"`{word}` would not reach the client as it is", "use a path without `${` and line ends")
    return word
