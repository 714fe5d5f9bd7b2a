"""Discovery and lists: the same for what is out of reach and what is not there, page by page."""

from typing import Any

import msgspec
import pytest
from mcp_types import _v2026_07_28 as wire

from tests.mcp.conftest import Door, headers_for, legacy, modern
from tests.mcp.simulated import BOB, contract, tool

pytestmark = pytest.mark.asyncio(loop_scope="module")

DECISION = "io.remit/decision"
CHANGES = {"listChanged": True}


async def test_a_modern_client_discovers(door: Door) -> None:
    _, _, body = await door.modern("server/discover")
    wire.DiscoverResult.model_validate(body["result"], strict=True)
    assert body["result"]["supportedVersions"] == ["2026-07-28", "2025-11-25", "2025-06-18"]
    assert body["result"]["capabilities"] == dict.fromkeys(("tools", "prompts", "resources"), CHANGES)
    assert body["result"]["_meta"]["io.modelcontextprotocol/serverInfo"] == {"name": "remit", "version": "1.2.3"}


async def test_the_aggregate_offers_no_resources(door: Door) -> None:
    _, _, body = await door.modern("server/discover", path="/mcp")
    assert body["result"]["capabilities"] == {"tools": CHANGES, "prompts": CHANGES}
    for method in ("resources/list", "resources/templates/list", "resources/read"):
        params = {"uri": "notes://one"} if method == "resources/read" else {}
        status, _, body = await door.modern(method, params, path="/mcp")
        assert (status, body["error"]["code"]) == (404, -32601)
        assert "/mcp/<connector>" in body["error"]["message"]


@pytest.mark.holds("WIRE-ALIKE")
@pytest.mark.parametrize(
    "method", ["server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list"]
)
async def test_a_connector_out_of_reach_and_one_that_does_not_exist_look_alike(door: Door, method: str) -> None:
    hidden, absent = [await door.modern(method, path=path) for path in ("/mcp/vault", "/mcp/absent")]
    assert hidden[0] == absent[0] == 200
    assert hidden[2] == absent[2]
    assert "instructions" not in hidden[2]["result"]


async def test_a_modern_list_is_for_this_caller_only(door: Door) -> None:
    _, _, body = await door.modern("tools/list")
    wire.ListToolsResult.model_validate(body["result"])
    assert body["result"]["cacheScope"] == "private"
    assert body["result"]["resultType"] == "complete"
    assert body["result"]["ttlMs"] > 0


async def test_a_legacy_list_has_no_modern_members(door: Door) -> None:
    _, _, body = await door.send(legacy("tools/list"), await door.session())
    assert body["result"].keys() == {"tools"}


@pytest.mark.parametrize("path", ["/mcp/many", "/mcp"])
async def test_a_long_list_comes_in_pages_in_one_order(door: Door, path: str) -> None:
    door.backend.contracts = tuple(tool("many", f"t{n:04}") for n in reversed(range(1201)))
    names: list[str] = []
    params: dict[str, Any] = {}
    while True:
        _, _, body = await door.modern("tools/list", params, path=path)
        names += [one["name"].removeprefix("many/") for one in body["result"]["tools"]]
        if "nextCursor" not in body["result"]:
            break
        params = {"cursor": body["result"]["nextCursor"]}
    assert names == [f"t{n:04}" for n in range(1201)]


async def test_a_page_is_bounded_in_bytes_too(door: Door) -> None:
    door.backend.contracts = tuple(contract("many", "tool", f"t{n}", description="x" * 200_000) for n in range(8))
    _, _, body = await door.modern("tools/list", path="/mcp/many")
    assert 1 <= len(body["result"]["tools"]) < 8


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", 1, None, "=", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "é"])
async def test_an_invented_cursor_fits_nothing(door: Door, cursor: Any) -> None:
    status, _, body = await door.modern("tools/list", {"cursor": cursor})
    assert (status, (body.get("error") or {}).get("code")) == ((200, None) if cursor is None else (400, -32602))


async def test_a_cursor_fits_its_own_list_and_caller_only(door: Door) -> None:
    door.backend.contracts = tuple(tool("many", f"t{n:04}") for n in range(501))
    _, _, body = await door.modern("tools/list", path="/mcp/many")
    params = {"cursor": body["result"]["nextCursor"]}
    message = modern("tools/list", params)
    asked_by_bob = headers_for(message) | {"Authorization": f"Bearer {BOB}"}
    assert (await door.send(msgspec.json.encode(message), asked_by_bob, path="/mcp/many"))[0] == 400
    assert (await door.modern("tools/list", params, path="/mcp/many"))[0] == 200
    door.backend.contracts += (tool("many", "t9999"),)
    assert (await door.modern("tools/list", params, path="/mcp/many"))[0] == 400


async def test_a_list_takes_no_unknown_params(door: Door) -> None:
    status, _, body = await door.modern("tools/list", {"filter": "x"})
    assert (status, body["error"]["code"]) == (400, -32602)


async def test_a_refused_list_says_why(door: Door) -> None:
    message = modern("tools/list")
    status, _, body = await door.send(msgspec.json.encode(message), headers_for(message) | {"Remit-Task": "closed"})
    assert (status, body["error"]["code"]) == (200, 4403)
    assert body["error"]["data"][DECISION]["reason"] == "task.not_open"
