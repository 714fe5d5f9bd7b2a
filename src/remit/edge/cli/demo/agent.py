"""The agent of the story: the official MCP client, which starts `remit connect` as its stdio server."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from mcp import Client, StdioServerParameters

from remit.edge.cli.home import Home

_DECISION: Final = "io.remit/decision"


class Heard(NamedTuple):
    """What the agent got: its text, and the reason it was told when it was refused."""

    text: str
    refused: str


class Agent:
    """One connected agent."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def tools(self) -> set[str]:
        """The names of the tools it is shown."""
        return {tool.name for tool in (await self._client.list_tools()).tools}

    async def call(self, name: str, arguments: dict[str, Any]) -> Heard:
        """One call. A refusal is an answer like any other; `refused` is `error` when the tool itself failed."""
        result = await self._client.call_tool(name, arguments)
        text = " ".join(getattr(part, "text", "") for part in result.content)
        decision = (result.meta or {}).get(_DECISION, {})
        return Heard(text, decision.get("reason", "error") if result.is_error else "")


@asynccontextmanager
async def connected(home: Home, agent: str, *, task: str) -> AsyncIterator[Agent]:
    """The agent, connected as a desktop client would be: its configuration names the agent and holds no secret."""
    bridge = ["-m", "remit.edge.cli", "--home", str(home.root), "connect", "--agent", agent, "--task", task]
    async with Client(StdioServerParameters(command=sys.executable, args=bridge)) as client:
        yield Agent(client)
