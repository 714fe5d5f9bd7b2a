"""Whatever is sent, the door answers in its own words: no failure, no answer without a token, no call by accident."""

import asyncio
from typing import Any

import msgspec
from hypothesis import given, settings, strategies as st

from remit.edge.mcp.backend import DoorSettings
from remit.edge.mcp.door import agents_door
from remit.edge.mcp.leaving import LEFT
from remit.identity.resource import Site
from tests.mcp.conftest import MODERN, headers_for, modern
from tests.mcp.simulated import ADA, SimulatedBackend

SETTINGS = DoorSettings(
    public_url="http://127.0.0.1", version="1", site=Site(hosts=frozenset({"127.0.0.1"}), origins=frozenset())
)
REFUSALS = {400, 401, 403, 404, 405, 406, 413, 415}
WORDS = st.sampled_from(
    ["tools/call", "tools/list", "initialize", "server/discover", "echo", MODERN, "2025-11-25", "2.0", ""]
)
NUMBERS = st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
META = st.fixed_dictionaries(
    {},
    optional={
        "io.modelcontextprotocol/protocolVersion": JSON | WORDS,
        "io.modelcontextprotocol/clientCapabilities": JSON,
    },
)
PARAMS = st.fixed_dictionaries(
    {}, optional={"_meta": META | JSON, "name": WORDS | JSON, "arguments": JSON, "cursor": JSON, "uri": JSON}
)
MESSAGES = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0"), "method": WORDS | JSON}, optional={"id": JSON, "params": PARAMS | JSON, "result": JSON}
)
BODIES = st.binary(max_size=40) | JSON.map(msgspec.json.encode) | MESSAGES.map(msgspec.json.encode)
VALUES = WORDS | st.text(max_size=6)
HEADERS = st.dictionaries(
    st.sampled_from([*(name.lower() for name in headers_for(modern("x"))), "mcp-name", "mcp-session-id", "remit-task"]),
    VALUES,
    max_size=4,
)


def answered(
    backend: SimulatedBackend, body: bytes, headers: dict[str, str], *, path: str = "/mcp/notes"
) -> tuple[int, bytes]:
    """What the door sends for a request, without a server in between."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    async def send(event: Any) -> None:
        sent.append(event)

    raw = [(name.lower().encode(), value.encode()) for name, value in {"host": "127.0.0.1", **headers}.items()]
    scope = {"type": "http", "method": "POST", "raw_path": path.encode(), "query_string": b"", "headers": raw}
    scope["extensions"] = {LEFT: set()}
    asyncio.run(agents_door(backend, SETTINGS)(scope, receive, send))
    start, content = sent
    return start["status"], content["body"]


def lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@settings(deadline=None, max_examples=200)
@given(body=BODIES, headers=HEADERS)
def test_a_request_with_a_token_is_answered_in_json(body: bytes, headers: dict[str, str]) -> None:
    status, content = answered(SimulatedBackend(), body, headers=lower(headers_for(modern("tools/call"))) | headers)
    assert status in REFUSALS | {200, 202}
    if content:
        answer = msgspec.json.decode(content)
        assert answer["jsonrpc"] == "2.0"
        assert answer.keys() & {"result", "error"}


@settings(deadline=None, max_examples=100)
@given(body=BODIES, headers=HEADERS, path=st.sampled_from(["/mcp", "/mcp/notes"]))
def test_a_request_without_a_good_token_learns_nothing(body: bytes, headers: dict[str, str], path: str) -> None:
    backend = SimulatedBackend()
    given_headers = lower(headers_for(modern("tools/call"))) | headers
    if ADA in given_headers.get("authorization", ""):
        given_headers["authorization"] = "Bearer nobody"
    status, content = answered(backend, body, headers=given_headers, path=path)
    assert status in {400, 401, 403}
    assert b"notes" not in content
    assert (backend.asked, backend.looked) == ([], [])


@settings(deadline=None, max_examples=100)
@given(message=MESSAGES, headers=HEADERS)
def test_only_a_message_that_asks_for_a_call_makes_one(message: dict[str, Any], headers: dict[str, str]) -> None:
    backend = SimulatedBackend()
    answered(backend, msgspec.json.encode(message), headers=lower(headers_for(modern("tools/call"))) | headers)
    assert all(ask.method == message["method"] == "tools/call" for ask in backend.asked)
    assert all(ask.params == message["params"] for ask in backend.asked)
