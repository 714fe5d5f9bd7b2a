"""Run by a Python that has `mcp` 1.30: speaks to a door as that client does and prints what it saw."""

import asyncio
import sys

import httpx
from mcp import ClientSession, McpError, types
from mcp.client.streamable_http import streamable_http_client


async def main(url: str, token: str) -> None:
    http = httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"})
    async with (
        http,
        streamable_http_client(f"{url}/mcp/notes", http_client=http) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        print((await session.initialize()).protocolVersion)
        await session.send_roots_list_changed()
        result = await session.call_tool("echo", {"text": "hello"})
        print("echo:", result.content[0].text, result.isError)
        print("hidden:", (await session.call_tool("no-such-tool", {})).isError)
        print("prompt:", (await session.get_prompt("greet")).messages[0].content.text)
        print("resource:", (await session.read_resource("notes://one")).contents[0].text)
        await session.set_logging_level("debug")
        try:
            await session.send_request(
                types.ClientRequest(types.ReadResourceRequest(params={"uri": "notes://absent"})),
                types.ReadResourceResult,
            )
        except McpError as e:
            print("refused read:", e.error.code)
        result = await session.call_tool("echo", {"text": "again"})
        print("echo:", result.content[0].text, result.isError)


asyncio.run(main(*sys.argv[1:]))
