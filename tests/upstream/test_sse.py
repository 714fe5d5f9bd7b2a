"""A tool server of the two-endpoint transport of 2024-11-05, recorded byte by byte."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web
from yarl import URL

from remit.canonical import canonical
from remit.edge.upstream import mcp_sse
from remit.edge.upstream.mcp_sse import SseWire, endpoint
from remit.edge.upstream.message import Request
from remit.edge.upstream.pool import pool
from remit.edge.upstream.sessions import Pace
from remit.errors import UpstreamFault
from remit.limits import RESULT_BYTES_MAX
from remit.reasons import Denied, Reason
from tests.upstream.http_server import Recorder
from tests.upstream.simulated import Gateway
from tests.upstream.sse_server import FLOOD, SseServer


@pytest.fixture
async def server() -> AsyncIterator[SseServer]:
    one = SseServer()
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
async def old(gateway: Gateway, server: SseServer) -> Gateway:
    gateway.declare("old", url=server.url)
    await gateway.pin("old")
    return gateway


def said(reply: Any) -> dict[str, Any]:
    return msgspec.json.decode(reply.result)["structuredContent"]


async def reached(server: SseServer, condition: Callable[[], Any]) -> None:
    """Wait until something the server was sent makes the condition true."""
    async with asyncio.timeout(10):
        while not condition():
            server.heard.clear()
            await server.heard.wait()


@pytest.mark.holds("INV-03")
async def test_the_canonical_arguments_go_to_the_endpoint_and_the_answer_comes_on_the_stream(
    old: Gateway, server: SseServer
) -> None:
    arguments = {"zeta": [1, 0.5, None], "alpha": 'é \u2028 " \\'}
    reply = await old.call("old/echo", arguments)
    assert said(reply) == {"arguments": arguments}
    assert reply.upstream == "recorder 3 2024-11-05"
    assert b'"arguments":' + canonical(arguments) + b"}" in server.calls()[0].body


async def test_streamable_http_is_tried_first_and_what_was_found_is_remembered(old: Gateway, server: SseServer) -> None:
    probes = [one.message["method"] for one in server.seen if one.method == "POST /sse"]
    assert probes == ["server/discover", "initialize"]
    await old.call("old/echo")
    await old.call("old/echo", who="bob/t2")
    assert len([one for one in server.seen if one.method == "POST /sse"]) == 2
    assert len([one for one in server.seen if one.method == "GET /sse"]) == 3


@pytest.mark.parametrize("status", [400, 404, 405])
async def test_every_way_to_refuse_a_post_leads_to_the_stream(gateway: Gateway, server: SseServer, status: int) -> None:
    server.post_status = status
    gateway.declare("old", url=server.url)
    assert (await gateway.pin("old"))[0].kind == "server"


@pytest.mark.parametrize("status", [401, 403, 500, 503])
async def test_other_refusals_do_not(gateway: Gateway, server: SseServer, status: int) -> None:
    server.post_status = status
    gateway.declare("old", url=server.url)
    with pytest.raises(UpstreamFault, match=str(status)):
        await gateway.pin("old")
    assert [one for one in server.seen if one.method == "GET /sse"] == []


async def test_a_server_that_moved_on_is_found_again(old: Gateway) -> None:
    newer = Recorder()
    await newer.start()
    old.declare("old", url=newer.url)
    await old.pin("old")
    await old.call("old/echo")
    assert len(newer.calls()) == 1
    await newer.stop()


async def test_one_that_moved_on_and_has_a_silent_stream_is_found_at_the_next_opening(
    old: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_sse, "_OPEN_S", 0.3)
    newer = Recorder()
    newer.listens = True
    await newer.start()
    old.declare("old", url=newer.url)
    with pytest.raises(UpstreamFault, match="did not answer within") as fault:
        await old.pin("old")
    assert not fault.value.sent
    await old.pin("old")
    await old.call("old/echo")
    assert len(newer.calls()) == 1
    await newer.stop()


@pytest.mark.holds("INV-03-ALLOW", "IDENT-PASS")
async def test_only_our_own_headers_travel(old: Gateway, server: SseServer) -> None:
    await old.call("old/echo")
    ours = {"host", "accept", "accept-encoding", "content-type", "user-agent"}
    assert {name.lower() for name, _ in server.calls()[0].headers} == ours | {"content-length"}
    opening = next(one for one in server.seen if one.method == "GET /sse")
    assert {name.lower() for name, _ in opening.headers} == ours
    assert opening.header("Accept") == ["text/event-stream"]


@pytest.mark.parametrize(
    "tool, which",
    [("unknown_ids", "the right one"), ("twice", "first"), ("oversized_first", "after"), ("late", "stream")],
)
async def test_an_answer_is_the_first_one_with_the_calls_id(old: Gateway, tool: str, which: str) -> None:
    assert said(await old.call(f"old/{tool}")) == {"which": which}
    assert said(await old.call("old/echo", {"a": 1})) == {"arguments": {"a": 1}}


async def test_events_come_in_pieces_and_of_other_kinds(old: Gateway) -> None:
    assert msgspec.json.decode((await old.call("old/pieces")).result) == {"content": []}


async def test_a_json_rpc_error_is_an_answer(old: Gateway) -> None:
    reply = await old.call("old/error")
    assert reply.result is None
    assert reply.error is not None
    assert (reply.error.code, reply.error.message) == (-32602, "no such thing")


async def test_an_oversized_answer_is_flagged_not_kept_and_the_stream_lives_on(old: Gateway, server: SseServer) -> None:
    reply = await old.call("old/oversized")
    assert (reply.result, reply.error) == (None, None)
    assert reply.received > RESULT_BYTES_MAX
    await old.call("old/echo")
    assert len(server.streams) == 1
    assert len([one for one in server.seen if one.method == "GET /sse"]) == 2


async def test_calls_of_one_session_are_answered_in_any_order(old: Gateway, server: SseServer) -> None:
    calls = [asyncio.ensure_future(old.call("old/hang", {"n": n})) for n in range(3)]
    await reached(server, lambda: len(server.calls()) == 3)
    for call in reversed(server.calls()):
        await server.result(call.message["id"], n=call.message["params"]["arguments"]["n"])
    assert [said(reply)["n"] for reply in await asyncio.gather(*calls)] == [0, 1, 2]
    assert len(server.streams) == 1


FAULTS = {
    "hang": "timeout",
    "not_json": "protocol",
    "no_object": "protocol",
    "moves": "protocol",
    "ends": "died",
    "dies": "died",
    "fails": "protocol",
    "forgotten": "protocol",
    "redirects": "protocol",
    "resets": "died",
}


@pytest.mark.holds("INV-01-ONCE")
@pytest.mark.parametrize("tool, why", FAULTS.items())
async def test_a_fault_after_the_first_byte_is_sent_and_never_repeated(
    old: Gateway, server: SseServer, tool: str, why: str
) -> None:
    with pytest.raises(UpstreamFault) as fault:
        await old.call(f"old/{tool}", timeout_s=1)
    assert (fault.value.sent, fault.value.why) == (True, why)
    assert said(await old.call("old/echo", {"n": 1})) == {"arguments": {"n": 1}}
    assert [call.message["params"]["name"] for call in server.calls()] == [tool, "echo"]


async def test_an_endpoint_that_has_forgotten_the_session_is_not_asked_again(old: Gateway, server: SseServer) -> None:
    with pytest.raises(UpstreamFault):
        await old.call("old/forgotten")
    forgotten = set(server.streams)
    await old.call("old/echo")
    assert len(server.streams) == 1
    assert forgotten.isdisjoint(server.streams)


@pytest.mark.parametrize("tool", ["ends", "dies", "moves"])
async def test_a_lost_stream_fails_every_call_on_it_and_the_next_call_opens_another(
    old: Gateway, server: SseServer, tool: str
) -> None:
    waiting = [asyncio.ensure_future(old.call("old/hang")) for _ in range(2)]
    await reached(server, lambda: len(server.calls()) == 2)
    faults = await asyncio.gather(*waiting, old.call(f"old/{tool}"), return_exceptions=True)
    assert [(type(fault), getattr(fault, "sent", None)) for fault in faults] == [(UpstreamFault, True)] * 3
    await old.call("old/echo")
    assert len(server.calls()) == 4
    assert len([one for one in server.seen if one.method == "GET /sse"]) == 3


async def test_a_server_that_went_away_was_sent_nothing(old: Gateway, server: SseServer) -> None:
    await old.call("old/echo")
    await server.stop()
    await asyncio.sleep(0.05)
    with pytest.raises(UpstreamFault) as fault:
        await old.call("old/echo")
    assert (fault.value.sent, fault.value.why) == (False, "unreachable")
    assert len(server.calls()) == 1


BEGINNINGS = {
    "another host": b"event: endpoint\ndata: http://127.0.0.2:%d/messages\n\n",
    "another port": b"event: endpoint\ndata: http://127.0.0.1:%d/messages\n\n",
    "no scheme": b"event: endpoint\ndata: //127.0.0.1:%d/messages\n\n",
    "user": b"event: endpoint\ndata: //user:secret@127.0.0.1/%d\n\n",
    "nonsense": b"event: endpoint\ndata: http://[%d\n\n",
    "space": b"event: endpoint\ndata: /messages?session=%d HTTP/1.1\n\n",
    "two lines": b"event: endpoint\ndata: /messages\ndata: ?session=%d\n\n",
    "not ASCII": b"event: endpoint\ndata: /messages\xc3\xa9%d\n\n",
    "long": b"event: endpoint\ndata: /messages?session=%d&" + b"x" * 3000 + b"\n\n",
    "huge": b"event: endpoint\ndata: /messages?session=%d&" + b"x" * 17_000_000 + b"\n\n",
    "two": b"event: endpoint\ndata: /messages?session=2\n\nevent: endpoint\ndata: /messages?session=%d\n\n",
    "a message": b'data: {"jsonrpc":"2.0","method":"ping","id":%d}\n\n',
}


@pytest.mark.parametrize("begins", BEGINNINGS.values(), ids=BEGINNINGS)
async def test_a_stream_that_begins_otherwise_is_refused_and_nothing_goes_anywhere(
    gateway: Gateway, server: SseServer, begins: bytes
) -> None:
    other = SseServer()
    await other.start()
    server.begins = begins % (URL(other.url).port or 0)
    gateway.declare("old", url=server.url)
    with pytest.raises(UpstreamFault, match=r"endpoint") as fault:
        await gateway.pin("old")
    assert not fault.value.sent
    assert "initialize" not in [one.message["method"] for one in server.posted]
    assert other.seen == []
    await other.stop()


async def test_an_endpoint_never_named_ends_the_opening(gateways: Any, server: SseServer) -> None:
    gateway = gateways(pace=Pace(start_s=0.3))
    server.begins = b": wait for it\n\nevent: weather\ndata: rain\n\n"
    gateway.declare("old", url=server.url)
    with pytest.raises(UpstreamFault, match="did not open") as fault:
        await gateway.pin("old")
    assert not fault.value.sent
    assert server.posted == []


def _no_stream(status: int, form: str, **headers: str) -> Callable[..., web.StreamResponse]:
    return lambda **_: web.StreamResponse(status=status, headers={"Content-Type": form, **headers})


@pytest.mark.parametrize(
    "opens",
    [
        _no_stream(404, "text/event-stream"),
        _no_stream(200, "text/html"),
        _no_stream(307, "text/event-stream", Location="/sse"),
        _no_stream(200, "text/event-stream", **{"Content-Encoding": "gzip"}),
    ],
)
async def test_what_is_no_stream_is_no_server(gateway: Gateway, server: SseServer, opens: Any) -> None:
    server.opens = opens
    gateway.declare("old", url=server.url)
    with pytest.raises(UpstreamFault, match=r"status 405; .* offers no stream") as fault:
        await gateway.pin("old")
    assert not fault.value.sent
    assert len([one for one in server.seen if one.method == "GET /sse"]) == 1


@pytest.mark.parametrize(
    "named, wanted",
    [
        ("/m?s=a%2Fb", "https://ex.org/m?s=a%2Fb"),
        ("m", "https://ex.org/v1/m"),
        ("?s=1", "https://ex.org/v1/sse?s=1"),
        ("https://ex.org/m", "https://ex.org/m"),
        ("HTTPS://EX.org:443/m", "https://EX.org/m"),
        ("http://ex.org/m", None),
        ("https://ex.org:8443/m", None),
        ("https://ex.org./m", None),
        ("https://ex.org.evil.example/m", None),
        ("https://ex.org@evil.example/m", None),
        ("https://evil.example\\@ex.org/m", None),
        ("//evil.example/m", None),
        ("file:///etc/passwd", None),
        ("javascript:alert(1)", None),
        ("/m\r\nHost: evil.example", None),
    ],
)
def test_an_endpoint_is_of_the_streams_own_origin(named: str, wanted: str | None) -> None:
    stream = URL("https://ex.org/v1/sse?key=1")
    if wanted is not None:
        assert str(endpoint(named.encode(), of=stream)) == wanted
        return
    with pytest.raises(UpstreamFault, match="endpoint"):
        endpoint(named.encode(), of=stream)


async def test_a_servers_questions_are_answered_with_pong_or_no(old: Gateway, server: SseServer) -> None:
    await old.call("old/asks")
    await reached(server, lambda: len([one for one in server.posted if "method" not in one.message]) == 2)
    answers = [one.message for one in server.posted if "method" not in one.message]
    told = {one["id"]: one.get("result", one.get("error", {}).get("code")) for one in answers}
    assert told == {"p": {}, 7: -32601}


async def test_a_flood_of_questions_is_answered_to_a_bound(old: Gateway, server: SseServer) -> None:
    await old.call("old/floods")
    await old.call("old/echo")
    await old.sessions.end(task="t1")
    answered = [one for one in server.posted if "method" not in one.message]
    assert 0 < len(answered) < FLOOD


async def test_a_line_that_was_closed_sends_nothing(server: SseServer) -> None:
    http = pool()
    wire = SseWire(http, server.url, heard=lambda method, params: None)
    await wire.start()
    await wire.close()
    with pytest.raises(UpstreamFault, match="was ended") as fault:
        await wire.exchange(Request(method="tools/call", params=b"{}", timeout_s=1))
    await http.close()
    assert not fault.value.sent
    assert server.posted == []


async def test_a_changed_list_is_looked_at_before_the_next_call(old: Gateway, server: SseServer) -> None:
    await old.call("old/drift")
    with pytest.raises(Denied) as no:
        await old.call("old/echo")
    assert no.value.reason == Reason.SCHEMA_QUARANTINED
    assert len(server.calls()) == 1


async def test_a_cancelled_call_is_withdrawn_by_a_notification(old: Gateway, server: SseServer) -> None:
    waiting = asyncio.ensure_future(old.call("old/hang"))
    await reached(server, server.calls)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await reached(server, lambda: server.calls("notifications/cancelled"))
    cancelled = [one.message["params"]["requestId"] for one in server.calls("notifications/cancelled")]
    assert cancelled == [server.calls()[0].message["id"]]
    await old.call("old/echo")


async def test_what_is_still_being_posted_when_nobody_waits_any_more_is_dropped(
    old: Gateway, server: SseServer
) -> None:
    waiting = asyncio.ensure_future(old.call("old/holds"))
    await reached(server, server.calls)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(5):
        await server.dropped.wait()
    assert len(server.streams) == 1


@pytest.mark.holds("INV-05-END")
async def test_ending_a_task_fails_its_calls_as_sent_and_closes_the_stream(old: Gateway, server: SseServer) -> None:
    waiting = asyncio.ensure_future(old.call("old/hang"))
    await reached(server, server.calls)
    await old.sessions.end(task="t1")
    with pytest.raises(UpstreamFault, match="was ended") as fault:
        await waiting
    assert fault.value.sent
    async with asyncio.timeout(5):
        while server.streams:  # noqa: ASYNC110 - the server notices in its own time
            await asyncio.sleep(0.01)


async def test_a_stream_on_which_a_question_stays_unanswered_is_given_up(
    gateways: Any, server: SseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remit.edge.upstream.conversation.LISTING_S", 0.2)
    gateway = gateways(pace=Pace(check_s=0.2))
    gateway.declare("old", url=server.url)
    await gateway.pin("old")
    await gateway.call("old/echo")
    server.deaf = set(server.streams)
    await asyncio.sleep(0.3)
    with pytest.raises(UpstreamFault) as fault:
        await gateway.call("old/echo")
    assert not fault.value.sent
    await gateway.call("old/echo")
    assert len(server.calls()) == 2
    assert server.deaf.isdisjoint(server.streams)


async def test_a_port_nobody_listens_on_is_not_asked_twice(gateway: Gateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/sse"
    gateway.declare("old", url=url)
    with pytest.raises(UpstreamFault, match="cannot be reached"):
        await gateway.pin("old")
