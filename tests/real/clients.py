"""Published clients of the MCP SDK, and what each is told by a server behind the gateway or by the server itself."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.gateway.running import House
from tests.real.servers import SERVERS, Side

OLD_PYTHON = os.environ.get("REMIT_MCP130", "")
OLD_CLIENT = Path(__file__).with_name("client_130.py")
PATIENCE_S = 60


class Place(NamedTuple):
    """A gateway with all servers behind it, what they work on, and what those asked directly do."""

    house: House
    via: Side
    direct: Side
    web: str

    def given(self, connector: str, *, task: str) -> tuple[str, str]:
        """URL and token of an agent that works over HTTP."""
        return f"{self.house.url}/mcp/{connector}", self.house.token(task=task, connector=connector)

    def bridge(self, connector: str, *, task: str) -> list[str]:
        """The command of an agent that works over stdio."""
        profile = str(self.house.home.profile("scout"))
        named = ("--agent", "scout", "--task", task, "--connector", connector, "--profile", profile)
        return [sys.executable, "-m", "remit.edge.cli", "connect", *named]


class Heard(NamedTuple):
    """What a client was told: the tools, and an answer a step, which may be `{"error": …}`."""

    tools: list[dict[str, Any]]
    answers: list[dict[str, Any]]


@asynccontextmanager
async def over_http(url: str, token: str, mode: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE_S) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


@asynccontextmanager
async def over_stdio(command: list[str], mode: str, **env: str) -> AsyncIterator[Client]:
    given = StdioServerParameters(command=command[0], args=command[1:], env={**os.environ, **env})
    with Path(os.devnull).open("w") as quiet:  # noqa: ASYNC230 - it never blocks
        async with Client(stdio_client(given, errlog=quiet), mode=mode) as client:
            yield client


async def through(place: Place, connector: str, client: str, *, task: str, steps: list[dict[str, Any]]) -> Heard:
    """What this client is told through the gateway under this task."""
    transport, _, mode = client.partition("-")
    url, token = place.given(connector, task=task)
    command = place.bridge(connector, task=task)
    if mode == "1.30":
        stdio = {"command": command, "env": dict(os.environ)}
        return await _heard_by_old({"url": url, "token": token} if transport == "http" else stdio, steps)
    async with over_http(url, token, mode) if transport == "http" else over_stdio(command, mode) as session:
        return await _heard_by(session, steps)


async def directly(place: Place, connector: str, steps: list[dict[str, Any]]) -> Heard:
    """What the server itself says."""
    command = SERVERS[connector].started(place.direct)
    env = {"MEMORY_FILE_PATH": str(place.direct.here / "memory.json")}
    async with over_http(place.web, "", "auto") if connector == "web" else over_stdio(command, "auto", **env) as client:
        return await _heard_by(client, steps)


async def _heard_by(client: Client, steps: list[dict[str, Any]]) -> Heard:
    """What the client of this project's own SDK version is told."""
    tools = (await client.list_tools()).tools
    return Heard([_dump(tool) for tool in tools], [await _told(client, step) for step in steps])


async def _told(client: Client, step: dict[str, Any]) -> dict[str, Any]:
    try:
        match step["kind"]:
            case "tool":
                return _dump(await client.call_tool(step["name"], step["arguments"]))
            case "resource":
                return _dump(await client.read_resource(step["name"]))
            case _:
                return _dump(await client.get_prompt(step["name"], step["arguments"]))
    except MCPError as e:
        return {"error": _dump(e.error)}


async def _heard_by_old(how: dict[str, Any], steps: list[dict[str, Any]]) -> Heard:
    """What a client of SDK 1.30 is told."""
    given = json.dumps({"how": how, "steps": steps})
    status, output, _ = await finished((OLD_PYTHON, str(OLD_CLIENT)), given)
    assert status == 0
    return Heard(**json.loads(output))


async def finished(command: Sequence[str], given: str = "", **env: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command that reads this."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, **env}
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(given.encode()), PATIENCE_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


def _dump(model: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dumped
