"""An answer is the same in whatever pieces it arrives, and nothing outlives its connection."""

import asyncio
import gc
import socket
import weakref
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings, strategies as st

from remit.edge.upstream.http1_connection import Connection
from remit.edge.upstream.http1_response import Response
from remit.errors import UpstreamFault
from tests.upstream.http1_server import OK, answering, post, serving, whole
from tests.upstream.test_http1 import ANSWERS, NOT_HTTP
from tests.upstream.test_streams import CUTS, pieces


class Transport(asyncio.Transport):
    """A connection without a network. `written` is what was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self._ends = socket.socketpair()
        self._closed = False
        self.reading = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._ends[0]

    def is_closing(self) -> bool:
        return self._closed

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self._closed = True
        for end in self._ends:
            end.close()


class Keeper:
    """`resting` and `gone` are the connections it was told of."""

    def __init__(self) -> None:
        self.resting: list[Connection] = []
        self.gone: list[Connection] = []

    def rest(self, connection: Connection) -> None:
        self.resting.append(connection)

    def lost(self, connection: Connection) -> None:
        self.gone.append(connection)


Read = tuple[int, dict[str, str], bytes, bool] | str


async def read(parts: Sequence[bytes], *, ends: bool) -> Read:
    """What a reader makes of an answer that comes in these pieces, and whether the connection can be used again."""
    keeper, transport = Keeper(), Transport()
    connection = Connection(keeper, ("http", "a", 80))
    connection.connection_made(transport)
    asking = asyncio.ensure_future(connection.ask(b"POST / HTTP/1.1\r\n\r\n", b"body"))
    await asyncio.sleep(0)
    assert transport.written == b"POST / HTTP/1.1\r\n\r\nbody"
    for part in parts:
        connection.data_received(part)
        if transport.is_closing() or keeper.resting:
            break
    if ends:
        connection.eof_received()
    try:
        response: Response = await asking
        body = await whole(response)
        return response.status, dict(response.headers), body, bool(keeper.resting)
    except UpstreamFault as fault:
        assert keeper.resting == []
        return str(fault)
    finally:
        transport.abort()
        connection.connection_lost(None)
        assert keeper.gone == [connection]


def as_one(parts: Sequence[bytes], *, ends: bool) -> Read:
    return asyncio.run(read(parts, ends=ends))


names = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,7}", fullmatch=True).filter(
    lambda name: name.lower() not in {"connection", "upgrade", "proxy-connection"}
)
values = st.from_regex(r"[!-~]([ -~]{0,9}[!-~])?", fullmatch=True)
bodies = st.lists(st.binary(min_size=1, max_size=40), max_size=4)


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, bool, int, dict[str, str], bytes]:
    """An answer as bytes, whether the connection ends with it, and what there is in it."""
    status = draw(st.integers(200, 599).filter(lambda code: code not in (204, 304)))
    headers = draw(st.dictionaries(names.map(str.lower), values, max_size=4))
    parts, framing = draw(bodies), draw(st.sampled_from(["length", "chunked", "end"]))
    body = b"".join(parts)
    framed = body
    if framing == "length":
        headers["content-length"] = str(len(body))
    elif framing == "chunked":
        headers["transfer-encoding"] = "chunked"
        framed = b"".join(b"%x;e\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\nT: t\r\n\r\n"
    head = f"HTTP/1.1 {status} reason\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    interim = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102 P\r\nA: b\r\n\r\n"]))
    return interim + head.encode() + b"\r\n" + framed, framing == "end", status, headers, body


@settings(deadline=None, max_examples=100)
@given(answers(), CUTS)
def test_any_answer_is_read_as_it_was_meant_however_it_is_cut(
    answer: tuple[bytes, bool, int, dict[str, str], bytes], cuts: list[int]
) -> None:
    data, ends, status, headers, body = answer
    assert as_one(pieces(data, cuts), ends=ends) == (status, headers, body, not ends)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from([*ANSWERS]), CUTS, st.integers(1, 300))
def test_of_an_answer_cut_short_no_end_is_made_up(name: str, cuts: list[int], missing: int) -> None:
    short = ANSWERS[name][0][:-missing]
    found = as_one(pieces(short, cuts), ends=True)
    _, headed, body = short.partition(b"\r\n\r\n")
    if name == "to-the-end" and headed:
        assert found == (200, {}, body, False)
    else:
        assert found == "the connection to the tool server broke"


# Cut after its end, what follows an answer would come to a connection that rests.
COMPLETE = ("more-follows", "another-follows", "follows-the-farewell")


@settings(deadline=None, max_examples=100)
@given(st.sampled_from([name for name, data in NOT_HTTP.items() if len(data) < 500]), CUTS)
def test_what_is_not_http_is_never_an_answer_to_use_the_connection_after(name: str, cuts: list[int]) -> None:
    data = NOT_HTTP[name]
    found = as_one([data] if name in COMPLETE else pieces(data, cuts), ends=False)
    assert found == "the tool server's answer is not HTTP"


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=80), CUTS)
def test_whatever_bytes_come_there_is_an_answer_or_a_fault(data: bytes, cuts: list[int]) -> None:
    found = as_one(pieces(b"HTTP/1.1 " + data, cuts), ends=True)
    assert isinstance(found, str | tuple)


async def test_a_connection_that_was_not_read_for_a_while_is_before_it_rests() -> None:
    keeper, transport = Keeper(), Transport()
    connection = Connection(keeper, ("http", "a", 80))
    connection.connection_made(transport)
    asking = asyncio.ensure_future(connection.ask(b"POST / HTTP/1.1\r\n\r\n", b""))
    await asyncio.sleep(0)
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 999_999)
    assert not transport.reading
    connection.data_received(b"x")  # TLS may have had it already
    assert (keeper.resting, transport.reading) == ([connection], True)
    assert await whole(await asking) == b"x" * 1_000_000
    transport.abort()


async def test_bytes_that_nobody_asked_for_end_a_connection() -> None:
    transport = Transport()
    connection = Connection(Keeper(), ("http", "a", 80))
    connection.connection_made(transport)
    assert connection.quiet()
    connection.data_received(OK)
    assert transport.is_closing()
    assert not connection.quiet()


async def test_a_connection_that_ended_leaves_nothing_to_the_garbage_collector() -> None:
    async with serving(answering(OK, close=True)) as (pool, server):
        gc.disable()
        try:
            response = await post(pool, server)
            (connection,) = [weakref.ref(one) for one in pool._open]
            await whole(response)
            while pool._open:  # noqa: ASYNC110 - the server closes it, and it goes in the loop's next turns
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert connection() is None
        finally:
            gc.enable()
