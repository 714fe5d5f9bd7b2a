"""Tool servers of every temper, each call written down before anything goes wrong with it. Loopback or stdio.

    troubled.py TEMPER DIR SEED         over stdio
    troubled.py TEMPER DIR SEED http    over HTTP; prints its port

`DIR/arrived` gets one line a call: the `n` of its arguments. What goes wrong with which call is drawn from the seed;
what the server offers is the same at every start, so that its contracts stay pinned.

    sound     answers (2026-07-28 over stdio and HTTP)
    common    answers, of the older generation with a session (HTTP)
    quits     exits at random: before, while and after it answers, also while it is asked what it offers
    hangs     never answers some calls, or stops reading for a while
    babbles   noise, half lines, oversize answers, answers twice or to nobody, questions and notifications of its own
    resets    resets connections, breaks off, answers nothing, or something that is not an answer (HTTP)
"""

import asyncio
import contextlib
import json
import os
import random
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET
from typing import Any, Final

MODERN: Final = "2026-07-28"
LEGACY: Final = "2025-11-25"
OLDER: Final = ("common", "quits", "babbles")
TOOLS: Final = ("echo", "add", "big")
BIG_BYTES: Final = 600_000
_OVERSIZE: Final = b"y" * 17 * 1024 * 1024  # no result is read that far
# What `babbles` says before its answer, each up to a percentage: the rest it keeps to itself.
_NOISES: Final = (
    (1, b""),
    (5, b"Traceback (most recent call last):\n\xff\xfe{\n\x00\x01\r\r\n"),
    (8, b'{"jsonrpc":"2.0","id":NUMBER,"result":{"content":[{"type":"te\n'),
    (11, b'{"jsonrpc":"2.0","id":NUMBER,"result":[]}\n{"jsonrpc":"1.0","id":NUMBER}\n'),
    (16, b'{"jsonrpc":"2.0","id":1000000NUMBER,"result":{}}\n'),
    (20, b'{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage"}\n' * 20),
    (24, b'{"jsonrpc":"2.0","id":{"a":[1]},"method":"ping"}\n{"jsonrpc":"2.0","id":9,"method":"ping"}\n'),
    (27, b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n' * 5),
    (30, b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"x","progress":1}}\n'),
    (32, b"[" * 100_000 + b"\n"),
)
_SCHEMA: Final = {"type": "object", "properties": {"n": {"type": "integer"}, "by": {"type": "string"}}}
_JSON: Final = "application/json"
_STREAM: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
# What `resets` may say instead of its answer, and whether it hangs up then.
_TROUBLES: Final = (
    (_STREAM + b"\r\nevent: message\ndata: HALF", True),
    (_STREAM + b"\r\n" + b": hello\n\n" * 50 + b"data: WHOLE\r\n\r\n", True),
    (_STREAM + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nno chunk", True),
    (b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops", False),
    (b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", False),
    (b"\x00\x01 no HTTP at all \xff\xfe\r\n\r\n", True),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 70\r\n\r\n{}", True),
    (b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", False),
)

Message = dict[str, Any]


class Book:
    """What arrived, and the answers to it."""

    def __init__(self, temper: str, directory: Path) -> None:
        self.older = temper in OLDER
        self._arrived = os.open(directory / "arrived", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._temper = temper

    def take(self, message: Message) -> None:
        if message.get("method") == "tools/call":
            os.write(self._arrived, b"%d\n" % message["params"]["arguments"]["n"])

    @property
    def begun(self) -> bool:
        """Whether anything was ever called; before that, the server is only looked at, and pinned."""
        return os.fstat(self._arrived).st_size > 0

    def answer(self, message: Message) -> Message | None:
        """The sound answer; None to what has none."""
        if message.get("id") is None or "method" not in message:
            return None
        return {"jsonrpc": "2.0", "id": message["id"], **self._said(message["method"], message.get("params") or {})}

    def _said(self, method: str, params: Message) -> Message:
        info = {"name": self._temper, "version": "1"}
        if method == "initialize" and self.older:
            return {"result": {"protocolVersion": LEGACY, "capabilities": {"tools": {}}, "serverInfo": info}}
        if method == "server/discover" and not self.older:
            meta = {"io.modelcontextprotocol/serverInfo": info}
            return {"result": {"supportedVersions": [MODERN], "capabilities": {"tools": {}}, "_meta": meta}}
        if method == "tools/list":
            return {"result": {"tools": [{"name": name, "inputSchema": _SCHEMA} for name in TOOLS]}}
        if method == "tools/call":
            text = "x" * BIG_BYTES if params["name"] == "big" else "done"
            return {"result": {"content": [{"type": "text", "text": text}], "structuredContent": params["arguments"]}}
        return {"error": {"code": -32601, "message": "no such method"}}


class Stdio:
    """One server on stdin and stdout."""

    def __init__(self, temper: str, book: Book, *, chance: random.Random) -> None:
        self._book = book
        self._chance = chance
        self._act: Callable[[Message, Message | None], None] = getattr(self, temper, self._say)

    def serve(self) -> None:
        for line in sys.stdin.buffer:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict):
                self._book.take(message)
                self._act(message, self._book.answer(message))

    def quits(self, message: Message, answer: Message | None) -> None:
        called = message.get("method") == "tools/call"
        if not called and self._book.begun and self._chance.random() < 0.02:
            os._exit(3)
        fate = self._chance.random() if called else 1.0
        if fate < 0.02:
            os._exit(0)
        if fate < 0.04:
            os.write(1, json.dumps(answer).encode()[:40])
            os._exit(1)
        self._say(message, answer)
        if fate < 0.06:
            os.abort()

    def hangs(self, message: Message, answer: Message | None) -> None:
        fate = self._chance.random() if message.get("method") == "tools/call" else 1.0
        if fate < 0.04:
            return
        if fate < 0.05:
            time.sleep(3)  # reads nothing meanwhile: what others of its task ask waits in the pipe
        self._say(message, answer)

    def babbles(self, message: Message, answer: Message | None) -> None:
        if message.get("method") != "tools/call":
            self._say(message, answer)
            return
        fate, written = self._chance.randrange(100), json.dumps(answer).encode()
        noise = next((noise for below, noise in _NOISES if fate < below), b"")
        self._write(noise.replace(b"NUMBER", str(message["id"]).encode()))
        if fate == 0 and self._chance.random() < 0.2:
            self._write(b'{"jsonrpc":"2.0","id":%d,"result":{"content":"%b"}}\n' % (message["id"], _OVERSIZE))
        else:
            middle = self._chance.randrange(len(written))
            self._write(written[:middle])
            self._write(written[middle:] + b"\n")
        if fate % 7 == 0:
            self._write(written + b"\n")

    def _say(self, message: Message, answer: Message | None) -> None:
        if answer is not None:
            self._write(json.dumps(answer).encode() + b"\n")

    @staticmethod
    def _write(data: bytes) -> None:
        view = memoryview(data)
        with contextlib.suppress(BrokenPipeError):
            while view:
                view = view[os.write(1, view) :]


class Http:
    """One server on a port."""

    def __init__(self, temper: str, book: Book, *, chance: random.Random) -> None:
        self._book = book
        self._chance = chance
        self._troubled = temper == "resets"
        self._session = "Mcp-Session-Id: one\r\n" if book.older else ""

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while await self._exchange(reader, writer):
                pass
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether another may follow on the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
        body = await reader.readexactly(length)
        message = json.loads(body) if body else {}
        self._book.take(message)
        answer = self._book.answer(message)
        if self._troubled and message.get("method") == "tools/call" and self._chance.random() < 0.3:
            return await self._trouble(writer, json.dumps(answer).encode())
        if answer is None:
            writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        else:
            self._respond(writer, json.dumps(answer).encode())
        await writer.drain()
        return True

    def _respond(
        self, writer: asyncio.StreamWriter, body: bytes, kind: str = "application/json", more: int = 0
    ) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{self._session}Content-Length: {len(body) + more}\r\n\r\n"
        writer.write(head.encode() + body)

    async def _trouble(self, writer: asyncio.StreamWriter, answer: bytes) -> bool:
        """Anything but an orderly answer; whether the connection is left open."""
        halves = answer[: len(answer) // 2]
        match self._chance.randrange(11):
            case 0:
                writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return False
            case 1:
                self._respond(writer, halves, more=len(answer))
                return False
            case 2:
                await asyncio.sleep(5)
                return False
            case 3:
                self._respond(writer, answer, kind=self._chance.choice(["text/html", "application/x-ndjson", "é", ""]))
            case 4:
                self._respond(writer, answer.replace(b'"id": ', b'"id": 7'))
            case _:
                whole, close = self._chance.choice(_TROUBLES)
                writer.write(whole.replace(b"HALF", halves).replace(b"WHOLE", answer))
                await writer.drain()
                return not close
        await writer.drain()
        return True


async def _over_http(server: Http) -> None:
    listening = await asyncio.start_server(server.connected, "127.0.0.1", 0, limit=2**23)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    temper, directory, seed = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    # Each start of a process draws anew, else one that died of its first call would for ever.
    drawn = random.Random(f"{seed} {temper} {os.getpid()}")
    if sys.argv[4:] == ["http"]:
        asyncio.run(_over_http(Http(temper, Book(temper, directory), chance=drawn)))
    else:
        Stdio(temper, Book(temper, directory), chance=drawn).serve()
