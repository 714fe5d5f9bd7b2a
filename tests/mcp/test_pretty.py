"""A server may write its JSON over several lines; an event of ours is one line all the same."""

from typing import Any

import msgspec
import pytest

from remit.edge.mcp.rpc import Response
from remit.edge.mcp.stream import Stream
from tests.mcp.conftest import Door, headers_for, modern
from tests.mcp.talking import told

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRETTY = b'{\n\n"content": [\r\n\r\n  {"type": "text", "text": "a\\n\\nb"}\r]}'


async def test_an_answer_over_several_lines_is_one_event(door: Door) -> None:
    door.backend.notes = [("notifications/progress", {"progress": 1})]
    door.backend.result = PRETTY
    message = modern("tools/call", {"name": "echo"})
    async with told(door, message, headers_for(message)) as back:
        await back.next()
        assert (await back.next())["result"]["content"][0]["text"] == "a\n\nb"
        assert await back.over()


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n", b"\n\n"])
async def test_no_line_end_between_tokens_reaches_the_stream(line_end: bytes) -> None:
    sent = bytearray()

    async def send(event: Any) -> None:
        sent.extend(event.get("body", b""))

    stream = Stream(send, accepted=True)
    said = b'{"a":' + line_end + b'"b\\n"}'
    stream.say(said)
    await stream.finish(Response(body=said))
    events = bytes(sent).removesuffix(b"\n\n").split(b"\n\n")
    assert [msgspec.json.decode(event.removeprefix(b"event: message\ndata: ")) for event in events] == [
        {"a": "b\n"}
    ] * 2
    assert b"\r" not in sent
