"""A tool server in a process of its own that writes down what reaches it before it answers. Loopback or stdio.

`recorder.py DIR` serves MCP 2026-07-28 over HTTP and prints its port; `recorder.py DIR stdio` speaks it over stdio. In
DIR:

    seen.jsonl   one line a message: when (CLOCK_MONOTONIC, ns), the method, the tool, all headers, the exact body
    oracle       one line a call: SHA-256 of the exact bytes of its arguments, fsynced before the answer is begun
    environment  the process's environment as JSON

Every tool answers with its arguments, `slow` after a while. Who opens a session waits while DIR holds a file `hold`.
"""

import asyncio
import json
import os
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

SLOW_S = 0.3
TOOLS = ("echo", "add", "slow", "wipe")


class Params(msgspec.Struct):
    name: str = ""
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class Message(msgspec.Struct):
    method: str
    id: Any = None
    params: Params | None = None


class Recorder:
    def __init__(self, directory: Path) -> None:
        self._hold = directory / "hold"
        self._seen = (directory / "seen.jsonl").open("a", buffering=1)
        self._oracle = os.open(directory / "oracle", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        (directory / "environment").write_text(json.dumps(dict(os.environ)))

    async def answer(self, body: bytes, headers: list[tuple[str, str]]) -> dict[str, Any] | None:
        """The response to a message, None to a notification; what came is on disk first."""
        at = time.monotonic_ns()
        message = msgspec.json.decode(body, type=Message)
        params = message.params or Params()
        seen = {"at": at, "method": message.method, "tool": params.name, "headers": headers, "body": body.decode()}
        self._seen.write(json.dumps(seen) + "\n")
        if message.id is None:
            return None
        if message.method == "tools/call":
            os.write(self._oracle, sha256(bytes(params.arguments)).hexdigest().encode() + b"\n")
            os.fsync(self._oracle)
            return await self._called(message.id, params)
        while message.method == "server/discover" and self._hold.exists():  # noqa: ASYNC110 - a test decides when
            await asyncio.sleep(0.01)
        return {"jsonrpc": "2.0", "id": message.id, **_listed(message.method)}

    async def _called(self, number: Any, params: Params) -> dict[str, Any]:
        if params.name == "slow":
            await asyncio.sleep(SLOW_S)
        arguments = bytes(params.arguments).decode()
        result = {"content": [{"type": "text", "text": arguments}], "structuredContent": json.loads(arguments)}
        return {"jsonrpc": "2.0", "id": number, "result": result}


def _listed(method: str) -> dict[str, Any]:
    if method == "server/discover":
        meta = {"io.modelcontextprotocol/serverInfo": {"name": "recorder", "version": "1"}}
        return {"result": {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "_meta": meta}}
    if method == "tools/list":
        properties = {"n": {"type": "integer"}, "by": {"type": "string"}, "path": {"type": "string"}}
        schema = {"type": "object", "properties": properties}
        return {"result": {"tools": [{"name": name, "inputSchema": schema} for name in TOOLS]}}
    return {"error": {"code": -32601, "message": "no such method"}}


async def over_http(recorder: Recorder) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":  # the barrier: whoever is answered knows that all that came before is on disk
            return web.Response()
        answer = await recorder.answer(await request.read(), [*request.headers.items()])
        return web.Response(status=202) if answer is None else web.json_response(answer)

    app = web.Application()
    app.router.add_route("*", "/mcp", handle)
    runner = web.AppRunner(app, handler_cancellation=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


async def over_stdio(recorder: Recorder) -> None:
    while line := await asyncio.to_thread(sys.stdin.buffer.readline):
        answer = await recorder.answer(line, [])
        if answer is not None:
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve = over_stdio if sys.argv[2:] == ["stdio"] else over_http
    asyncio.run(serve(Recorder(Path(sys.argv[1]))))
