"""A client of a door that reads an event stream while it lasts, and the words both wires ask in."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
from msgspec import Raw

from remit.answer import Question
from tests.mcp.conftest import Door, plain
from tests.mcp.simulated import ADA

PATIENCE_S = 10
WORD = Question(method="elicitation/create", params=Raw(b'{"message":"which word?","requestedSchema":{}}'))
ROOTS = Question(method="roots/list", params=Raw(b"{}"))
ABLE = {"elicitation": {}, "roots": {}}


class Told:
    """What comes back on one request, as it comes."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> Any:
        """The next message; it has to be framed as one."""
        assert self.response.content_type == "text/event-stream"
        lines = [await asyncio.wait_for(self.response.content.readline(), PATIENCE_S) for _ in range(3)]
        assert (lines[0], lines[2]) == (b"event: message\n", b"\n")
        assert lines[1].startswith(b"data: ")
        return msgspec.json.decode(lines[1].removeprefix(b"data: "))

    async def over(self) -> bool:
        """Whether nothing more comes."""
        return await asyncio.wait_for(self.response.content.read(), PATIENCE_S) == b""


@asynccontextmanager
async def told(door: Door, message: Mapping[str, Any], headers: Mapping[str, str]) -> AsyncIterator[Told]:
    body = msgspec.json.encode(message)
    async with door.client.post(door.url + "/mcp/notes", data=body, headers=headers) as response:
        yield Told(response)


def call(name: str, number: int | str = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": name, **params}}


async def able(door: Door, capabilities: Mapping[str, Any] = ABLE, *, token: str = ADA) -> dict[str, str]:
    """A session whose client answers questions."""
    params = {"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {"name": "t"}}
    opening = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    status, headers, _ = await door.send(msgspec.json.encode(opening), plain(token))
    assert status == 200
    return plain(token) | {"Mcp-Session-Id": headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"}


async def answers(door: Door, session: Mapping[str, str], number: Any, /, **given: Any) -> int:
    """POST the answer to a request of the door; the status."""
    message = {"jsonrpc": "2.0", "id": number, **given}
    return (await door.send(msgspec.json.encode(message), session))[0]
