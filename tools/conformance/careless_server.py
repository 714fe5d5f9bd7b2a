"""The SDK's test server with its guard down: `careless.py DIRECTORY PORT`.

It believes every request. Host and origin are not looked at, the headers that have to agree with the body are made from
the body, and whatever it refuses after that it refuses with HTTP 200.
"""

import importlib
import json
import sys
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import uvicorn

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

VERSION = "io.modelcontextprotocol/protocolVersion"
OWN = (b"host", b"origin", b"mcp-method", b"mcp-name", b"mcp-protocol-version")


def believed(headers: list[tuple[bytes, bytes]], body: bytes, *, host: str) -> list[tuple[bytes, bytes]]:
    """A request's headers as they would be if they agreed with its body."""
    try:
        message = json.loads(body)
        params = message.get("params") or {}
    except (ValueError, AttributeError):
        message, params = {}, {}
    made = {
        b"host": host,
        b"mcp-method": message.get("method"),
        b"mcp-name": params.get("uri") or params.get("name"),
        b"mcp-protocol-version": (params.get("_meta") or {}).get(VERSION),
    }
    kept = [(name, value) for name, value in headers if name not in OWN and not name.startswith(b"mcp-param-")]
    return [*kept, *((name, str(value).encode()) for name, value in made.items() if value), *mirrored(params)]


def mirrored(params: Any) -> Iterator[tuple[bytes, bytes]]:
    """A header for each argument that is text, whether the tool asks for it or not."""
    for name, value in (params.get("arguments") or {}).items():
        if isinstance(value, str):
            yield f"mcp-param-{name}".encode(), f"=?base64?{b64encode(value.encode()).decode()}?=".encode()


def careless(app: Any, *, host: str) -> Any:
    async def serve(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return waiting.pop() if waiting else await receive()

        async def agree(message: Message) -> None:
            await send({**message, "status": 200} if message["type"] == "http.response.start" else message)

        await app({**scope, "headers": believed(scope["headers"], body, host=host)}, again, agree)

    return serve


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    server = importlib.import_module("mcp_everything_server.server").mcp
    host = f"127.0.0.1:{sys.argv[2]}"
    app = careless(server.streamable_http_app(), host=host)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error")


if __name__ == "__main__":
    main()
