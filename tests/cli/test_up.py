"""`remit up` and `remit connect`, as processes: a gateway, the bridge, and the official client at its other end."""

import asyncio
import getpass
import io
import json
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters

from remit.edge.cli import profile
from remit.edge.cli.demo.stage import Stage, free_port
from remit.edge.cli.init import person_name
from remit.edge.cli.output import Screen

pytestmark = pytest.mark.slow

REMIT = (sys.executable, "-m", "remit.edge.cli")
NOW = {"timezone": "Europe/Paris"}


def catalogue(port: int) -> str:
    """One tool server, an agent with a default task, one without."""
    me = person_name(getpass.getuser())
    agent = f'owner: {me}, model: {{provider: x, name: y, version: "1"}}, version: "1", environment: dev'
    return f"""\
version: 1
trust_domain: remit.local
environments: [dev]
gateway: {{listen: "127.0.0.1:{port}"}}
people: {{{me}: {{email: "x@localhost", os_user: "{getpass.getuser()}", roles: [requester, operator, auditor]}}}}
connectors:
  time:
    owner: {me}
    environment: dev
    command: ["{sys.executable}", -m, mcp_server_time, --local-timezone, UTC]
    env: [PATH]
    stateless: true
    tools: {{get_current_time: {{tier: read, data: {{public: []}}}}}}
agents:
  scout: {{{agent}, template: {{purpose: clocks}}}}
  mole: {{{agent}}}
purposes:
  clocks: {{owner: {me}, tools: ["time/*"], data_classes: [public], environments: [dev]}}
"""


@asynccontextmanager
async def gateway(root: Path):
    """A gateway with its one tool server pinned and both agents enrolled."""
    stage = Stage(root, Screen(json=True, out=io.StringIO()))
    try:
        await stage.remit("init")
        stage.home.catalogue.write_text(catalogue(free_port()))
        await stage.up("UTC")
        await stage.contracts("time")
        shown = await stage.remit("tool", "diff", "time")
        await stage.remit("tool", "pin", "time", "--digest", shown["digest"])
        for name in ("scout", "mole"):
            await stage.remit("agent", "enroll", name)
        yield stage
    finally:
        await stage.down()


def bridge(stage: Stage, agent: str, *more: str) -> StdioServerParameters:
    arguments = [*REMIT[1:], "--home", str(stage.home.root), "connect", "--agent", agent, *more]
    return StdioServerParameters(command=REMIT[0], args=arguments)


async def raw(stage: Stage, *messages: dict, agent: str = "scout") -> tuple[int, bytes, bytes]:
    """Speak to the bridge by hand; everything it wrote comes back."""
    command = [*REMIT, "--home", str(stage.home.root), "connect", "--agent", agent]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    given = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
    out, err = await asyncio.wait_for(process.communicate(given), 30)
    return process.returncode, out, err


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


@pytest.mark.holds("WIRE-REAL")
async def test_the_official_client_works_through_the_bridge_in_both_generations(tmp_path):
    async with gateway(tmp_path) as stage:
        for mode in ("auto", "legacy"):
            async with Client(bridge(stage, "scout"), mode=mode) as client:
                assert "time/get_current_time" in {tool.name for tool in (await client.list_tools()).tools}
                result = await client.call_tool("time/get_current_time", NOW)
                assert not result.is_error, result
                assert result.structured_content["timezone"] == "Europe/Paris"
        async with Client(bridge(stage, "scout", "--connector", "time")) as client:
            assert not (await client.call_tool("get_current_time", NOW)).is_error


async def test_a_task_named_to_the_bridge_is_the_one_worked_under(tmp_path):
    async with gateway(tmp_path) as stage:
        opened = await stage.remit("task", "open", "--agent", "mole", "--purpose", "clocks", "--calls", 1)
        task = opened["task"]["id"]
        async with Client(bridge(stage, "mole", "--task", task)) as client:
            assert not (await client.call_tool("time/get_current_time", NOW)).is_error
            again = await client.call_tool("time/get_current_time", NOW)
            assert again.meta["io.remit/decision"]["reason"] == "commit.budget"
        async with Client(bridge(stage, "mole")) as client:
            refused = await client.call_tool("time/get_current_time", NOW)
            assert refused.meta["io.remit/decision"]["reason"] == "task.missing"
        receipts = (await stage.remit("ledger", "show", "--task", task))["receipts"]
        assert [one["body"]["kind"] for one in receipts] == ["task", "intent", "outcome", "denial"]
        token = await stage.remit("task", "open", "--agent", "mole", "--purpose", "clocks", "--token")
        assert token["token"].count(".") == 2


@pytest.mark.holds("CLI-SECRET")
async def test_the_bridge_writes_messages_and_no_secret(tmp_path):
    async with gateway(tmp_path) as stage:
        private = json.loads(stage.home.profile("scout").read_text())["key"]["d"]
        code, out, err = await raw(stage, INITIALIZE, {"jsonrpc": "2.0", "id": 2, "method": "tools/list"})
        answers = {message["id"]: message for message in map(json.loads, out.splitlines())}
        assert (code, err, set(answers)) == (0, b"", {1, 2})
        everything = out + b"".join(path.read_bytes() for path in stage.root.glob("*.log"))
        assert private.encode() not in everything
        assert b"eyJ" not in everything  # how a JWT begins


async def test_without_a_gateway_the_client_is_told_in_its_own_protocol(tmp_path):
    async with gateway(tmp_path) as stage:
        await stage.down()
        code, out, err = await raw(stage, INITIALIZE)
        assert (code, err) == (0, b"")
        assert "cannot be reached" in json.loads(out)["error"]["message"]


async def test_another_s_profile_is_refused_before_anything_is_sent(tmp_path):
    async with gateway(tmp_path) as stage:
        stage.home.profile("mole").write_bytes(stage.home.profile("scout").read_bytes())
        code, out, err = await raw(stage, INITIALIZE, agent="mole")
        assert (code, out) == (2, b"")
        assert b"is `scout`'s, not `mole`'s" in err
        stage.home.profile("scout").chmod(0o644)
        assert (await raw(stage, INITIALIZE))[0] == 4


async def test_an_input_that_is_no_pipe_is_said_and_nothing_hangs(tmp_path):
    profile.save(profile.make("scout", url="http://127.0.0.1:1", trust_domain="t"), tmp_path / "p.json")
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    command = [*REMIT, "connect", "--agent", "scout", "--profile", tmp_path / "p.json"]
    bridge = await asyncio.create_subprocess_exec(*command, stdin=nothing, stdout=pipe, stderr=pipe)
    out, err = await asyncio.wait_for(bridge.communicate(), 30)
    assert (bridge.returncode, out) == (2, b"")
    assert err.splitlines()[0] == b"remit: standard input and output have to be pipes"


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
async def test_a_gateway_says_what_it_is_and_ends_in_order(tmp_path, sign):
    root = tmp_path / "home"
    init = await asyncio.create_subprocess_exec(*REMIT, "init", root, stdout=asyncio.subprocess.DEVNULL)
    assert await init.wait() == 0
    dead = f"  dead: {{owner: {person_name(getpass.getuser())}, environment: dev, command: ['false']}}\n"
    (root / "remit.yaml").write_text(catalogue(free_port()).replace("connectors:\n", f"connectors:\n{dead}"))
    pipe = asyncio.subprocess.PIPE
    up = await asyncio.create_subprocess_exec(*REMIT, "--home", root, "up", stdout=pipe, stderr=pipe)
    try:
        told = b""
        log = f"its log is {root}/state/logs/dead.log"
        expected = [b"2 and the server itself quarantined until reviewed: remit tool diff time", log.encode()]
        while not all(words in told for words in expected):
            line = await asyncio.wait_for(up.stdout.readline(), 30)
            assert line, (told, await up.stderr.read())
            told += line
        assert b"agents:   http://127.0.0.1:" in told
        assert str(root / "door.sock").encode() in told
        assert b"boundary: SAME USER." in told

        second = await asyncio.create_subprocess_exec(*REMIT, "--home", root, "up", stdout=pipe, stderr=pipe)
        _, err = await asyncio.wait_for(second.communicate(), 30)
        assert second.returncode == 7
        assert err.startswith(b"remit: a gateway of this home runs already: ")
        assert b"Traceback" not in err
    finally:
        up.send_signal(sign)
        out, err = await asyncio.wait_for(up.communicate(), 30)
    assert (up.returncode, out, err) == (0, b"", b"stopped\n")
    shown = await asyncio.create_subprocess_exec(*REMIT, "--home", root, "ledger", "show", stdout=pipe)
    lines, _ = await shown.communicate()
    assert b"gateway stopped" in lines.splitlines()[-1]


async def test_policy_files_are_applied_as_they_change_in_the_name_of_who_develops(tmp_path):
    stage = Stage(tmp_path, Screen(json=True, out=io.StringIO()))
    await stage.remit("init")
    stage.home.catalogue.write_text(catalogue(free_port()))
    try:
        await stage.up("UTC", "--develop")
        (stage.home.policy / "more.cedar").write_text(
            '@id("more")\npermit (principal, action in Action::"read", resource);'
        )
        for _ in range(100):
            if '@id("more")' in (await stage.remit("policy", "show"))["text"]:
                break
            await asyncio.sleep(0.1)
    finally:
        await stage.down()
    assert b"develop:  policy files are applied as they change" in (tmp_path / "gateway.log").read_bytes()
    events = [
        one["body"] for one in (await stage.remit("ledger", "show"))["receipts"] if one["body"]["kind"] == "policy"
    ]
    assert (events[-1]["added"], events[-1]["actor"]["name"]) == (["more"], person_name(getpass.getuser()))


async def test_a_gateway_that_cannot_start_says_why_in_a_line(tmp_path):
    stage = Stage(tmp_path, Screen(json=True, out=io.StringIO()))
    await stage.remit("init")
    stage.home.catalogue.write_text("version: 1\nnonsense: true\n")
    run = await asyncio.create_subprocess_exec(
        *REMIT, "--home", stage.home.root, "up", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    _, err = await run.communicate()
    assert run.returncode == 4
    assert b"remit.yaml:2" in err
    assert b"Traceback" not in err
