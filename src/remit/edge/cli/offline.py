"""The people's door in this process, for when no gateway runs: it holds the store's lock for one request."""

import asyncio
import os
from typing import Any, Final
from urllib.parse import unquote

from remit.app import offline
from remit.edge.cli.home import Home
from remit.edge.serving import PEER_UID

_HEADERS: Final = [(b"host", b"localhost"), (b"content-type", b"application/json")]


def ask(home: Home, method: str, *, path: str, body: bytes | None) -> tuple[int, bytes]:
    """One request and its answer: status and body."""
    return asyncio.run(_ask(home, method, path=path, body=body or b""))


async def _ask(home: Home, method: str, *, path: str, body: bytes) -> tuple[int, bytes]:
    async with offline(home.root) as app:
        answer = _Answer(body)
        await app(_scope(method, path), answer.receive, answer.send)
        return answer.status, bytes(answer.body)


def _scope(method: str, path: str) -> dict[str, Any]:
    raw, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(raw),
        "raw_path": raw.encode(),
        "query_string": query.encode(),
        "headers": _HEADERS,
        "extensions": {PEER_UID: os.getuid()},
    }


class _Answer:
    def __init__(self, given: bytes) -> None:
        self._given: bytes | None = given
        self.status = 500
        self.body = bytearray()

    async def receive(self) -> dict[str, Any]:
        if self._given is None:
            return {"type": "http.disconnect"}
        given, self._given = self._given, None
        return {"type": "http.request", "body": given, "more_body": False}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.body += message.get("body", b"")
