"""A tool server of the two-endpoint transport that records what it is sent and does as the called tool's name says.

Streams open at `/sse`; requests go to `/messages`. `begins` is what a stream says first, in place of its endpoint.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from tests.upstream.http_server import INFO, Seen

FLOOD = 2000
ENDPOINT = b"event: endpoint\r\ndata: /messages?session=%d\r\n\r\n"


class SseServer:
    """`seen` is every request; `streams` those open now, by number; on `deaf` ones nothing is answered."""

    def __init__(self, revision: str = "2024-11-05") -> None:
        self.revision = revision
        self.begins: bytes | None = None
        self.opens = web.StreamResponse  # what a GET is answered with; a test may replace it
        self.post_status = 405
        self.description = "does as it is told"
        self.seen: list[Seen] = []
        self.streams: dict[int, web.StreamResponse] = {}
        self.deaf: set[int] = set()
        self.heard = asyncio.Event()
        self.dropped = asyncio.Event()
        self.over = asyncio.Event()  # set, it ends the newest stream
        self.url = ""
        self._answering: asyncio.Future[None] | None = None
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> None:
        app = web.Application()
        app.router.add_get("/sse", self._stream)
        app.router.add_post("/sse", self._elsewhere)
        app.router.add_route("*", "/messages", self._message)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        listener = socket.create_server(("127.0.0.1", port))
        await web.SockSite(self._runner, listener).start()
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/sse"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def calls(self, method: str = "tools/call") -> list[Seen]:
        return [one for one in self.posted if one.message.get("method") == method]

    @property
    def posted(self) -> list[Seen]:
        """What came to the endpoint."""
        return [one for one in self.seen if one.method == "POST /messages"]

    async def say(self, message: dict[str, Any]) -> None:
        """Put a message on the newest stream."""
        await self.raw(b"event: message\r\ndata: " + msgspec.json.encode({"jsonrpc": "2.0", **message}) + b"\r\n\r\n")

    async def raw(self, data: bytes) -> None:
        await self.streams[max(self.streams)].write(data)

    async def result(self, number: Any, **members: Any) -> None:
        await self.say({"id": number, "result": {"content": [], "structuredContent": members}})

    def _see(self, request: web.Request, body: bytes) -> Seen:
        seen = Seen(f"{request.method} {request.path}", [*request.headers.items()], body)
        self.seen.append(seen)
        self.heard.set()
        return seen

    async def _elsewhere(self, request: web.Request) -> web.Response:
        self._see(request, await request.read())
        return web.Response(status=self.post_status, text="not here")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        self._see(request, b"")
        response = self.opens(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        number = len(self.seen)
        self.streams[number] = response
        try:
            await response.write(ENDPOINT % number if self.begins is None else self.begins)
            self.over = asyncio.Event()
            await self.over.wait()
        finally:
            del self.streams[number]
        return response

    async def _message(self, request: web.Request) -> web.StreamResponse:
        seen = self._see(request, await request.read())
        stream = int(request.query["session"])
        if stream not in self.streams:
            return web.Response(status=404, text="no such session")
        message = seen.message
        tool = message["params"]["name"] if message.get("method") == "tools/call" else ""
        if tool in ENDPOINTS:
            return await ENDPOINTS[tool](request, message["id"], self)
        if stream not in self.deaf:
            self._answering = asyncio.ensure_future(self._answer(message, tool))
        return web.Response(status=202, text="Accepted")

    async def _answer(self, message: dict[str, Any], tool: str) -> None:
        number, method = message.get("id"), message.get("method")
        if method == "initialize":
            said = {"protocolVersion": self.revision, "capabilities": {"tools": {}}, "serverInfo": INFO}
            await self.say({"id": number, "result": said})
        elif method == "tools/list":
            names = ("echo", *STREAMS, *ENDPOINTS)
            listed = [
                {"name": one, "description": self.description, "inputSchema": {"type": "object"}} for one in names
            ]
            await self.say({"id": number, "result": {"tools": listed}})
        elif tool in STREAMS:
            await STREAMS[tool](number, self)
        elif method == "tools/call":
            await self.result(number, arguments=message["params"]["arguments"])
        elif method is not None and number is not None:
            await self.say({"id": number, "error": {"code": -32601, "message": "no"}})


async def hang(number: Any, server: SseServer) -> None:
    """Nothing."""


async def error(number: Any, server: SseServer) -> None:
    await server.say({"id": number, "error": {"code": -32602, "message": "no such thing"}})


async def pieces(number: Any, server: SseServer) -> None:
    await server.raw(b": hello\n\nid: 1\ndata:\n\nevent: weather\ndata: rain\n\n")
    await server.raw(b'data: {"jsonrpc":"2.0",\ndata: "id":%d,\n' % number)
    await server.raw(b'data: "result":{"content":[]}}\n\n')


async def unknown_ids(number: Any, server: SseServer) -> None:
    await server.result(number + 1000, which="another")
    await server.result(str(number), which="a string")
    await server.say({"id": None, "error": {"code": -32700, "message": "whose?"}})
    await server.result(number, which="the right one")


async def twice(number: Any, server: SseServer) -> None:
    await server.result(number, which="first")
    await server.result(number, which="second")


async def oversized(number: Any, server: SseServer) -> None:
    await server.raw(b'data: {"result":{"content":[],"text":"' + b"x" * 17_000_000)
    await server.raw(b'"},"jsonrpc":"2.0","id":%d}\n\n' % number)


async def oversized_first(number: Any, server: SseServer) -> None:
    """What is too long is nobody's answer; the answer follows."""
    await server.raw(b'data: {"jsonrpc":"2.0","method":"notifications/message","params":"' + b"x" * 17_000_000)
    await server.raw(b'"}\n\n')
    await server.result(number, which="after")


async def not_json(number: Any, server: SseServer) -> None:
    await server.raw(b'data: {"jsonrpc":"2.0","id":%d,"result":{"content":[}}\n\n' % number)


async def no_object(number: Any, server: SseServer) -> None:
    await server.say({"id": number, "result": [1]})


async def moves(number: Any, server: SseServer) -> None:
    await server.raw(ENDPOINT % 1)
    await server.result(number)


async def ends(number: Any, server: SseServer) -> None:
    server.over.set()


async def dies(number: Any, server: SseServer) -> None:
    response = server.streams[max(server.streams)]
    assert response._req is not None
    assert response._req.transport is not None
    response._req.transport.abort()


async def asks(number: Any, server: SseServer) -> None:
    await server.say({"id": "p", "method": "ping"})
    await server.say({"id": 7, "method": "elicitation/create", "params": {}})
    await server.say({"id": {"no": "id"}, "method": "ping"})
    await server.result(number)


async def floods(number: Any, server: SseServer) -> None:
    await server.raw(b'data: {"jsonrpc":"2.0","method":"ping","id":1}\n\n' * FLOOD)
    await server.result(number)


async def drift(number: Any, server: SseServer) -> None:
    server.description = "now worse"
    await server.say({"method": "notifications/tools/list_changed"})
    await server.result(number)


STREAMS: dict[str, Callable[[Any, SseServer], Awaitable[None]]] = {
    one.__name__: one
    for one in (
        *(hang, error, pieces, unknown_ids, twice, oversized, oversized_first),
        *(not_json, no_object, moves, ends, dies, asks, floods, drift),
    )
}


async def late(request: web.Request, number: Any, server: SseServer) -> web.StreamResponse:
    """The answer first, and then nothing at the endpoint."""
    await server.result(number, which="stream")
    await asyncio.sleep(60)
    return web.Response(status=202)


async def holds(request: web.Request, number: Any, server: SseServer) -> web.StreamResponse:
    try:
        await asyncio.sleep(60)
    finally:
        server.dropped.set()
    return web.Response(status=202)


async def fails(request: web.Request, number: Any, server: SseServer) -> web.StreamResponse:
    return web.Response(status=500, text="oops")


async def forgotten(request: web.Request, number: Any, server: SseServer) -> web.StreamResponse:
    return web.Response(status=404, text="no such session")


async def redirects(request: web.Request, number: Any, server: SseServer) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": str(request.rel_url)})


async def resets(request: web.Request, number: Any, server: SseServer) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


ENDPOINTS: dict[str, Callable[[web.Request, Any, SseServer], Awaitable[web.StreamResponse]]] = {
    one.__name__: one for one in (late, holds, fails, forgotten, redirects, resets)
}
