"""One connection to a tool server: a request and its answer, then perhaps another.

Rules: a request is written once, and nothing else is written while it is under way. What the server says unasked, or
after the end of an answer, or that is not HTTP/1.1 to the letter, closes the connection; so does an answer nobody reads
to its end. Interim answers (1xx) and trailers are read over. What frames a body is bounded as a head is.

Body bytes wait in the answer up to a bound, then the connection is not read until they were taken. A large request
goes out as the server takes it, and its answer is read meanwhile; where that ends first, the connection is closed.
"""

import asyncio
import select
from typing import Final, Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from remit.edge.upstream.http1_response import Fault, Headers, Response
from remit.edge.upstream.message import not_mcp
from remit.errors import UpstreamFault

# A head, or what comes between two bytes of a body. Servers bound theirs at 8 to 64 KiB.
HEAD_BYTES_MAX: Final = 64 * 1024
# Waiting to be read, beyond which no more is; one read of the event loop (256 KiB) may come on top.
HELD_BYTES_MAX: Final = 256 * 1024
PIECE_BYTES: Final = 64 * 1024
_INTERIM_BELOW: Final = 200
_SWITCHING: Final = 101
_STATUS_MIN: Final = 100
_NOTHING: Final = memoryview(b"")


class Keeper(Protocol):
    """Whoever a connection belongs to."""

    def rest(self, connection: "Connection") -> None:
        """It can be asked again."""
        ...

    def lost(self, connection: "Connection") -> None:
        """It is gone."""
        ...


class Connection(asyncio.Protocol):
    """`origin` is whatever its keeper knows it by."""

    def __init__(self, keeper: Keeper, origin: tuple[str, str, int]) -> None:
        self.origin = origin
        self._keeper = keeper
        self._transport: asyncio.Transport
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._readable = select.poll()
        self._response: Response | None = None
        self._unsent = _NOTHING
        self._full = False
        self._paused = False
        self._reset()

    def _reset(self) -> None:
        """Before each answer."""
        self._found: dict[bytes, bytes] = {}
        self._head_bytes = 0
        self._barren_bytes = 0
        self._body_bytes = 0
        self._whole = False
        self._until_close = False
        self._again = False

    def closing(self) -> bool:
        return self._transport.is_closing()

    def quiet(self) -> bool:
        """Whether it is open and nothing has arrived on it, not even what the event loop has yet to look at."""
        return not self._transport.is_closing() and not self._readable.poll(0)

    async def ask(self, head: bytes, body: bytes) -> Response:
        """Write a request and wait for the head of its answer. Raises `UpstreamFault(sent=True)`."""
        self._reset()
        response = self._response = Response(self)
        if len(body) <= PIECE_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._unsent = memoryview(body)
            self._push()
        try:
            await response.begun()
        except BaseException:
            response.close()
            raise
        return response

    def drained(self) -> None:
        if self._paused:
            self._paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def abort(self, fault: Fault | None = None) -> None:
        """Give the connection up. An answer under way fails with `fault`, or as one of a connection that broke."""
        response, self._response = self._response, None
        self._unsent = _NOTHING
        if response is not None:
            response.end(fault or broken)
        if not self._transport.is_closing():
            self._transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # what the protocol of a stream is given
        self._readable.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        response, before = self._response, self._body_bytes
        if response is None or self._parser is None:
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self.abort(_not_http)
            return
        self._barren_bytes = 0 if self._body_bytes > before else self._barren_bytes + len(data)
        if self._whole:
            self._done(response)
        elif self._barren_bytes > HEAD_BYTES_MAX:
            self.abort(_not_http)
        else:
            if response.held > HELD_BYTES_MAX and not self._paused:
                self._paused = True
                self._transport.pause_reading()
            if response.status:
                response.wake()

    def eof_received(self) -> None:
        if self._response is not None and self._until_close:
            self._done(self._response)
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None:
            self.eof_received()
        self.abort()
        self._parser = None  # it holds on to us
        self._keeper.lost(self)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._push()

    # What the parser calls. Whatever is raised here is a `HttpParserError` to the one who feeds it.

    def on_message_begin(self) -> None:
        if self._whole:
            raise ValueError("something follows the answer")
        self._found = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._response is None or self._response.status:
            return  # a trailer
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_BYTES_MAX:
            raise ValueError("the head is too long")
        name, value = name.lower(), value.strip(b" \t")
        before = self._found.get(name)
        self._found[name] = value if before is None else before + b", " + value

    def on_headers_complete(self) -> None:
        if self._response is None or self._parser is None:
            raise ValueError("nobody asked")
        status = self._parser.get_status_code()
        if status < _STATUS_MIN or status == _SWITCHING:
            raise ValueError("no status to go on with")
        if status < _INTERIM_BELOW:
            return
        coded = self._found.get(b"transfer-encoding")
        if coded is not None and coded.lower() != b"chunked":
            raise ValueError("a transfer coding we did not ask for")
        self._until_close = coded is None and b"content-length" not in self._found
        self._again = self._parser.should_keep_alive()
        self._response.begin(status, Headers(self._found))

    def on_body(self, part: bytes) -> None:
        if self._response is not None:
            self._body_bytes += len(part)
            self._response.take(part)

    def on_message_complete(self) -> None:
        self._whole = self._response is not None and self._response.status > 0

    # Within.

    def _push(self) -> None:
        """Write as much of the request's body as the server takes."""
        while self._unsent and not self._full and not self._transport.is_closing():
            piece, self._unsent = self._unsent[:PIECE_BYTES], self._unsent[PIECE_BYTES:]
            self._transport.write(piece)

    def _done(self, response: Response) -> None:
        """The answer is whole."""
        self._response = None
        response.end(None)
        self.drained()
        if self._again and not self._transport.get_write_buffer_size():
            self._keeper.rest(self)
        else:
            self.abort()


def broken() -> UpstreamFault:
    return UpstreamFault("the connection to the tool server broke", sent=True)


def _not_http() -> UpstreamFault:
    return not_mcp("the tool server's answer is not HTTP")
