"""The stdio bridge: as the official client starts it, and message by message."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from remit.edge.mcp.bridge import Destination, bridge
from remit.errors import CallerFault
from remit.limits import BODY_BYTES_MAX
from tests.mcp.conftest import Door, modern
from tests.mcp.simulated import ADA
from tests.mcp.talking import WORD

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCRIPT = Path(__file__).with_name("run_bridge.py")
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


class Desktop:
    """A client on the other side of a bridge that runs in this process."""

    def __init__(self, destination: Destination) -> None:
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self._task = asyncio.create_task(bridge(destination, self._given(), write=self.heard.put))

    async def _given(self) -> AsyncIterator[bytes]:
        while (line := await self._lines.get()) is not None:
            yield line

    def say(self, message: Any) -> None:
        self._lines.put_nowait(message if isinstance(message, bytes) else msgspec.json.encode(message))

    async def hears(self) -> Any:
        return msgspec.json.decode(await asyncio.wait_for(self.heard.get(), 10))

    async def asks(self, message: Any) -> Any:
        self.say(message)
        return await self.hears()

    async def leaves(self) -> None:
        self._lines.put_nowait(None)
        await asyncio.wait_for(self._task, 10)


def at(url: str, token: str = ADA) -> Destination:
    return Destination(url=url, token=lambda: token, client="bridge-1", task="task-1")


def legacy(call: int, method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call, "method": method, "params": params}


@pytest.mark.parametrize("path", ["/mcp/notes", "/mcp"])
@pytest.mark.parametrize("mode", ["auto", "legacy", "2026-07-28"])
async def test_a_desktop_client_works_through_the_bridge(door: Door, mode: str, path: str) -> None:
    tool = "echo" if path == "/mcp/notes" else "notes/echo"
    command = StdioServerParameters(command=sys.executable, args=[str(SCRIPT), door.url + path, ADA])
    async with Client(stdio_client(command), mode=mode) as client:
        assert tool in [one.name for one in (await client.list_tools()).tools]
        assert (await client.call_tool(tool, {"text": "grüezi\n"})).content[0].text == "grüezi\n"
        routed = tool.replace("echo", "routed")
        assert not (await client.call_tool(routed, {"region": "zürich", "count": 3})).is_error
    assert {ask.task for ask in door.backend.asked} == {"task-1"}
    assert {ask.client for ask in door.backend.asked} == {"bridge-1"}


async def test_the_session_is_closed_when_the_client_leaves(door: Door) -> None:
    door.backend.sessions = 1
    desktop = Desktop(at(door.url + "/mcp/notes"))
    await desktop.asks(INITIALIZE)
    desktop.say(INITIALIZED)
    await desktop.leaves()
    assert desktop.heard.empty()


async def test_a_session_the_gateway_forgot_is_opened_again(door: Door) -> None:
    door.backend.sessions = 1
    desktop = Desktop(at(door.url + "/mcp/notes"))
    await desktop.asks(INITIALIZE)
    desktop.say(INITIALIZED)
    await door.session()  # the agent's one session is now another client's
    answer = await desktop.asks(legacy(1, "tools/call", name="echo", arguments={"text": "hi"}))
    assert answer["id"] == 1
    assert answer["result"]["content"][0]["text"] == "hi"
    await desktop.leaves()
    assert len(door.backend.asked) == 1


async def test_cancelling_reaches_the_call_on_the_legacy_wire(door: Door) -> None:
    desktop = Desktop(at(door.url + "/mcp/notes"))
    await desktop.asks(INITIALIZE)
    desktop.say(legacy(1, "tools/call", name="slow"))
    await asyncio.wait_for(door.backend.running.wait(), 10)
    desktop.say({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})
    await asyncio.wait_for(door.backend.cancelled.wait(), 10)
    await desktop.leaves()


async def test_cancelling_reaches_the_call_on_the_modern_wire(door: Door) -> None:
    desktop = Desktop(at(door.url + "/mcp/notes"))
    desktop.say(modern("tools/call", {"name": "slow"}))
    await asyncio.wait_for(door.backend.running.wait(), 10)
    desktop.say({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})
    await asyncio.wait_for(door.backend.cancelled.wait(), 10)
    await desktop.leaves()
    assert desktop.heard.empty()


async def test_leaving_abandons_what_still_runs(door: Door) -> None:
    desktop = Desktop(at(door.url + "/mcp/notes"))
    desktop.say(modern("tools/call", {"name": "slow"}))
    await asyncio.wait_for(door.backend.running.wait(), 10)
    await desktop.leaves()
    await asyncio.wait_for(door.backend.cancelled.wait(), 10)


@pytest.mark.parametrize(
    "line, code",
    [
        (b"{", -32700),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600),
        (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"result":[]}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"result":{},"error":{}}', -32600),
        (rb'{"jsonrpc":"2.0","id":"\ud800","method":"ping"}', -32700),
    ],
)
async def test_what_is_no_request_is_not_forwarded(door: Door, line: bytes, code: int) -> None:
    desktop = Desktop(at(door.url + "/mcp/notes"))
    answer = await desktop.asks(line)
    assert (answer["id"], answer["error"]["code"]) == (None, code)
    await desktop.leaves()
    assert not door.backend.counted


async def test_a_body_cannot_write_headers(door: Door) -> None:
    message = modern("tools/call\r\nX-Evil: 1", {"name": "echo\r\nX-Evil: 1"})
    message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] += "\r\nX-Evil: 1"
    desktop = Desktop(at(door.url + "/mcp/notes"))
    assert (await desktop.asks(message))["error"]["code"] == -32020
    await desktop.leaves()


async def test_a_refused_token_is_told_under_the_requests_own_id(door: Door) -> None:
    desktop = Desktop(at(door.url + "/mcp/notes", "expired"))
    answer = await desktop.asks(modern("tools/list"))
    assert answer == {"jsonrpc": "2.0", "id": 1, "error": {"code": 4401, "message": "the token has expired"}}
    await desktop.leaves()


async def test_an_absent_gateway_is_an_answer() -> None:
    desktop = Desktop(at("http://127.0.0.1:9/mcp"))
    answer = await desktop.asks(modern("tools/list"))
    assert answer["error"]["message"] == "the gateway cannot be reached; nothing was sent; check that it runs"
    await desktop.leaves()


async def test_a_token_that_cannot_be_minted_is_an_answer(door: Door) -> None:
    def no_key() -> str:
        raise CallerFault("the key of `ada` is not here", "enrol it")

    desktop = Desktop(Destination(url=door.url + "/mcp/notes", token=no_key, client="b"))
    assert (await desktop.asks(modern("tools/list")))["error"]["message"] == "the key of `ada` is not here"
    await desktop.leaves()


@pytest_asyncio.fixture(loop_scope="module")
async def other_gateway() -> AsyncIterator[str]:
    """Answers the ways this project's own door does not: a stream, a redirect, pretty printing, no JSON."""

    async def answer(request: web.Request) -> web.StreamResponse:
        match request.path:
            case "/stream":
                events = 'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n'
                events += ': ping\n\ndata: {"jsonrpc":"2.0","id":1,"result":{}}\n\n'
                return web.Response(text=events, content_type="text/event-stream")
            case "/cut":
                return web.Response(text=": ping\n\n", content_type="text/event-stream")
            case "/long":
                return web.Response(text=f"data: {'x' * 1_000_000}\n\n", content_type="text/event-stream")
            case "/deep":
                return web.Response(text='{"id":1,"result":' + "[" * 100_000, content_type="application/json")
            case "/odd":
                return web.Response(text='{"id":1,"result":{"tools":1}}', content_type="application/json")
            case "/redirect":
                raise web.HTTPTemporaryRedirect("/stream")
            case "/pretty":
                return web.Response(
                    text='{\n "jsonrpc": "2.0",\n "id": 1,\n "result": {}\n}', content_type="application/json"
                )
        return web.Response(status=502, text="bad gateway")

    app = web.Application()
    app.router.add_post("/{path}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_streamed_answer_is_passed_on_event_by_event(other_gateway: str) -> None:
    desktop = Desktop(at(f"{other_gateway}/stream"))
    assert (await desktop.asks(modern("tools/call", {"name": "x"})))["method"] == "notifications/progress"
    assert await desktop.hears() == {"jsonrpc": "2.0", "id": 1, "result": {}}
    await desktop.leaves()


async def test_an_answer_is_written_on_one_line(other_gateway: str) -> None:
    desktop = Desktop(at(f"{other_gateway}/pretty"))
    desktop.say(modern("tools/list"))
    assert b"\n" not in await asyncio.wait_for(desktop.heard.get(), 10)
    await desktop.leaves()


@pytest.mark.parametrize(
    "path, words",
    [
        ("/redirect", "HTTP status 307"),
        ("/none", "HTTP status 502"),
        ("/cut", "may have happened"),
        ("/odd", "may have happened"),
        ("/long", "may have happened"),
        ("/deep", "may have happened"),
    ],
)
async def test_an_answer_that_is_none_is_an_error(other_gateway: str, path: str, words: str) -> None:
    desktop = Desktop(at(other_gateway + path))
    answer = await desktop.asks(modern("tools/list"))
    assert (answer["id"], answer["error"]["code"]) == (1, 4502)
    assert words in answer["error"]["message"]
    await desktop.leaves()


async def _started(door: Door, stdin: Any) -> asyncio.subprocess.Process:
    command = (sys.executable, str(SCRIPT), door.url + "/mcp/notes", ADA)
    return await asyncio.create_subprocess_exec(
        *command, stdin=stdin, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


async def test_a_line_that_never_ends_is_refused(door: Door) -> None:
    process = await _started(door, asyncio.subprocess.PIPE)
    output, errors = await asyncio.wait_for(process.communicate(b"x" * (BODY_BYTES_MAX + 2)), 20)
    assert msgspec.json.decode(output)["error"]["code"] == -32600
    assert errors == b""


async def test_a_last_line_needs_no_newline(door: Door) -> None:
    process = await _started(door, asyncio.subprocess.PIPE)
    output, errors = await asyncio.wait_for(process.communicate(msgspec.json.encode(modern("tools/list"))), 20)
    assert msgspec.json.decode(output)["id"] == 1
    assert errors == b""


async def test_a_file_as_input_is_told_plainly(door: Door) -> None:
    with SCRIPT.open() as file:
        process = await _started(door, file)
        output, errors = await asyncio.wait_for(process.communicate(), 20)
    assert output == b""
    assert b"standard input and output have to be pipes" in errors
    assert ADA.encode() not in errors


ABLE = {**INITIALIZE, "params": {**INITIALIZE["params"], "capabilities": {"elicitation": {}}}}  # type: ignore[dict-item]
NOTE = ("notifications/message", {"level": "info", "data": "a line\nand another"})


@pytest.mark.holds("ASK-RELAY")
async def test_questions_answers_and_notes_pass_through_the_bridge(door: Door) -> None:
    door.backend.notes, door.backend.questions = [NOTE], {"a": WORD}
    desktop = Desktop(at(door.url + "/mcp/notes"))
    await desktop.asks(ABLE)
    desktop.say(INITIALIZED)
    desktop.say(legacy(1, "tools/call", name="asks"))
    assert await desktop.hears() == {"jsonrpc": "2.0", "method": NOTE[0], "params": NOTE[1]}
    question = await desktop.hears()
    assert (question["method"], question["params"]["message"]) == ("elicitation/create", "which word?")
    yes = {"action": "accept", "content": {"word": "fig"}}
    desktop.say({"jsonrpc": "2.0", "id": question["id"], "result": yes})
    assert (await desktop.hears())["method"] == NOTE[0]
    answer = await desktop.hears()
    assert answer["id"] == 1
    assert msgspec.json.decode(answer["result"]["content"][0]["text"]) == {"a": yes}
    await desktop.leaves()


@pytest.mark.holds("ASK-CANCEL")
async def test_a_desktop_client_that_leaves_while_it_is_asked_is_not_waited_for(door: Door) -> None:
    door.backend.questions = {"a": WORD}
    desktop = Desktop(at(door.url + "/mcp/notes"))
    await desktop.asks(ABLE)
    desktop.say(legacy(1, "tools/call", name="asks"))
    await desktop.hears()
    await desktop.leaves()
    async with asyncio.timeout(10):
        while not door.backend.abandoned:  # noqa: ASYNC110 - the gateway notices when it does
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("mode", ["modern", "legacy"])
async def test_a_result_of_ten_megabytes_passes_through_the_bridge_after_what_was_said(door: Door, mode: str) -> None:
    text = "x\n\ny" * 2_500_000
    door.backend.notes = [NOTE]
    door.backend.result = msgspec.json.encode({"content": [{"type": "text", "text": text}]})
    desktop = Desktop(at(door.url + "/mcp/notes"))
    if mode == "legacy":
        await desktop.asks(INITIALIZE)
        desktop.say(legacy(1, "tools/call", name="echo"))
    else:
        desktop.say(modern("tools/call", {"name": "echo"}))
    assert (await desktop.hears())["method"] == NOTE[0]
    answer = await desktop.hears()
    assert answer["result"]["content"][0]["text"] == text
    await desktop.leaves()


async def test_an_answer_nobody_asked_for_goes_nowhere_without_a_session(door: Door) -> None:
    desktop = Desktop(at(door.url + "/mcp/notes"))
    desktop.say({"jsonrpc": "2.0", "id": "remit-1", "result": {}})
    assert (await desktop.asks(modern("tools/list")))["id"] == 1
    await desktop.leaves()
    assert not door.backend.counted
