"""Published servers behind a real gateway, through published clients: what comes back is what the server said.

Each request is made twice: through the gateway, and to the same server directly, each with a copy of the data of its
own. The answers are compared whole; what has to be refused is refused, and the server is not asked.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.gateway.running import House, free_port, left_of, until
from tests.real.servers import NPM, NPM_SERVERS, PYPI, SERVERS, Server, Step, data

pytestmark = [pytest.mark.slow, pytest.mark.real]

OLD_PYTHON = os.environ.get("REMIT_MCP130", "")
OLD_CLIENT = Path(__file__).with_name("client_130.py")

# How an agent reaches the gateway: over which transport, with which client in which generation.
CLIENTS = ("http-auto", "http-legacy", "bridge-auto", "bridge-legacy", "http-1.30", "bridge-1.30")


class Place(NamedTuple):
    """A gateway with all servers behind it, and the two copies of their data."""

    house: House
    via: Path
    direct: Path
    web: str


class Heard(NamedTuple):
    """What a client was told: the tools, and an answer a step."""

    tools: list[dict[str, Any]]
    answers: list[dict[str, Any]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    where = tmp_path_factory.mktemp("real")
    via, direct, port = data(where / "via"), data(where / "direct"), free_port()
    web = None
    if NPM:
        web = subprocess.Popen(
            SERVERS["web"].started(via),
            env={**os.environ, "PORT": str(port)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    url = f"http://127.0.0.1:{port}/mcp"
    rows = "".join(_row(name, server, via, url) for name, server in SERVERS.items())
    patterns = [f'"{name}/*", "{name}/prompt:*"' for name in SERVERS]
    patterns += ['"all/resource:demo://*", "web/resource:demo://*", "memory/resource:memory://*"'] if NPM else []
    house = House(where / "home", connectors=rows, tools=", ".join(patterns))
    try:
        house.start(env={"MEMORY_FILE_PATH": str(via / "memory.json")})
        house.pin(*SERVERS)
        house.enrol("scout")
        yield Place(house, via, direct, url)
        assert house.stop() == 0
    finally:
        house.kill()
        if web is not None:
            web.kill()
            web.wait()
        until(lambda: not left_of(where), f"processes were left behind: {left_of(where)}")


def _row(name: str, server: Server, here: Path, url: str) -> str:
    how = f"url: {url}" if name == "web" else f"command: {json.dumps(server.started(here))}"
    tools = "".join(f"      {tool}: {row}\n" for tool, row in server.rows.items())
    env = f"    env: {json.dumps(list(server.env))}\n" if server.env else ""
    return f"  {name}:\n    owner: op\n    environment: dev\n    {how}\n{env}{server.more}    tools:\n{tools}"


@asynccontextmanager
async def over_http(url: str, token: str, mode: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


@asynccontextmanager
async def over_stdio(command: list[str], mode: str, **env: str) -> AsyncIterator[Client]:
    given = StdioServerParameters(command=command[0], args=command[1:], env={**os.environ, **env})
    with Path(os.devnull).open("w") as quiet:  # noqa: ASYNC230 - it never blocks
        async with Client(stdio_client(given, errlog=quiet), mode=mode) as client:
            yield client


async def heard_by(client: Client, steps: list[dict[str, Any]]) -> Heard:
    """What the client of this project's own SDK version is told."""
    tools = (await client.list_tools()).tools
    answers = [await _told(client, step) for step in steps]
    return Heard([_dump(tool) for tool in tools], [_dump(answer) for answer in answers])


async def _told(client: Client, step: dict[str, Any]) -> Any:
    match step["kind"]:
        case "tool":
            return await client.call_tool(step["name"], step["arguments"])
        case "resource":
            return await client.read_resource(step["name"])
        case _:
            return await client.get_prompt(step["name"], step["arguments"])


async def heard_by_old(how: dict[str, Any], steps: list[dict[str, Any]]) -> Heard:
    """What a client of SDK 1.30 is told."""
    process = await asyncio.create_subprocess_exec(
        *(OLD_PYTHON, str(OLD_CLIENT)), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(json.dumps({"how": how, "steps": steps}).encode()), 60)
    assert process.returncode == 0
    return Heard(**json.loads(output))


async def through(place: Place, connector: str, client: str, steps: list[dict[str, Any]]) -> Heard:
    """What this client is told through the gateway, under a task of its own, which ends with it."""
    task = place.house.open(purpose="work")
    try:
        return await _through(place, connector, client, task=task, steps=steps)
    finally:
        place.house.door.post(f"/v1/tasks/{task}/complete", {})


async def _through(place: Place, connector: str, client: str, *, task: str, steps: list[dict[str, Any]]) -> Heard:
    transport, _, mode = client.partition("-")
    house = place.house
    url, token = f"{house.url}/mcp/{connector}", house.token(task=task, connector=connector)
    command = [sys.executable, "-m", "remit.edge.cli", "connect", "--agent", "scout", "--task", task]
    command += ["--connector", connector, "--profile", str(house.home.profile("scout"))]
    if mode == "1.30":
        stdio = {"command": command, "env": dict(os.environ)}
        return await heard_by_old({"url": url, "token": token} if transport == "http" else stdio, steps)
    async with over_http(url, token, mode) if transport == "http" else over_stdio(command, mode) as session:
        return await heard_by(session, steps)


async def directly(place: Place, connector: str, steps: list[dict[str, Any]]) -> Heard:
    """What the server itself says."""
    command = SERVERS[connector].started(place.direct)
    env = {"MEMORY_FILE_PATH": str(place.direct / "memory.json")}
    async with over_http(place.web, "", "auto") if connector == "web" else over_stdio(command, "auto", **env) as client:
        return await heard_by(client, steps)


def _dump(model: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dumped


def _said(answer: dict[str, Any], here: Path) -> Any:
    """What an answer says, wherever its data lies: without what each protocol generation wraps around it."""
    kept = {key: answer[key] for key in ("content", "structuredContent", "contents", "messages") if key in answer}
    return json.loads(json.dumps([kept, answer.get("isError", False)]).replace(str(here), "HERE"))


def _contract(tool: dict[str, Any], here: Path) -> Any:
    kept = {key: tool[key] for key in ("name", "title", "description", "inputSchema") if key in tool}
    return json.loads(json.dumps(kept).replace(str(here), "HERE"))


def _names() -> list[Any]:
    skip = pytest.mark.skip(reason="REMIT_NPM_DIR names no directory with the npm servers (`make real`)")
    return [*PYPI, *(pytest.param(name, marks=() if NPM else skip) for name in NPM_SERVERS)]


@pytest.mark.holds("WIRE-REAL", "WIRE-REVISIONS", "INV-03", "INV-08", "INPUT-SCHEMA")
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("connector", _names())
async def test_a_published_server_says_through_the_gateway_what_it_says_directly(
    place: Place, connector: str, client: str
) -> None:
    if client.endswith("1.30") and not OLD_PYTHON:
        pytest.skip("no client 1.30: set REMIT_MCP130 to the Python of an environment with `mcp==1.30.*`")
    who = client.replace(".", "")
    steps = SERVERS[connector].steps
    passing = [step for step in steps if not step.refused]
    told = await directly(place, connector, [step.by(who, place.direct) for step in passing])
    heard = await through(place, connector, client, [step.by(who, place.via) for step in steps])
    contracts = {tool["name"]: _contract(tool, place.direct) for tool in told.tools}
    listed = {tool["name"]: _contract(tool, place.via) for tool in heard.tools}
    assert listed == {name: contracts[name] for name in listed}
    assert {step.name for step in passing if step.kind == "tool"} <= listed.keys()
    answers = iter(told.answers)
    for step, answer in zip(steps, heard.answers, strict=True):
        _compare(step, answer, place, answers)


def _compare(step: Step, answer: dict[str, Any], place: Place, direct: Iterator[dict[str, Any]]) -> None:
    if step.refused:
        assert answer["isError"], step
        assert answer["_meta"]["io.remit/decision"]["reason"] == step.refused
        assert answer["content"][0]["text"].startswith("Refused: ")
    else:
        assert _said(answer, place.via) == _said(next(direct), place.direct)
        assert answer["_meta"]["io.remit/labels"] == ["untrusted"]
