"""The tool server of the benchmarks: raw ASGI, both generations of MCP, as fast as Python gives. `PORT`.

It counts the calls it gets and remembers the digest of each one's arguments as they came: `GET /seen` tells both and
begins anew. That is how a run knows that every call was sent, once, unchanged. `/mcp` is the order desk; `/shelf/N` is
the same desk with N plain tools more. `GET /last` tells the last call's `Authorization` and arguments.
"""

import hashlib
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from typing import Any

import msgspec
import uvicorn
from msgspec import Raw, Struct

from bench import tools

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
SHELF = "/shelf/"


class _Params(Struct, frozen=True):
    name: str = ""
    arguments: Raw = Raw(b"{}")


class _Request(Struct):
    method: str = ""
    id: Raw = Raw(b"null")
    params: _Params = _Params()


class _Arguments(Struct):
    serial: int
    customer: str


_REQUEST = msgspec.json.Decoder(_Request)
_ARGUMENTS = msgspec.json.Decoder(_Arguments)
_CAPABILITIES = {"tools": {"listChanged": False}}
_META = {"io.modelcontextprotocol/serverInfo": tools.SERVER}
_LISTED = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
_ANSWERS: dict[str, dict[str, Any]] = {
    "server/discover": {
        "supportedVersions": [MODERN],
        "capabilities": _CAPABILITIES,
        "instructions": "Orders are found by customer; write only what the customer asked for.",
        "_meta": _META,
        **_LISTED,
    },
    "initialize": {"protocolVersion": LEGACY, "capabilities": _CAPABILITIES, "serverInfo": tools.SERVER},
    "ping": {},
}


@cache
def _listed(shelf: int) -> dict[str, Any]:
    return {"tools": tools.tools(shelf), **_LISTED}


class Desk:
    """The server. `seen` are the SHA-256 of the arguments of every call since the last question."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self._last: dict[str, str] = {}

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        event = await receive()
        body = event["body"]
        while event["more_body"]:
            event = await receive()
            body += event["body"]
        status, answer = self._answered(scope, body)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def remember(self, arguments: bytes) -> None:
        """Note one call's arguments."""
        self.seen.append(hashlib.sha256(arguments).digest())

    def _answered(self, scope: MutableMapping[str, Any], body: bytes) -> tuple[int, bytes]:
        if scope["path"] == "/seen":
            return 200, self._told()
        if scope["path"] == "/last":
            return 200, msgspec.json.encode(self._last)
        if scope["method"] != "POST":  # no stream, and no session to end
            return 405, b""
        answer = self._answer(body, scope)
        return (200 if answer else 202), answer

    def _answer(self, body: bytes, scope: MutableMapping[str, Any]) -> bytes:
        request, path = _REQUEST.decode(body), scope["path"]
        if request.method == "tools/call":
            arguments = bytes(request.params.arguments)
            self.remember(arguments)
            self._last = {"arguments": arguments.decode(), "authorization": _authorization(scope)}
            asked = _ARGUMENTS.decode(arguments)
            result = tools.result(asked.serial, asked.customer)
        elif request.method == "tools/list":
            result = _listed(int(path.rpartition("/")[2]) if path.startswith(SHELF) else 0)
        elif request.method in _ANSWERS:
            result = _ANSWERS[request.method]
        else:
            return b""
        return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (bytes(request.id), msgspec.json.encode(result))

    def _told(self) -> bytes:
        seen, self.seen = self.seen, []
        return msgspec.json.encode({"calls": len(seen), "arguments": digest_of(seen)})


def _authorization(scope: MutableMapping[str, Any]) -> str:
    return str(next((value.decode() for name, value in scope["headers"] if name == b"authorization"), ""))


def digest_of(seen: list[bytes]) -> str:
    """One digest for many, whatever their order."""
    return hashlib.sha256(b"".join(sorted(seen))).hexdigest()


if __name__ == "__main__":
    uvicorn.run(
        Desk(),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="error",
        server_header=False,
        date_header=False,
    )
