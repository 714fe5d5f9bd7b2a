"""A tool server over HTTP that records what it is sent and answers as the called tool's name says. Loopback only.

It speaks one generation: `modern`, or `legacy` at one revision, with a session id. Tools are the keys of `BEHAVIOURS`.
"""

import asyncio
import gzip
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

INFO = {"name": "recorder", "version": "3"}


class Seen(msgspec.Struct):
    """One request as it came."""

    method: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        return msgspec.json.decode(self.body)

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Recorder:
    """`seen` is every request; `tools` the advertised list, which a test may change."""

    def __init__(self, era: str = "modern", revision: str = "2025-06-18") -> None:
        self.era = era
        self.revision = revision
        self.listens = False  # whether a GET opens a stream, on which nothing is ever said
        self.seen: list[Seen] = []
        self.tools: list[dict[str, Any]] = [
            {"name": name, "inputSchema": {"type": "object"}} for name in (*BEHAVIOURS, "echo")
        ]
        self.sessions: set[str] = set()
        self.closed = asyncio.Event()
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> None:
        app = web.Application()
        app.router.add_route("*", "/mcp", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        listener = socket.create_server(("127.0.0.1", port))
        await web.SockSite(self._runner, listener).start()
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def calls(self, method: str = "tools/call") -> list[Seen]:
        return [seen for seen in self.seen if seen.body and seen.message.get("method") == method]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        seen = Seen(request.method, [*request.headers.items()], await request.read())
        self.seen.append(seen)
        if request.method == "GET":
            return await self._listen(request)
        if request.method == "DELETE":
            self.sessions.discard(request.headers.get("Mcp-Session-Id", ""))
            return web.Response()
        message = seen.message
        if "id" not in message or "method" not in message:
            return web.Response(status=202)
        if message["method"] == "tools/call" and message["params"]["name"] in BEHAVIOURS:
            return await BEHAVIOURS[message["params"]["name"]](request, message, self)
        return self._answer(request, message)

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        if not self.listens:
            return web.Response(status=405)
        response = await _streaming(request)
        await asyncio.sleep(60)
        return response

    def _answer(self, request: web.Request, message: dict[str, Any]) -> web.Response:
        number, method = message["id"], message["method"]
        if method == "server/discover" and self.era == "modern":
            meta = {"io.modelcontextprotocol/serverInfo": INFO}
            said = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "_meta": meta}
            return result(number, said)
        if method == "initialize" and self.era == "legacy":
            session = f"s{len(self.seen)}"
            self.sessions.add(session)
            said = {"protocolVersion": self.revision, "capabilities": {"tools": {}}, "serverInfo": INFO}
            return result(number, said, headers={"Mcp-Session-Id": session})
        if self.era == "legacy" and request.headers.get("Mcp-Session-Id") not in self.sessions:
            return web.Response(status=404, text="no such session")
        if method == "tools/list":
            return result(number, {"tools": self.tools})
        if method == "tools/call":
            return result(number, {"content": [], "structuredContent": {"arguments": message["params"]["arguments"]}})
        return web.json_response(
            {"jsonrpc": "2.0", "id": number, "error": {"code": -32601, "message": "no"}}, status=404
        )


def result(number: Any, said: Mapping[str, Any], **options: Any) -> web.Response:
    return web.json_response({"jsonrpc": "2.0", "id": number, "result": said}, **options)


def _event(message: dict[str, Any]) -> bytes:
    return b"event: message\r\ndata: " + msgspec.json.encode({"jsonrpc": "2.0", **message}) + b"\r\n\r\n"


async def _streaming(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    return response


Behaviour = Callable[[web.Request, dict[str, Any], Recorder], Awaitable[web.StreamResponse]]


async def stream(request: web.Request, message: dict[str, Any], recorder: Recorder) -> web.StreamResponse:
    response = await _streaming(request)
    await response.write(b": hello\n\nid: 1\ndata:\n\n")
    await response.write(_event({"method": "notifications/progress", "params": {"progress": 1}}))
    answer = _event({"id": message["id"], "result": {"content": [], "structuredContent": {"from": "stream"}}})
    await response.write(answer[:20])
    await response.write(answer[20:])
    return response


async def asks(request: web.Request, message: dict[str, Any], recorder: Recorder) -> web.StreamResponse:
    response = await _streaming(request)
    await response.write(_event({"id": "q", "method": "elicitation/create", "params": {}}))
    await response.write(_event({"method": "notifications/tools/list_changed"}))
    await response.write(_event({"id": message["id"], "result": {"content": []}}))
    return response


async def asks_without_end(request: web.Request, message: dict[str, Any], recorder: Recorder) -> web.StreamResponse:
    response = await _streaming(request)
    await response.write(b"".join(_event({"id": number, "method": "ping"}) for number in range(1000)))
    await response.write(_event({"id": message["id"], "result": {"content": []}}))
    return response


async def cut_stream(request: web.Request, message: dict[str, Any], recorder: Recorder) -> web.StreamResponse:
    response = await _streaming(request)
    await response.write(_event({"method": "notifications/message", "params": {}}))
    return response


async def huge_stream(request: web.Request, message: dict[str, Any], recorder: Recorder) -> web.StreamResponse:
    response = await _streaming(request)
    await response.write(b"data: ")
    for _ in range(20):
        await response.write(b"x" * 1_000_000)
    return response


async def reset(request: web.Request, message: dict[str, Any], recorder: Recorder) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def cut(request: web.Request, message: dict[str, Any], recorder: Recorder) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"jsonrpc":"2.0",')
    return await reset(request, message, recorder)


async def hang(request: web.Request, message: dict[str, Any], recorder: Recorder) -> web.StreamResponse:
    try:
        await asyncio.sleep(60)
    finally:
        recorder.closed.set()
    return web.Response()


async def huge(request: web.Request, message: dict[str, Any], recorder: Recorder) -> web.StreamResponse:
    return result(message["id"], {"content": [], "text": "x" * 20_000_000})


async def zipped(request: web.Request, message: dict[str, Any], recorder: Recorder) -> web.StreamResponse:
    body = gzip.compress(b'{"jsonrpc":"2.0","id":%d,"result":{}}' % message["id"])
    return web.Response(body=body, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})


async def wrong_id(request: web.Request, message: dict[str, Any], recorder: Recorder) -> web.StreamResponse:
    return result(message["id"] + 1, {})


async def text_id(request: web.Request, message: dict[str, Any], recorder: Recorder) -> web.StreamResponse:
    return result(str(message["id"]), {})


async def error(request: web.Request, message: dict[str, Any], recorder: Recorder) -> web.StreamResponse:
    said = {"code": -32602, "message": "no such thing", "data": {"a": 1}}
    return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": said}, status=400)


async def cookie(request: web.Request, message: dict[str, Any], recorder: Recorder) -> web.StreamResponse:
    return result(message["id"], {"content": []}, headers={"Set-Cookie": "a=b; Path=/"})


async def redirect(request: web.Request, message: dict[str, Any], recorder: Recorder) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": "/mcp"})


def _plain(status: int, body: bytes, form: str = "application/json") -> Behaviour:
    async def behave(request: web.Request, message: dict[str, Any], recorder: Recorder) -> web.StreamResponse:
        return web.Response(status=status, body=body.replace(b"ID", b"%d" % message["id"]), content_type=form)

    return behave


BEHAVIOURS: dict[str, Behaviour] = {
    "stream": stream,
    "asks": asks,
    "asks_without_end": asks_without_end,
    "cut_stream": cut_stream,
    "huge_stream": huge_stream,
    "reset": reset,
    "cut": cut,
    "hang": hang,
    "huge": huge,
    "zipped": zipped,
    "wrong_id": wrong_id,
    "text_id": text_id,
    "error": error,
    "cookie": cookie,
    "redirect": redirect,
    "accepted": _plain(202, b""),
    "forbidden": _plain(403, b"{}"),
    "broken": _plain(500, b"oops", "text/plain"),
    "html": _plain(200, b"<html>", "text/html"),
    "not_json": _plain(200, b"{"),
    "batch": _plain(200, b'[{"jsonrpc":"2.0","id":ID,"result":{}}]'),
    "no_result": _plain(200, b'{"jsonrpc":"2.0","id":ID}'),
    "no_object": _plain(200, b'{"jsonrpc":"2.0","id":ID,"result":[]}'),
    "other_version": _plain(200, b'{"jsonrpc":"1.0","id":ID,"result":{}}'),
    "not_utf8": _plain(200, b'{"jsonrpc":"2.0","id":ID,"result":{"a":"\xff"}}'),
    "deep": _plain(200, b'{"jsonrpc":"2.0","id":ID,"result":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"),
}
