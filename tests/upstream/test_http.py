"""A tool server over HTTP, of both generations, recorded byte by byte."""

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from mcp.shared.inbound import (
    InboundModernRoute,
    classify_inbound_request,
    decode_header_value,
    validate_mcp_param_headers,
)

from remit.canonical import canonical
from remit.edge.upstream.sessions import Pace
from remit.errors import UpstreamFault
from remit.limits import RESULT_BYTES_MAX
from remit.reasons import Denied, Reason
from tests.upstream.http_server import Recorder
from tests.upstream.simulated import Gateway

ERAS = ("modern", "legacy")


@pytest.fixture(params=ERAS)
async def recorder(request: pytest.FixtureRequest) -> AsyncIterator[Recorder]:
    server = Recorder(request.param)
    await server.start()
    yield server
    await server.stop()


only_modern = pytest.mark.parametrize("recorder", ["modern"], indirect=True)
only_legacy = pytest.mark.parametrize("recorder", ["legacy"], indirect=True)


@pytest.fixture
async def web(gateway: Gateway, recorder: Recorder) -> Gateway:
    gateway.declare("web", url=recorder.url)
    await gateway.pin("web")
    return gateway


def said(reply: Any) -> dict[str, Any]:
    return msgspec.json.decode(reply.result)["structuredContent"]


@pytest.mark.holds("INV-03")
async def test_the_bytes_received_hold_the_canonical_arguments_unmodified(web: Gateway, recorder: Recorder) -> None:
    arguments = {"zeta": [1, 0.5, None], "alpha": 'é \u2028 " \\', "": {"n": -0.0, "big": 9007199254740991}}
    await web.call("web/echo", arguments)
    body, wanted = recorder.calls()[0].body, canonical(arguments)
    at = body.index(b'"arguments":') + len(b'"arguments":')
    assert hashlib.sha256(body[at : at + len(wanted)]).digest() == hashlib.sha256(wanted).digest()
    assert recorder.calls()[0].message["params"]["arguments"] == msgspec.json.decode(wanted)


async def test_an_answer_may_be_json_or_a_stream(web: Gateway) -> None:
    assert said(await web.call("web/echo", {"a": 1})) == {"arguments": {"a": 1}}
    assert said(await web.call("web/stream")) == {"from": "stream"}


async def test_a_reply_names_server_version_and_revision(web: Gateway, recorder: Recorder) -> None:
    reply = await web.call("web/echo")
    assert reply.upstream == "recorder 3 " + {"modern": "2026-07-28", "legacy": "2025-06-18"}[recorder.era]


async def test_a_json_rpc_error_is_an_answer_whatever_its_status(web: Gateway) -> None:
    reply = await web.call("web/error")
    assert reply.result is None
    assert reply.error is not None
    assert (reply.error.code, reply.error.message) == (-32602, "no such thing")


@pytest.mark.parametrize("tool", ["huge", "huge_stream"])
async def test_an_oversized_answer_is_flagged_not_kept(web: Gateway, tool: str) -> None:
    reply = await web.call(f"web/{tool}")
    assert (reply.result, reply.error) == (None, None)
    assert reply.received > RESULT_BYTES_MAX


FAULTS = {
    "reset": "died",
    "cut": "died",
    "cut_stream": "died",
    "hang": "timeout",
    "zipped": "protocol",
    "wrong_id": "protocol",
    "text_id": "protocol",
    "redirect": "protocol",
    "accepted": "protocol",
    "forbidden": "protocol",
    "broken": "protocol",
    "html": "protocol",
    "not_json": "protocol",
    "batch": "protocol",
    "no_result": "protocol",
    "no_object": "protocol",
    "other_version": "protocol",
    "not_utf8": "protocol",
    "deep": "protocol",
}


@pytest.mark.holds("INV-01-ONCE")
@pytest.mark.parametrize("tool, why", FAULTS.items())
async def test_a_fault_after_the_first_byte_is_sent_and_never_repeated(
    web: Gateway, recorder: Recorder, tool: str, why: str
) -> None:
    with pytest.raises(UpstreamFault) as fault:
        await web.call(f"web/{tool}", timeout_s=1)
    assert (fault.value.sent, fault.value.why) == (True, why)
    await web.call("web/echo")
    assert [call.message["params"]["name"] for call in recorder.calls()] == [tool, "echo"]


async def test_a_server_that_went_away_was_sent_nothing(web: Gateway, recorder: Recorder) -> None:
    await web.call("web/echo")
    await recorder.stop()
    await asyncio.sleep(0.05)
    with pytest.raises(UpstreamFault) as fault:
        await web.call("web/echo")
    assert (fault.value.sent, fault.value.why) == (False, "unreachable")


async def _closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"


@pytest.mark.parametrize("where", ["refused", "name", "tls"])
@only_modern
async def test_what_cannot_be_reached_was_sent_nothing(gateway: Gateway, recorder: Recorder, where: str) -> None:
    urls = {
        "refused": await _closed_port(),
        "name": "http://remit-test.invalid/mcp",
        "tls": recorder.url.replace("http:", "https:"),
    }
    gateway.declare("web", url=urls[where])
    with pytest.raises(UpstreamFault, match="cannot be reached") as fault:
        await gateway.pin("web")
    assert not fault.value.sent
    assert recorder.seen == []


@pytest.mark.holds("INV-03-ALLOW", "IDENT-PASS")
async def test_only_our_own_headers_travel(web: Gateway, recorder: Recorder) -> None:
    await web.call("web/cookie")
    await web.call("web/echo")
    names = {name.lower() for name, _ in recorder.calls()[-1].headers}
    ours = {"host", "accept", "accept-encoding", "content-type", "content-length", "user-agent", "mcp-protocol-version"}
    generation = {"modern": {"mcp-method", "mcp-name"}, "legacy": {"mcp-session-id"}}[recorder.era]
    assert names == ours | generation


MIRRORED = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "dry": {"type": "boolean", "x-mcp-header": "Dry"},
        "where": {"type": "object", "properties": {"zone": {"type": "string", "x-mcp-header": "Zone"}}},
    },
}


@pytest.mark.holds("INV-03-ALLOW")
@pytest.mark.parametrize(
    "arguments",
    [
        {"region": "eu", "count": 3, "dry": True, "where": {"zone": "a b"}},
        {"region": " edge ", "count": -9007199254740991},
        {"region": "naïve\r\nX-Evil: 1", "dry": False},
        {"region": "=?base64?YQ==?="},
        {"region": "", "where": {}},
        {"count": 1.0, "where": {"zone": None}},
        {},
    ],
)
@only_modern
async def test_mirrored_headers_are_made_from_the_arguments_and_satisfy_the_official_check(
    gateway: Gateway, recorder: Recorder, arguments: dict[str, Any]
) -> None:
    recorder.tools = [{"name": "echo", "inputSchema": MIRRORED}]
    gateway.declare("web", url=recorder.url)
    await gateway.pin("web")
    await gateway.call("web/echo", arguments)
    call = recorder.calls()[0]
    headers = {name.lower(): value for name, value in call.headers}
    assert isinstance(classify_inbound_request(call.message, headers=headers), InboundModernRoute)
    sent = call.message["params"]["arguments"]
    assert validate_mcp_param_headers(MIRRORED, sent, headers) is None
    assert decode_header_value(headers.get("mcp-param-region")) == arguments.get("region")
    assert "x-evil" not in headers


@pytest.mark.parametrize(
    "annotated",
    [
        {"type": "string", "x-mcp-header": "Bad Name"},
        {"type": "string", "x-mcp-header": "A\r\nB"},
        {"type": "number", "x-mcp-header": "A"},
        {"type": "string", "x-mcp-header": 7},
        {"x-mcp-header": "A"},
    ],
)
@only_modern
async def test_a_contract_with_an_invalid_annotation_is_not_called(
    gateway: Gateway, recorder: Recorder, annotated: dict[str, Any]
) -> None:
    recorder.tools = [{"name": "echo", "inputSchema": {"type": "object", "properties": {"a": annotated}}}]
    gateway.declare("web", url=recorder.url)
    await gateway.pin("web")
    with pytest.raises(Denied) as no:
        await gateway.call("web/echo", {"a": "x"})
    assert no.value.reason == Reason.SCHEMA_QUARANTINED
    assert recorder.calls() == []


@only_legacy
async def test_an_expired_session_fails_the_call_in_hand_and_the_next_opens_another(
    web: Gateway, recorder: Recorder
) -> None:
    await web.call("web/echo", {"n": 1})
    recorder.sessions.clear()
    with pytest.raises(UpstreamFault) as fault:
        await web.call("web/echo", {"n": 2})
    assert fault.value.sent
    await web.call("web/echo", {"n": 3})
    assert [call.message["params"]["arguments"]["n"] for call in recorder.calls()] == [1, 2, 3]


@only_legacy
async def test_a_session_is_deleted_when_its_task_ends(web: Gateway, recorder: Recorder) -> None:
    await web.call("web/echo")
    assert len(recorder.sessions) == 1
    await web.sessions.end(task="t1")
    assert recorder.sessions == set()


@only_legacy
async def test_the_handshake_goes_by_the_book(web: Gateway, recorder: Recorder) -> None:
    await web.call("web/echo")
    opening = recorder.calls("initialize")[0]
    assert opening.header("MCP-Protocol-Version") == []
    assert opening.message["params"]["capabilities"] == {}
    ready = recorder.calls("notifications/initialized")[0]
    assert ready.header("MCP-Protocol-Version") == ["2025-06-18"]
    assert ready.header("Mcp-Session-Id")


@only_legacy
async def test_the_generation_is_probed_once_per_server(web: Gateway, recorder: Recorder) -> None:
    await web.call("web/echo", who="ada/t1")
    await web.call("web/echo", who="ada/t2")
    assert len(recorder.calls("server/discover")) == 1
    assert len(recorder.calls("initialize")) == 3


@only_legacy
async def test_a_server_asking_on_the_stream_is_answered_no(web: Gateway, recorder: Recorder) -> None:
    await web.call("web/asks")
    await web.sessions.end(task="t1")
    answers = [seen.message for seen in recorder.seen if seen.body and "method" not in seen.message]
    assert [(one["id"], one["error"]["code"]) for one in answers] == [("q", -32601)]


@only_legacy
async def test_a_cancelled_call_is_withdrawn_by_a_notification(web: Gateway, recorder: Recorder) -> None:
    await web.call("web/echo")
    waiting = asyncio.ensure_future(web.call("web/hang"))
    while len(recorder.calls()) < 2:  # noqa: ASYNC110 - the recorder is a list
        await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await web.sessions.end(task="t1")
    cancelled = [seen.message["params"]["requestId"] for seen in recorder.calls("notifications/cancelled")]
    assert cancelled == [recorder.calls()[-1].message["id"]]


@only_modern
async def test_a_cancelled_call_closes_its_response(web: Gateway, recorder: Recorder) -> None:
    waiting = asyncio.ensure_future(web.call("web/hang"))
    while not recorder.calls():  # noqa: ASYNC110 - the recorder is a list
        await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(5):
        await recorder.closed.wait()
    assert recorder.calls("notifications/cancelled") == []


@pytest.mark.holds("INV-05-END")
async def test_ending_a_task_fails_its_calls_in_flight_as_sent(web: Gateway, recorder: Recorder) -> None:
    waiting = asyncio.ensure_future(web.call("web/hang"))
    while not recorder.calls():  # noqa: ASYNC110 - the recorder is a list
        await asyncio.sleep(0.01)
    await web.sessions.end(task="t1")
    with pytest.raises(UpstreamFault, match="was ended") as fault:
        await waiting
    assert fault.value.sent


async def test_a_changed_contract_is_found_at_the_next_look_and_not_called(gateways: Any, recorder: Recorder) -> None:
    gateway = gateways(pace=Pace(check_s=0.2))
    gateway.declare("web", url=recorder.url)
    await gateway.pin("web")
    await gateway.call("web/echo")
    recorder.tools[-1] = {**recorder.tools[-1], "description": "now worse"}
    await asyncio.sleep(0.3)
    with pytest.raises(Denied) as no:
        await gateway.call("web/echo")
    assert no.value.reason == Reason.SCHEMA_QUARANTINED
    assert len(recorder.calls()) == 1


async def test_a_contract_that_changed_since_its_pin_is_told_and_not_called(web: Gateway, recorder: Recorder) -> None:
    recorder.tools[-1] = {**recorder.tools[-1], "description": "now worse"}
    with pytest.raises(Denied) as no:
        await web.call("web/echo")
    assert no.value.reason == Reason.SCHEMA_QUARANTINED
    assert recorder.calls() == []
    assert [one.body.get("description") for one in web.told[-1][1] if one.name == "echo"] == ["now worse"]


async def test_a_name_offered_twice_refuses_the_server(web: Gateway, recorder: Recorder) -> None:
    recorder.tools.append({**recorder.tools[-1], "description": "which one?"})
    with pytest.raises(UpstreamFault, match="of one name") as fault:
        await web.call("web/echo")
    assert not fault.value.sent


async def test_what_is_no_contract_is_left_out(gateway: Gateway, recorder: Recorder) -> None:
    recorder.tools += [{"inputSchema": {}}, {"name": "big", "description": "x" * 300_000}, {"name": "n", "a": 2**60}]
    gateway.declare("web", url=recorder.url)
    names = [one.name for one in await gateway.pin("web")]
    assert names == ["server", *(tool["name"] for tool in recorder.tools[:-3])]


@only_legacy
async def test_a_server_that_asks_without_end_opens_no_connection_for_each_question(
    web: Gateway, recorder: Recorder
) -> None:
    await web.call("web/asks_without_end")
    await web.sessions.close()
    answers = [seen for seen in recorder.seen if seen.body and "method" not in seen.message]
    assert 0 < len(answers) < 500
