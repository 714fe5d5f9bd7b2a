"""A hostile tool server and a hostile agent, from one end to the other: none of their words reaches a terminal raw."""

import asyncio
import contextlib
import getpass
import io
import json
import os
import pty
import sys
from pathlib import Path

import pytest
from mcp import Client, MCPError, StdioServerParameters

from remit.edge.cli.demo.stage import Stage, free_port
from remit.edge.cli.init import person_name
from remit.edge.cli.output import Screen
from tests.cli.hostile import HOSTILE, LONG, unseen

pytestmark = pytest.mark.slow

REMIT = (sys.executable, "-m", "remit.edge.cli")
ROOT = Path(__file__).parents[2]
ME = person_name(getpass.getuser())


def catalogue(port: int) -> str:
    return f"""\
version: 1
trust_domain: remit.local
environments: [dev]
gateway: {{listen: "127.0.0.1:{port}"}}
people: {{{ME}: {{email: "x@localhost", os_user: "{getpass.getuser()}", roles: [requester, operator, auditor]}}}}
connectors:
  loud:
    owner: {ME}
    environment: dev
    command: [env, "PYTHONPATH={ROOT}", "{sys.executable}", -m, tests.cli.hostile_server]
    env: [PATH]
    tools:
      say: {{tier: read, data: {{internal: [/text]}}}}
      fail: {{tier: read, data: {{internal: [/text]}}}}
agents:
  scout: {{owner: {ME}, model: {{provider: x, name: y, version: "1"}}, version: "1", environment: dev}}
purposes:
  listen: {{owner: {ME}, tools: ["loud/*"], data_classes: [internal], environments: [dev]}}
"""


class Terminal:
    """Commands as a person types them, at a terminal without colours. `seen` is everything that was shown."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.seen: dict[tuple[str, ...], str] = {}

    async def type(self, *arguments: object) -> str:
        typed = tuple(map(str, arguments))
        command = (*REMIT, "--home", str(self._stage.home.root), *typed)
        screen, end = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            *command, stdin=end, stdout=end, stderr=end, env={**os.environ, "NO_COLOR": "1"}
        )
        os.close(end)
        # The terminal itself turns a line's end into two characters.
        self.seen[typed] = (await asyncio.to_thread(drained, screen)).replace("\r\n", "\n")
        await asyncio.wait_for(process.wait(), 60)
        return self.seen[typed]


def drained(screen: int) -> str:
    """Everything that is written to a terminal until nobody has it open any more."""
    shown = bytearray()
    with contextlib.suppress(OSError):
        while read := os.read(screen, 65536):
            shown += read
    os.close(screen)
    return shown.decode()


async def worked(stage: Stage, task: str) -> None:
    """The agent calls what there is and what there is not, with what it would like to see on a screen."""
    arguments = ["-m", "remit.edge.cli", "--home", str(stage.home.root), "connect", "--agent", "scout", "--task", task]
    async with Client(StdioServerParameters(command=sys.executable, args=arguments)) as client:
        for name, text in (
            ("loud/say", HOSTILE),
            ("loud/say", LONG),
            ("loud/fail", HOSTILE),
            ("loud/say", {HOSTILE: HOSTILE}),
            (f"loud/{HOSTILE}", HOSTILE),
            (f"{HOSTILE}/{LONG}", HOSTILE),
        ):
            try:
                await client.call_tool(name, {"text": text, **({HOSTILE: LONG} if name == "loud/fail" else {})})
            except MCPError:
                continue


@pytest.mark.holds("INV-11")
async def test_nothing_of_theirs_is_shown_as_it_is(tmp_path):
    stage = Stage(tmp_path, Screen(json=True, out=io.StringIO()))
    await stage.remit("init")
    stage.home.catalogue.write_text(catalogue(free_port()))
    at = Terminal(stage)
    try:
        await stage.up("UTC")
        await stage.contracts("loud")
        await at.type("tool", "list")
        await at.type("tool", "diff", "loud")
        shown = await stage.remit("tool", "diff", "loud")
        await stage.remit("tool", "pin", "loud", "--digest", shown["digest"])
        await stage.remit("agent", "enroll", "scout")
        spec = ("--agent", "scout", "--purpose", "listen", "--text", HOSTILE + LONG, "--requester", HOSTILE)
        task = (await stage.remit("task", "open", *spec))["task"]["id"]
        await at.type("task", "open", *spec)
        await at.type("task", "open", "--agent", HOSTILE, "--purpose", HOSTILE)
        await worked(stage, task)
        await at.type("task", "list")
        await at.type("task", "show", task)
        await at.type("task", "show", HOSTILE)
        await at.type("task", "suspend", task, "--reason", HOSTILE)
        await at.type("tool", "revoke", HOSTILE, "--reason", HOSTILE)
        await at.type("agent", "revoke", "scout", "--reason", HOSTILE + LONG)
        await at.type("agent", "list")
        await at.type("doctor")
    finally:
        await stage.down()
    receipts = (await stage.remit("ledger", "show"))["receipts"]
    timeline = await at.type("ledger", "show")
    await at.type("ledger", "show", "--json")
    await at.type("ledger", "show", "--task", task)
    await at.type("ledger", "export", tmp_path / "bundle")
    await at.type("ledger", "verify", tmp_path / "bundle")
    calls = [one["seq"] for one in receipts if one["body"]["kind"] in ("intent", "denial")]
    for seq in calls:
        await at.type("policy", "explain", seq)
        proof = await at.type("ledger", "prove", seq)
        assert json.loads(json.loads(proof)["leaf"])["seq"] == seq
    at.seen["up",] = (tmp_path / "gateway.log").read_text()

    # It was there to be shown: the name, the argument, the reason and the purpose's text.
    assert len(calls) >= 6
    assert "\\u{1b}[2J" in timeline
    assert "\\u{202e}evil" in at.seen["tool", "diff", "loud"]
    assert "\\u{202e}evil" in at.seen["task", "show", task]
    assert {typed: found for typed, shown in at.seen.items() if (found := unseen(shown))} == {}
    assert max(map(len, timeline.splitlines())) < 800
