"""The load: callers that each hold one connection, and a call on it whenever it is time for one.

Unpaced, a caller sends the next call when the last one is answered. Paced, calls fall due evenly in time and the next
free caller makes each; a call that finds none free waits, and its wait counts. A call is a `tools/call` of the modern
revision with arguments nobody used before. Its answer counts only when it is HTTP 200, carries the call's id, is a
result, is no error and holds the call's serial: a refusal stops the run. Latency is from the request's write (paced:
from when it fell due) to the whole answer, in nanoseconds.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from bench import tools
from bench.upstream import LEGACY, MODERN

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
_LONGEST_S: Final = 60.0
_PLAIN: Final = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
_LEGACY_HEADERS: Final = {**_PLAIN, "MCP-Protocol-Version": LEGACY}


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


class Calls(NamedTuple):
    """What is called: a tool, with so many lines in its arguments. `headers` are those of a caller, in turn. `legacy`
    leaves out what the older revision does not know, for a server that needs no session.
    """

    tool: str
    headers: Sequence[Mapping[str, str]] = ({},)
    lines: int = 0
    legacy: bool = False


class Pace(NamedTuple):
    """How calls follow each other: so many callers; `per_s` paces them, None lets each go on at once. Seconds.
    Measuring goes on until `least` calls were answered, but not for ever.
    """

    callers: int
    warm_s: float
    measure_s: float
    per_s: float | None = None
    least: int = 1


class Load:
    """One run of calls against one place. `serials` gives each call its number; `sent` are those taken, by headers."""

    def __init__(self, place: Place, calls: Calls, *, serials: Iterator[int]) -> None:
        self.sent: tuple[list[int], ...] = tuple([] for _ in calls.headers)
        self.answered = 0
        self.recording = False
        self.stopping = False
        self.latencies: list[int] = []
        self.wrong: Wrong | None = None
        self.idle: deque[_Caller] = deque()
        self.due: deque[int] = deque()
        self.paced = False
        self._serials = serials
        self._place = place
        self.lines = calls.lines
        self._requests = [_request(place, calls, headers) for headers in calls.headers]

    async def run(self, pace: Pace, usage: Callable[[], float]) -> Window:
        """Call for a while. Raises `Wrong` for the first answer that is not one."""
        loop = asyncio.get_running_loop()
        self.paced = pace.per_s is not None
        ends: list[asyncio.Future[None]] = []
        for number in range(pace.callers):
            end = loop.create_future()
            made = partial(_Caller, self, end, number=number % len(self._requests))
            await loop.create_connection(made, "127.0.0.1", self._place.port)
            ends.append(end)
        pacing = asyncio.create_task(self._fall_due(pace.per_s or 0.0))
        await asyncio.sleep(pace.warm_s)
        before, own, began = usage(), time.thread_time(), time.perf_counter()
        self.recording = True
        await asyncio.sleep(pace.measure_s)
        due = began + _LONGEST_S
        while len(self.latencies) < pace.least and not self.stopping and time.perf_counter() < due:  # noqa: ASYNC110
            await asyncio.sleep(pace.measure_s / 4)
        self.recording = False
        window = Window(self.latencies, time.perf_counter() - began, (before, usage()), own_s=time.thread_time() - own)
        self.stopping = True
        for caller in self.idle:
            caller.end()
        await asyncio.gather(pacing, *ends)
        if self.wrong is not None:
            raise self.wrong
        return window

    def next_request(self, number: int) -> tuple[int, bytes]:
        """The next call under headers `number`: its serial, and its bytes."""
        serial = next(self._serials)
        self.sent[number].append(serial)
        head, middle, tail = self._requests[number]
        return serial, b"%b%d%b%b%b" % (head, serial, middle, tools.arguments(serial, self.lines), tail)

    async def _fall_due(self, per_s: float) -> None:
        """Hand out the calls that are due, as often as timers allow: every millisecond."""
        began, handed = time.perf_counter(), 0
        while self.paced and not self.stopping:
            due = int((time.perf_counter() - began) * per_s)
            for _ in range(due - handed):
                if self.idle:
                    self.idle.popleft().call(time.perf_counter_ns())
                else:
                    self.due.append(time.perf_counter_ns())
            handed = due
            await asyncio.sleep(0.001)

    def body_of(self, data: bytes) -> int | None:
        """Where the body of a whole answer begins; None while it is not whole."""
        end = data.find(_END)
        length = _LENGTH.search(data, 0, end + 2) if end >= 0 else None
        if length is None:
            return None
        return end + 4 if len(data) >= end + 4 + int(length[1]) else None

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
    def __init__(self, load: Load, end: asyncio.Future[None], *, number: int) -> None:
        self._load, self._end, self._number = load, end, number
        self._buffer = b""
        self._serial = 0
        self._began = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._go_on()

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        body = self._load.body_of(data)
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
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._end.done():
            self._fail(Wrong(f"the connection broke while call {self._serial} ran: {exc}"))

    def call(self, began: int) -> None:
        """Make the next call; its latency counts from `began`, in nanoseconds of the performance counter."""
        self._serial, request = self._load.next_request(self._number)
        self._began = began
        self._transport.write(request)

    def end(self) -> None:
        """Nothing more will be called."""
        if not self._end.done():
            self._end.set_result(None)
            self._transport.close()

    def _go_on(self) -> None:
        load = self._load
        if load.stopping:
            self.end()
        elif not load.paced:
            self.call(time.perf_counter_ns())
        elif load.due:
            self.call(load.due.popleft())
        else:
            load.idle.append(self)

    def _fail(self, wrong: Wrong) -> None:
        self._load.wrong = self._load.wrong or wrong
        self._load.stopping = True
        self.end()


def request_of(tool: str, serial: int, headers: Mapping[str, str]) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """One request's body, and its headers as an ASGI server gives them."""
    body = b"".join(_body(tool, serial, lines=0))
    sent = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **_headers(tool), **headers}
    return body, [(name.lower().encode(), value.encode()) for name, value in sent.items()]


def _request(place: Place, calls: Calls, headers: Mapping[str, str]) -> tuple[bytes, bytes, bytes]:
    """What stands before a request's id, between id and arguments, and after them."""
    before, _, middle, arguments, tail = _body(calls.tool, tools.SERIALS[0], lines=calls.lines)
    tail = b"}}" if calls.legacy else tail
    length = sum(map(len, (before, b"%d" % tools.SERIALS[0], middle, arguments, tail)))
    named = _LEGACY_HEADERS if calls.legacy else _headers(calls.tool)
    sent = {"Host": f"127.0.0.1:{place.port}", "Content-Length": str(length), **named, **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"POST {place.path} HTTP/1.1\r\n{lines}\r\n".encode() + before, middle, tail


def rendered(calls: Calls, arguments: Mapping[str, object]) -> tuple[bytes, dict[str, str]]:
    """One call with arguments of one's own: its body and headers, those of the first caller among them."""
    before, serial, middle, _, tail = _body(calls.tool, tools.SERIALS[0], lines=0)
    body = b"".join((before, serial, middle, msgspec.json.encode(arguments), b"}}" if calls.legacy else tail))
    return body, {**(_LEGACY_HEADERS if calls.legacy else _headers(calls.tool)), **calls.headers[0]}


def _headers(tool: str) -> dict[str, str]:
    return {**_PLAIN, "MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": tool}


def _body(tool: str, serial: int, *, lines: int) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """Before the id, the id, up to the arguments, the arguments, the rest."""
    return (
        b'{"jsonrpc":"2.0","id":',
        b"%d" % serial,
        b',"method":"tools/call","params":{"name":%b,"arguments":' % msgspec.json.encode(tool),
        tools.arguments(serial, lines),
        b',"_meta":%b}}' % _META,
    )
