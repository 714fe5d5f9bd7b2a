"""Run by a Python that has `mcp` 1.30: `old_client.py URL TOKEN`; prints what it was asked and told as JSON."""

import asyncio
import json
import sys

import httpx
from mcp import ClientSession, types
from mcp.client.streamable_http import streamable_http_client

HEARD = {"asked": [], "logged": [], "progress": []}


async def elicited(context, params):
    HEARD["asked"].append(params.message)
    return types.ElicitResult(action="accept", content={"word": f"word-{len(HEARD['asked'])}"})


async def sampled(context, params):
    said = types.TextContent(type="text", text="plum")
    return types.CreateMessageResult(role="assistant", content=said, model="m")


async def rooted(context):
    return types.ListRootsResult(roots=[types.Root(uri="file:///home")])


async def logged(params):
    HEARD["logged"].append([params.level, params.data])


async def progressed(progress, total, message):
    HEARD["progress"].append([progress, total, message])


async def main(url, token):
    async with (
        httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as http,
        streamable_http_client(url, http_client=http) as (read, write, _),
        ClientSession(
            read,
            write,
            elicitation_callback=elicited,
            sampling_callback=sampled,
            list_roots_callback=rooted,
            logging_callback=logged,
        ) as session,
    ):
        await session.initialize()
        await session.set_logging_level("info")
        for tool in ("ask", "ask_twice", "ask_all", "tell"):
            result = await session.call_tool(tool, {}, progress_callback=progressed)
            HEARD[tool] = result.content[0].text
    json.dump(HEARD, sys.stdout)


asyncio.run(main(*sys.argv[1:]))
