"""Run by a Python that has `mcp` 1.30: takes steps as JSON on standard input, prints what it was told as JSON."""

import asyncio
import json
import sys
from contextlib import asynccontextmanager

import httpx
from mcp import ClientSession, McpError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client


@asynccontextmanager
async def connected(how):
    """A session over HTTP (`url`, `token`) or through a command over stdio (`command`, `env`)."""
    if "url" in how:
        async with (
            httpx.AsyncClient(headers={"Authorization": f"Bearer {how['token']}"}, timeout=60) as http,
            streamable_http_client(how["url"], http_client=http) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            yield session
    else:
        command, *args = how["command"]
        async with (
            stdio_client(StdioServerParameters(command=command, args=args, env=how["env"])) as (read, write),
            ClientSession(read, write) as session,
        ):
            yield session


async def told(session, step):
    try:
        return dump(await asked_for(session, step))
    except McpError as e:
        return {"error": dump(e.error)}


async def asked_for(session, step):
    match step["kind"]:
        case "tool":
            return await session.call_tool(step["name"], step["arguments"])
        case "resource":
            return await session.read_resource(step["name"])
        case "prompt":
            return await session.get_prompt(step["name"], step["arguments"])


async def main():
    asked = json.load(sys.stdin)
    async with connected(asked["how"]) as session:
        await session.initialize()
        tools = (await session.list_tools()).tools
        answers = [await told(session, step) for step in asked["steps"]]
    said = {"tools": [dump(tool) for tool in tools], "answers": answers}
    json.dump(said, sys.stdout)


def dump(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


asyncio.run(main())
