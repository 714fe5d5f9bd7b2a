"""The official SDK clients at the door: 2.3 in both generations, 1.30 on the legacy wire."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from tests.mcp.conftest import Door
from tests.mcp.simulated import ADA

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODES = ["auto", "legacy", "2026-07-28"]
OLD_CLIENT = Path(__file__).with_name("client_130.py")


@asynccontextmanager
async def connected(door: Door, mode: str, path: str = "/mcp/notes") -> AsyncIterator[Client]:
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {ADA}"}) as http:
        transport = streamable_http_client(door.url + path, http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


@pytest.mark.holds("WIRE-REVISIONS", "INV-08")
@pytest.mark.parametrize("mode", MODES)
async def test_an_agent_lists_and_calls_tools(door: Door, mode: str) -> None:
    async with connected(door, mode) as client:
        listed = await client.list_tools()
        assert [tool.name for tool in listed.tools] == [
            "asks",
            "broken",
            "echo",
            "fail",
            "guarded",
            "routed",
            "slow",
            "upstream-error",
        ]
        result = await client.call_tool("echo", {"text": "hello"})
        assert result.content[0].text == "hello"
        assert result.meta["io.remit/labels"] == ["untrusted"]


@pytest.mark.parametrize("mode", MODES)
async def test_prompts_and_resources_are_reached_at_their_connector(door: Door, mode: str) -> None:
    async with connected(door, mode) as client:
        assert [prompt.name for prompt in (await client.list_prompts()).prompts] == ["greet"]
        assert (await client.get_prompt("greet")).messages[0].content.text == "hello"
        assert [str(resource.uri) for resource in (await client.list_resources()).resources] == ["notes://one"]
        assert len((await client.list_resource_templates()).resource_templates) == 1
        assert (await client.read_resource("notes://one")).contents[0].text == "one"


@pytest.mark.parametrize("mode", MODES)
async def test_the_aggregate_names_tools_by_connector_and_serves_no_resources(door: Door, mode: str) -> None:
    async with connected(door, mode, "/mcp") as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert "clock/now" in names
        assert "notes/echo" in names
        assert (await client.call_tool("notes/echo", {"text": "hi"})).content[0].text == "hi"
        with pytest.raises(MCPError, match="/mcp/<connector>"):
            await client.list_resources()


@pytest.mark.parametrize("mode", MODES)
async def test_a_refused_call_is_a_result_the_model_can_read(door: Door, mode: str) -> None:
    async with connected(door, mode) as client:
        result = await client.call_tool("guarded", {})
        assert result.is_error
        assert result.content[0].text.startswith("Refused: a person has to approve this call first")
        assert result.meta["io.remit/decision"] == {
            "verdict": "STEP_UP",
            "reason": "approval.required",
            "retryable": False,
            "receipt": "r-5",
            "approvals": ["prod-change"],
        }


@pytest.mark.parametrize("mode", MODES)
async def test_a_tool_with_mirrored_arguments_is_called(door: Door, mode: str) -> None:
    async with connected(door, mode) as client:
        await client.list_tools()
        await client.call_tool("routed", {"region": "zürich", "count": 3})
    assert door.backend.asked[-1].params["arguments"] == {"region": "zürich", "count": 3}


@pytest.mark.parametrize("mode", MODES)
async def test_a_failure_inside_the_gateway_tells_nothing_and_ends_no_session(door: Door, mode: str) -> None:
    async with connected(door, mode) as client:
        with pytest.raises(MCPError, match="the gateway failed") as failed:
            await client.call_tool("broken", {})
        assert "secret" not in str(failed.value)
        assert not (await client.call_tool("echo", {"text": "still here"})).is_error


@pytest.mark.real
async def test_the_older_client_works_too(door: Door) -> None:
    python = os.environ.get("REMIT_MCP130")
    if not python:
        pytest.skip("no client 1.30: set REMIT_MCP130 to the Python of an environment with `mcp==1.30.*`")
    process = await asyncio.create_subprocess_exec(
        *(python, str(OLD_CLIENT), door.url, ADA), stdout=asyncio.subprocess.PIPE, stderr=sys.stderr.fileno()
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert output.decode().splitlines() == [
        "2025-11-25",
        "echo: hello False",
        "hidden: True",
        "prompt: hello",
        "resource: one",
        "refused read: -32602",
        "echo: again False",
    ]
