"""The load: callers that each hold one connection and send the next call when the last one is answered.

A call is a `tools/call` of the modern revision with arguments nobody used before. Its answer counts only when it is
HTTP 200, carries the call's id, is a result, is no error and holds the call's serial: a refusal stops the run. Latency
is from the request's write to the whole answer, in nanoseconds.
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from bench import tools
from bench.upstream import MODERN

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_OK: Final = b"HTTP/1.1 200"
_END: Final = b"\r\n\r\n"
_META: Final = msgspec.json.encode(
    {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
)


class Wrong(Exception):
    """An answer that is none, or none to the call that was made."""


class _Content(Struct):
    serial: int


class _Result(Struct, rename="camel"):
    structured_content: _Content
    is_error: bool = False


class _Answer(Struct):
    id: int
    result: _Result


_ANSWER: Final = msgspec.json.Decoder(_Answer)


class Place(NamedTuple):
    """Where calls go: a port of this machine, and a path."""

    port: int
    path: str


class Window(NamedTuple):
    """What was measured between warm-up and end. `used` is what `usage` said at both ends, `own_s` the load's own CPU.

    `latencies` are nanoseconds of the calls answered inside; `seconds` its length.
    """

    latencies: list[int]
    seconds: float
    used: tuple[float, float]
    own_s: float


class Load:
    """One run of calls of one tool against one place. `serials` gives each call its number; `sent` are those taken."""

    def __init__(self, place: Place, tool: str, *, serials: Iterator[int], headers: Mapping[str, str]) -> None:
        self.sent: list[int] = []
        self.answered = 0
        self.recording = False
        self.stopping = False
        self.latencies: list[int] = []
        self.wrong: Wrong | None = None
        self._serials = serials
        self._place = place
        self._head, self._middle, self._tail = _request(place, tool, headers)

    async def run(self, callers: int, *, warm_s: float, measure_s: float, usage: Callable[[], float]) -> Window:
        """Call for a while. Raises `Wrong` for the first answer that is not one."""
        loop = asyncio.get_running_loop()
        ends: list[asyncio.Future[None]] = []
        for _ in range(callers):
            end = loop.create_future()
            await loop.create_connection(partial(_Caller, self, end), "127.0.0.1", self._place.port)
            ends.append(end)
        await asyncio.sleep(warm_s)
        before, own, began = usage(), time.thread_time(), time.perf_counter()
        self.recording = True
        await asyncio.sleep(measure_s)
        self.recording = False
        window = Window(self.latencies, time.perf_counter() - began, (before, usage()), own_s=time.thread_time() - own)
        self.stopping = True
        await asyncio.gather(*ends)
        if self.wrong is not None:
            raise self.wrong
        return window

    def next_request(self) -> tuple[int, bytes]:
        """The next call: its serial, and its bytes."""
        serial = next(self._serials)
        self.sent.append(serial)
        return serial, b"%b%d%b%b%b" % (self._head, serial, self._middle, tools.arguments(serial), self._tail)

    def check(self, answer: bytes, body: int, serial: int) -> None:
        """Raises `Wrong` unless the answer, whose body begins at `body`, is the result of call `serial`."""
        try:
            found = _ANSWER.decode(memoryview(answer)[body:])
        except msgspec.DecodeError as e:
            raise Wrong(f"call {serial} was not answered with a result: {answer[:600]!r}") from e
        if not answer.startswith(_OK) or (found.id, found.result.structured_content.serial) != (serial, serial):
            raise Wrong(f"call {serial} was answered with another's result: {answer[:600]!r}")
        if found.result.is_error:
            raise Wrong(f"call {serial} was refused or failed: {answer[:600]!r}")


class _Caller(asyncio.Protocol):
    def __init__(self, load: Load, end: asyncio.Future[None]) -> None:
        self._load, self._end = load, end
        self._buffer = b""
        self._serial = 0
        self._began = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._call()

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        body = _body_of(data)
        if body is None:
            self._buffer = data
            return
        self._buffer = b""
        took = time.perf_counter_ns() - self._began
        try:
            self._load.check(data, body, self._serial)
        except Wrong as wrong:
            self._fail(wrong)
            return
        self._load.answered += 1
        if self._load.recording:
            self._load.latencies.append(took)
        self._call()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._end.done():
            self._fail(Wrong(f"the connection broke while call {self._serial} ran: {exc}"))

    def _call(self) -> None:
        if self._load.stopping:
            self._end.set_result(None)
            self._transport.close()
            return
        self._serial, request = self._load.next_request()
        self._began = time.perf_counter_ns()
        self._transport.write(request)

    def _fail(self, wrong: Wrong) -> None:
        self._load.wrong = self._load.wrong or wrong
        self._load.stopping = True
        self._end.set_result(None)
        self._transport.close()


def _body_of(data: bytes) -> int | None:
    """Where the body of a whole answer begins; None while it is not whole."""
    end = data.find(_END)
    length = _LENGTH.search(data, 0, end + 2) if end >= 0 else None
    if length is None:
        return None
    return end + 4 if len(data) >= end + 4 + int(length[1]) else None


def request_of(tool: str, serial: int, headers: Mapping[str, str]) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """One request's body, and its headers as an ASGI server gives them."""
    body = b"".join(_body(tool, serial))
    sent = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **_headers(tool), **headers}
    return body, [(name.lower().encode(), value.encode()) for name, value in sent.items()]


def _request(place: Place, tool: str, headers: Mapping[str, str]) -> tuple[bytes, bytes, bytes]:
    """What stands before a request's id, between id and arguments, and after them."""
    before, _, middle, _, tail = parts = _body(tool, tools.SERIALS[0])
    length = sum(map(len, parts))
    sent = {"Host": f"127.0.0.1:{place.port}", "Content-Length": str(length), **_headers(tool), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"POST {place.path} HTTP/1.1\r\n{lines}\r\n".encode() + before, middle, tail


def _headers(tool: str) -> dict[str, str]:
    return {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": MODERN,
        "Mcp-Method": "tools/call",
        "Mcp-Name": tool,
    }


def _body(tool: str, serial: int) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """Before the id, the id, up to the arguments, the arguments, the rest."""
    return (
        b'{"jsonrpc":"2.0","id":',
        b"%d" % serial,
        b',"method":"tools/call","params":{"name":%b,"arguments":' % msgspec.json.encode(tool),
        tools.arguments(serial),
        b',"_meta":%b}}' % _META,
    )
