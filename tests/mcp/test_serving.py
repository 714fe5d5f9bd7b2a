"""The server under the door: what a slow, huge or vanishing client gets, on raw sockets."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from remit.edge import serving as server
from remit.edge.mcp import exchange
from remit.edge.mcp.leaving import Cancelled
from remit.edge.serving import listener, serve
from remit.errors import CallerFault, ConfigFault
from remit.limits import BODY_BYTES_MAX
from tests.mcp.conftest import Door, headers_for, modern, simulated_door

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEADERS = headers_for(modern("tools/list"))


async def raw(door: Door, sent: bytes) -> bytes:
    """Everything the server says to these bytes until it hangs up."""
    port = int(door.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()
        await writer.wait_closed()


def head(*lines: str, **changed: str) -> bytes:
    headers = {"Host": "127.0.0.1", **HEADERS, **changed}
    text = "\r\n".join(["POST /mcp/notes HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), *lines])
    return text.encode() + b"\r\n\r\n"


@pytest.mark.holds("INPUT-SIZE")
async def test_a_body_that_says_it_is_too_large_is_not_read(door: Door) -> None:
    answer = await raw(door, head(f"Content-Length: {BODY_BYTES_MAX + 1}"))
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.holds("INPUT-SIZE")
async def test_a_body_that_grows_too_large_is_cut_off(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "BODY_BYTES_MAX", 100)
    answer = await raw(door, head("Transfer-Encoding: chunked") + (b"40\r\n" + b"x" * 64 + b"\r\n") * 2)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert door.backend.counted == {"call.too_large": 1}


@pytest.mark.parametrize("length", ["-1", "+1", "1e9", "0x10", "9" * 40])
async def test_a_strange_length_is_refused(door: Door, length: str) -> None:
    answer = await raw(door, head(f"Content-Length: {length}", "Connection: close"))
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 "))


async def test_two_framings_are_refused(door: Door) -> None:
    answer = await raw(door, head("Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")


async def test_a_host_that_stands_twice_is_refused(door: Door) -> None:
    answer = await raw(door, head("Host: 127.0.0.1", "Content-Length: 0", "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /mcp",
        b"\r\n",
        head("Content-Length: 0").replace(b"\r\n\r\n", b"\r\n"),
        head("Content-Length: 9") + b"{",
    ],
    ids=["nothing", "half a line", "an empty line", "half the headers", "half the body"],
)
async def test_a_request_that_does_not_come_is_given_up(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_ARRIVES_S", 0.05)
    monkeypatch.setattr(server, "SWEEP_S", 0.02)
    async with simulated_door() as door:
        assert await raw(door, sent) == b""
        assert (await door.modern("tools/list"))[0] == 200


async def test_a_request_in_time_is_never_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_ARRIVES_S", 0.2)
    monkeypatch.setattr(server, "SWEEP_S", 0.01)
    async with simulated_door() as door:
        message = modern("tools/call", {"name": "slow"})
        call = asyncio.create_task(door.send(msgspec.json.encode(message), headers_for(message)))
        await asyncio.wait_for(door.backend.running.wait(), 10)
        await asyncio.sleep(0.5)
        assert not call.done()
        call.cancel()


async def test_a_client_that_leaves_before_its_body_is_whole_is_no_error(door: Door) -> None:
    port = int(door.url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head("Content-Length: 10") + b"{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await door.modern("tools/list"))[0] == 200
    assert not door.backend.counted


async def test_a_client_that_leaves_cancels_its_call(door: Door) -> None:
    body = msgspec.json.encode(modern("tools/call", {"name": "slow"}))
    headers = headers_for(modern("tools/call", {"name": "slow"}))
    call = asyncio.create_task(door.send(body, headers))
    await asyncio.wait_for(door.backend.running.wait(), 10)
    call.cancel()
    await asyncio.wait_for(door.backend.cancelled.wait(), 10)


async def test_an_address_in_use_is_told_plainly(door: Door) -> None:
    port = int(door.url.rpartition(":")[2])
    with pytest.raises(CallerFault, match=r"cannot listen on `.*`: address already in use"):
        listener("127.0.0.1", port)


async def test_stopping_lets_a_running_request_end() -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        entered.set()
        await leave.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    serving = await serve(app, listener("127.0.0.1", 0))
    reader, writer = await asyncio.open_connection(serving.host, serving.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await entered.wait()
    stopping = asyncio.create_task(serving.stop())
    leave.set()
    assert (await reader.read()).startswith(b"HTTP/1.1 204 ")
    await stopping
    await serving.wait()
    writer.close()


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_a_certificate_that_cannot_be_read_is_told_plainly(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "cert.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigFault, match="the TLS certificate or key cannot be read"):
        await serve(_nothing, listener("127.0.0.1", 0), tls=server.Tls(file, file))


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError


async def test_who_asks_to_be_told_of_a_cancellation_is_told_once() -> None:
    told: list[str] = []
    cancelled = Cancelled()
    cancelled.then(lambda: told.append("before"))
    cancelled.set()
    cancelled.set()
    cancelled.then(lambda: told.append("after"))
    assert told == ["before", "after"]


@pytest.mark.holds("LIMIT-NOISE")
async def test_requests_that_are_no_http_do_not_fill_the_log(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        assert (await raw(door, b"\x00\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
    assert len([record for record in caplog.records if record.name == "uvicorn.error"]) <= 1
