"""Sessions of legacy clients: whose they are, how many, how they end."""

import asyncio
from typing import Any

import msgspec
import pytest

from remit.edge.mcp.leaving import Cancelled
from remit.edge.mcp.rpc import Fault
from remit.edge.mcp.sessions import Sessions
from tests.mcp.conftest import Door, legacy, plain
from tests.mcp.simulated import ADA, BOB, SimulatedBackend

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.holds("WIRE-REVISIONS")
@pytest.mark.parametrize(
    "asked, agreed",
    [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-11-25"),
        ("2024-11-05", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("tomorrow", "2025-11-25"),
    ],
)
async def test_a_handshake_agrees_on_a_revision_with_sessions(door: Door, asked: str, agreed: str) -> None:
    params = {"protocolVersion": asked, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    status, headers, body = await door.send(legacy("initialize", params), plain())
    assert status == 200
    assert "mcp-session-id" in headers
    assert body["result"] == {
        "protocolVersion": agreed,
        "serverInfo": {"name": "remit", "version": "1.2.3"},
        "capabilities": {key: {"listChanged": True} for key in ("tools", "prompts", "resources")},
        "instructions": "instructions of notes",
    }


@pytest.mark.parametrize("lacking", ["protocolVersion", "capabilities", "clientInfo"])
async def test_a_handshake_without_its_members_opens_nothing(door: Door, lacking: str) -> None:
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}}
    del params[lacking]
    status, headers, body = await door.send(legacy("initialize", params), plain())
    assert (status, body["error"]["code"]) == (400, -32602)
    assert "mcp-session-id" not in headers


async def test_a_session_works_without_the_version_header(door: Door) -> None:
    session = await door.session(version="2025-06-18")
    del session["MCP-Protocol-Version"]
    assert (await door.send(legacy("ping"), session))[2]["result"] == {}


async def test_a_session_speaks_one_revision(door: Door) -> None:
    session = await door.session(version="2025-06-18")
    status, _, body = await door.send(legacy("ping"), session | {"MCP-Protocol-Version": "2025-11-25"})
    assert (status, body["id"], body["error"]["code"]) == (400, 1, -32600)


async def test_without_a_session_nothing_is_answered(door: Door) -> None:
    status, _, body = await door.send(legacy("tools/list"), plain())
    assert (status, body["error"]["code"]) == (400, -32600)


@pytest.mark.holds("IDENT-EVERY")
async def test_a_session_is_its_agents_at_its_endpoint_and_proves_nothing(door: Door) -> None:
    session = await door.session()
    assert (await door.send(legacy("ping"), session))[0] == 200
    others = [
        await door.send(legacy("ping"), session | {"Authorization": f"Bearer {BOB}"}),
        await door.send(legacy("ping"), session, path="/mcp/clock"),
        await door.send(legacy("ping"), session, path="/mcp"),
        await door.send(legacy("ping"), session | {"Mcp-Session-Id": "invented"}),
    ]
    assert {(status, msgspec.json.encode(body)) for status, _, body in others} == {
        (404, msgspec.json.encode(others[0][2]))
    }
    del session["Authorization"]
    assert (await door.send(legacy("ping"), session))[0] == 401


async def test_a_closed_session_is_unknown(door: Door) -> None:
    session = await door.session()
    for expected in (204, 404):
        async with door.client.delete(door.url + "/mcp/notes", headers=session) as response:
            assert response.status == expected
    assert (await door.send(legacy("ping"), session))[0] == 404


async def test_closing_a_session_cancels_what_runs_in_it(door: Door) -> None:
    session = await door.session()
    call = asyncio.create_task(door.send(legacy("tools/call", {"name": "slow"}), session))
    await asyncio.wait_for(door.backend.running.wait(), 10)
    async with door.client.delete(door.url + "/mcp/notes", headers=session) as response:
        assert response.status == 204
    assert (await call)[0] == 200
    assert door.backend.cancelled.is_set()


async def test_the_session_longest_unused_gives_way(door: Door) -> None:
    door.backend.sessions = 2
    first, second = await door.session(), await door.session()
    await door.send(legacy("ping"), first)
    third = await door.session()
    assert [(await door.send(legacy("ping"), one))[0] for one in (first, second, third)] == [200, 404, 200]
    assert (await door.send(legacy("ping"), await door.session(token=BOB) | {"Authorization": f"Bearer {BOB}"}))[
        0
    ] == 200


async def test_a_busy_session_does_not_give_way(door: Door) -> None:
    door.backend.sessions = 1
    session = await door.session()
    call = asyncio.create_task(door.send(legacy("tools/call", {"name": "slow"}), session))
    await asyncio.wait_for(door.backend.running.wait(), 10)
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}}
    assert (await door.send(legacy("initialize", params), plain()))[0] == 429
    again = await door.send(legacy("tools/call", {"name": "echo"}), session)
    assert again[2]["error"]["message"] == "a request with this id is still running"
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    assert (await door.send(msgspec.json.encode(cancel), session))[0] == 202
    await call


@pytest.mark.parametrize("request_id", [None, 7, "1", [1], {}])
async def test_cancelling_what_does_not_run_is_ignored(door: Door, request_id: Any) -> None:
    session = await door.session()
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": request_id}}
    assert (await door.send(msgspec.json.encode(cancel), session))[0] == 202


async def test_a_notification_that_is_not_served_is_dropped_and_counted(door: Door) -> None:
    session = await door.session()
    for method in ("notifications/roots/list_changed", "tools/call", "initialize"):
        message = msgspec.json.encode({"jsonrpc": "2.0", "method": method, "params": {"name": "echo"}})
        assert (await door.send(message, session))[0] == 202
    assert door.backend.counted == {"call.method": 3}
    assert door.backend.asked == []


async def test_a_modern_notification_does_nothing(door: Door) -> None:
    message = msgspec.json.encode({"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "echo"}})
    assert (await door.send(message, plain() | {"MCP-Protocol-Version": "2026-07-28"}))[0] == 202
    assert (await door.send(message, plain() | {"MCP-Protocol-Version": "2027-01-01"}))[0] == 400
    assert door.backend.asked == []


async def test_a_clients_first_look_is_made_under_its_own_name(door: Door) -> None:
    await door.session()
    assert {ask.client[:8] for ask in door.backend.looked} == {"session:"}


async def test_an_idle_session_expires() -> None:
    now = 0.0
    sessions = Sessions(idle_s=10, clock=lambda: now)
    ada = await SimulatedBackend().authenticate(ADA, "")
    idle, busy = (sessions.open(ada, None, revision="2025-11-25", most=4) for _ in range(2))
    with busy.running(1, Cancelled()):
        now = 11.0
        with pytest.raises(Fault, match="no such session"):
            sessions.find(ada, None, session_id=idle.id)
        assert sessions.find(ada, None, session_id=busy.id) is busy
