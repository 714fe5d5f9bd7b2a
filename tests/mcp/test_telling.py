"""What a server says while a call runs, on the way back to the client: events, then the answer as the last one."""

import asyncio
from typing import Any

import msgspec
import pytest

from remit.answer import Refusal
from remit.edge.mcp import stream as streams
from remit.edge.mcp.rpc import Response
from remit.edge.mcp.stream import Stream
from remit.reasons import Reason
from tests.mcp.conftest import Door, headers_for, modern, plain
from tests.mcp.talking import able, call, told

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOG = ("notifications/message", {"level": "info", "data": "a line\n\nand more"})
PROGRESS = ("notifications/progress", {"progress": 1})


async def test_where_nothing_is_said_the_answer_is_plain_json(door: Door) -> None:
    message = modern("tools/call", {"name": "echo"})
    async with told(door, message, headers_for(message)) as back:
        assert back.response.content_type == "application/json"
        assert (await back.response.json())["id"] == 1


async def test_what_is_said_comes_as_events_and_the_answer_is_the_last_one(door: Door) -> None:
    door.backend.notes = [LOG, LOG]
    message = modern("tools/call", {"name": "echo", "arguments": {"text": "hello"}})
    async with told(door, message, headers_for(message)) as back:
        assert (back.response.status, back.response.headers["cache-control"]) == (200, "no-store")
        for _ in range(2):
            assert await back.next() == {"jsonrpc": "2.0", "method": LOG[0], "params": LOG[1]}
        last = await back.next()
        assert (last["id"], last["result"]["content"][0]["text"]) == (1, "hello")
        assert await back.over()


async def test_a_refusal_after_something_was_said_is_the_last_event(door: Door) -> None:
    door.backend.notes = [LOG]
    message = modern("tools/call", {"name": "guarded"})
    async with told(door, message, headers_for(message)) as back:
        await back.next()
        assert (await back.next())["result"]["_meta"]["io.remit/decision"]["reason"] == "approval.required"
        assert await back.over()


async def test_a_failure_after_something_was_said_is_the_last_event(door: Door) -> None:
    door.backend.notes = [LOG]
    message = modern("tools/call", {"name": "broken"})
    async with told(door, message, headers_for(message)) as back:
        await back.next()
        assert (await back.next())["error"]["code"] == -32603
        assert await back.over()


@pytest.mark.parametrize("accept", ["application/json", "application/json, text/event-stream;q=0"])
async def test_a_client_that_reads_no_stream_is_told_nothing_and_answered_in_json(door: Door, accept: str) -> None:
    door.backend.notes = [LOG]
    meta = {"io.modelcontextprotocol/logLevel": "info", "progressToken": 1}
    message = modern("tools/call", {"name": "echo"})
    message["params"]["_meta"] |= meta
    async with told(door, message, headers_for(message) | {"Accept": accept}) as back:
        assert back.response.content_type == "application/json"
    [ask] = door.backend.asked
    assert (ask.speaks.log_level, ask.speaks.progress) == (None, False)


@pytest.mark.holds("NOTE-ASKED")
@pytest.mark.parametrize("token", ["p-1", 7, ""])
async def test_progress_is_told_under_the_clients_own_token(door: Door, token: Any) -> None:
    door.backend.notes = [PROGRESS]
    message = modern("tools/call", {"name": "echo"})
    message["params"]["_meta"]["progressToken"] = token
    async with told(door, message, headers_for(message)) as back:
        assert (await back.next())["params"] == {"progress": 1, "progressToken": token}
    assert door.backend.asked[0].speaks.progress


@pytest.mark.holds("NOTE-ASKED")
@pytest.mark.parametrize(
    "meta, level, progress",
    [
        ({}, None, False),
        ({"progressToken": None}, None, False),
        ({"progressToken": [1]}, None, False),
        ({"io.modelcontextprotocol/logLevel": "warning"}, "warning", False),
        ({"io.modelcontextprotocol/logLevel": "loud"}, None, False),
        ({"io.modelcontextprotocol/logLevel": ["info"]}, None, False),
        ({"io.modelcontextprotocol/logLevel": "debug", "progressToken": "p"}, "debug", True),
    ],
)
async def test_a_modern_client_says_with_each_request_what_it_wants_to_hear(
    door: Door, meta: dict[str, Any], level: str | None, progress: bool
) -> None:
    message = modern("tools/call", {"name": "echo"})
    message["params"]["_meta"] |= meta
    await door.send(msgspec.json.encode(message), headers_for(message))
    [ask] = door.backend.asked
    assert (ask.speaks.log_level, ask.speaks.progress) == (level, progress)


@pytest.mark.holds("NOTE-ASKED")
async def test_a_session_says_once_how_severe_log_messages_have_to_be(door: Door) -> None:
    session = await able(door)

    async def level(name: Any) -> Any:
        message = {"jsonrpc": "2.0", "id": 9, "method": "logging/setLevel", "params": {"level": name}}
        return (await door.send(msgspec.json.encode(message), session))[2]

    for name in ("loud", None, ["info"]):
        assert (await level(name))["error"]["code"] == -32602
    await door.send(msgspec.json.encode(call("echo")), session)
    assert (await level("error"))["result"] == {}
    await door.send(msgspec.json.encode(call("echo")), session)
    assert [ask.speaks.log_level for ask in door.backend.asked] == ["", "error"]


async def test_a_result_of_ten_megabytes_comes_whole_after_what_was_said(door: Door) -> None:
    door.backend.notes = [LOG]
    text = "x" * 10_000_000
    door.backend.result = msgspec.json.encode({"content": [{"type": "text", "text": text}]})
    _, _, body = await door.modern("tools/call", {"name": "echo"})
    assert body["result"]["content"][0]["text"] == text


class Reader:
    """The ASGI side of a client that reads when it is let."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.got: list[Any] = []

    async def send(self, event: Any) -> None:
        await self.reads.wait()
        self.got.append(event)

    @property
    def body(self) -> bytes:
        return b"".join(event.get("body", b"") for event in self.got)


@pytest.mark.holds("NOTE-RECORD")
async def test_for_a_client_that_does_not_keep_up_notes_are_dropped_and_the_answer_is_not() -> None:
    reader = Reader()
    stream = Stream(reader.send, accepted=True)
    note = b"x" * 100_000
    said = [stream.say(note) for _ in range(20)]
    assert said == [True] * 10 + [False] * 10
    assert stream.say(b"a question", must=True)
    reader.reads.set()
    await stream.finish(Response(body=b"the answer"))
    assert reader.body.count(note) == 10
    assert reader.body.endswith(b"event: message\ndata: a question\n\nevent: message\ndata: the answer\n\n")
    assert not reader.got[-1].get("more_body")


async def test_once_a_client_reads_again_it_is_told_again() -> None:
    reader = Reader()
    stream = Stream(reader.send, accepted=True)
    while stream.say(b"x" * 100_000):
        pass
    reader.reads.set()
    await asyncio.sleep(0.01)
    assert stream.say(b"again")
    await stream.finish(Response(body=b"{}"))


@pytest.mark.parametrize("begun", [True, False])
async def test_after_the_answer_nothing_is_said(begun: bool) -> None:
    reader = Reader()
    reader.reads.set()
    stream = Stream(reader.send, accepted=True)
    if begun:
        stream.say(b"{}")
    await stream.finish(Response(body=b"{}"))
    sent = len(reader.got)
    assert not stream.say(b"late", must=True)
    await asyncio.sleep(0)
    assert len(reader.got) == sent


async def test_a_stream_that_is_quiet_for_long_shows_that_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_QUIET_S", 0.001)
    reader = Reader()
    reader.reads.set()
    stream = Stream(reader.send, accepted=True)
    stream.open()
    while b":\n\n" not in reader.body:  # noqa: ASYNC110 - nothing but time brings it
        await asyncio.sleep(0.001)
    await stream.finish(Response(body=b"{}"))
    assert reader.body.endswith(b":\n\nevent: message\ndata: {}\n\n")


async def test_a_stream_that_was_abandoned_says_nothing() -> None:
    reader = Reader()
    stream = Stream(reader.send, accepted=True)
    stream.say(b"{}")
    stream.abandon()
    await asyncio.sleep(0)
    assert not stream.say(b"{}")
    assert reader.got == []


async def test_a_token_found_bad_before_anything_was_said_is_challenged(door: Door) -> None:
    door.backend.refusal = Refusal(reason=Reason.IDENTITY_EXPIRED, detail="", verdict="DENY")
    async with told(door, call("echo"), plain()) as back:
        assert back.response.status == 400  # a session has to be opened first
    message = modern("tools/call", {"name": "echo"})
    async with told(door, message, headers_for(message)) as back:
        assert back.response.status == 401


TOKENS: dict[str, tuple[Any, bool]] = {
    "text": ("t" * 256, True),
    "a number": (0, True),
    "longer than an id": ("t" * 257, False),
    "true": (True, False),
    "null": (None, False),
    "a list": ([], False),
    "an object": ({}, False),
}


@pytest.mark.holds("NOTE-ASKED")
@pytest.mark.parametrize("token, asks_for_it", TOKENS.values(), ids=TOKENS.keys())
async def test_progress_is_asked_for_by_a_token_that_is_one(door: Door, token: Any, asks_for_it: bool) -> None:
    message = modern("tools/call", {"name": "echo", "arguments": {"text": "x"}})
    message["params"]["_meta"]["progressToken"] = token
    await door.send(msgspec.json.encode(message), headers_for(message))
    assert door.backend.asked[-1].speaks.progress is asks_for_it


async def test_of_what_a_client_says_it_can_do_a_session_keeps_what_is_told_of_it(door: Door) -> None:
    said = {"elicitation": {"url": {"much": "x" * 1000}}, "roots": {"listChanged": True}, "experimental": {"a": {}}}
    session = await able(door, said)
    await door.send(msgspec.json.encode(call("echo", arguments={"text": "x"})), session)
    assert door.backend.asked[-1].speaks.capabilities == {"elicitation": {"url": {}}, "roots": {}}
