"""Lines to one server share connections: an answer that strays on one is no answer to another line's request."""

import asyncio

import msgspec
import pytest
from msgspec import Raw

from remit.catalogue import contract_of
from remit.edge.upstream.mcp_http import HttpWire
from remit.edge.upstream.message import Answer, Request
from remit.edge.upstream.params import MODERN
from remit.edge.upstream.pool import pool
from remit.errors import UpstreamFault
from remit.forward.model import Outgoing

CONTRACT = contract_of("web", "tool", name="t", body={"name": "t", "inputSchema": {"type": "object"}})


def call(who: str) -> Request:
    arguments = Raw(msgspec.json.encode({"who": who}))
    sent = Outgoing(method="tools/call", name="t", arguments=arguments, meta={}, timeout_s=10)
    params = b'{"name":"t","arguments":' + bytes(arguments) + b"}"
    return Request(method=sent.method, params=params, timeout_s=10, outgoing=sent, contract=CONTRACT)


async def one_behind(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A proxy that lost count: from the second request of a connection on, it gives the answer to the one before."""
    before = b""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            asked = msgspec.json.decode(await reader.readexactly(length))
            answer = {"jsonrpc": "2.0", "id": asked["id"], "result": asked["params"]["arguments"]}
            body = msgspec.json.encode(answer)
            given, before = before or body, body
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(given)
            )
            writer.write(given)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


@pytest.mark.holds("INV-12")
async def test_an_answer_to_one_line_is_refused_on_another() -> None:
    ended = asyncio.Event()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await one_behind(reader, writer)
        await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
    http = pool()
    ada, bob = (HttpWire(http, url, heard=lambda method, params: None) for _ in range(2))
    for wire in (ada, bob):
        wire.speak(MODERN)
    try:
        first = await ada.exchange(call("ada"))
        assert isinstance(first, Answer)
        assert first.result is not None
        assert bytes(first.result) == b'{"who":"ada"}'
        await asyncio.sleep(0)  # the connection comes to rest
        with pytest.raises(UpstreamFault, match="to another request"):
            await bob.exchange(call("bob"))
    finally:
        await ada.close()
        await bob.close()
        await http.close()
        await ended.wait()
        server.close()
        await server.wait_closed()
