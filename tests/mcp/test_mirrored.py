"""Arguments that headers repeat."""

import msgspec
import pytest

from tests.mcp.conftest import Door, headers_for, modern

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.holds("INPUT-HEADER")
@pytest.mark.parametrize(
    "headers, status",
    [
        ({"Mcp-Param-Region": "eu"}, 200),
        ({"Mcp-Param-Region": "=?base64?ZXU=?="}, 200),
        ({"Mcp-Param-Region": "eu", "Mcp-Param-Other": "ignored"}, 200),
        ({}, 400),
        ({"Mcp-Param-Region": "us"}, 400),
        ({"Mcp-Param-Region": "eu", "Mcp-Param-Count": "1"}, 400),
    ],
)
@pytest.mark.parametrize("path, name", [("/mcp/notes", "routed"), ("/mcp", "notes/routed")])
async def test_mirrored_arguments_agree(
    door: Door, *, headers: dict[str, str], status: int, path: str, name: str
) -> None:
    message = modern("tools/call", {"name": name, "arguments": {"region": "eu"}})
    got, _, body = await door.send(msgspec.json.encode(message), headers_for(message) | headers, path=path)
    assert got == status
    assert len(door.backend.asked) == (1 if status == 200 else 0)
    assert body.get("error", {}).get("code") == (None if status == 200 else -32020)


@pytest.mark.holds("WIRE-ALIKE")
async def test_mirrored_arguments_do_not_betray_a_tool_out_of_reach(door: Door) -> None:
    arguments = {"region": "eu"}
    hidden = await door.modern("tools/call", {"name": "hidden", "arguments": arguments}, path="/mcp/vault")
    absent = await door.modern("tools/call", {"name": "absent", "arguments": arguments}, path="/mcp/vault")
    assert hidden[2] == absent[2]
