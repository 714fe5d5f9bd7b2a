"""Large bodies both ways: neither end makes the other hold what it cannot take."""

import asyncio
import tracemalloc
from collections.abc import Iterator

import pytest

from remit.edge.upstream.http1_connection import HELD_BYTES_MAX
from remit.edge.upstream.http1_response import Response
from remit.errors import UpstreamFault
from tests.upstream.http1_server import OK, Peer, post, serving, whole

LARGE = 10_000_000
# What the transports of either end may hold: 256 KiB of one read, 64 KiB and a piece to be written, some of each twice.
HELD_MAX = HELD_BYTES_MAX + 1_500_000
PIECE = b"x" * 50_000
ANSWERED = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


async def _large(peer: Peer) -> None:
    while True:
        await peer.request()
        await peer.say(ANSWERED)
        for _ in range(LARGE // len(PIECE)):
            await peer.say(PIECE)


async def _small_chunks(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(300):
        await peer.say(b"2\r\nhi\r\n" * 1000)
    await peer.say(b"0\r\n\r\n")
    await peer.ended()


async def _filled(response: Response) -> None:
    """Wait until an answer that nobody reads is held as far as it will be, and then a little."""
    while response.held <= HELD_BYTES_MAX:  # noqa: ASYNC110 - a number that grows
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)


async def _deaf(peer: Peer) -> None:
    """Read a request's head, and no more until the transport is told to."""
    await peer.reader.readuntil(b"\r\n\r\n")
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream's transport


def _listen(peer: Peer) -> None:
    peer.writer.transport.resume_reading()  # type: ignore[attr-defined]


def _peak() -> int:
    return tracemalloc.get_traced_memory()[1]


@pytest.mark.usefixtures("traced")
async def test_a_large_answer_waits_with_the_server_while_nobody_reads_it() -> None:
    async with serving(_large) as (pool, server):
        response = await post(pool, server)
        before = _peak()
        await _filled(response)
        assert response.held < HELD_BYTES_MAX * 3
        size = 0
        while part := await response.readany():
            size += len(part)
            await asyncio.sleep(0)
        assert size == LARGE
        assert _peak() - before < HELD_MAX
        assert await whole(await post(pool, server)) == b"x" * LARGE
        assert len(server.peers) == 1


@pytest.mark.usefixtures("traced")
async def test_an_answer_in_small_chunks_is_held_within_the_same_bound() -> None:
    async with serving(_small_chunks) as (pool, server):
        before = _peak()
        response = await post(pool, server)
        await _filled(response)
        assert _peak() - before < 3 * HELD_MAX
        assert await whole(response) == b"hi" * 300_000


async def test_a_stopped_answer_can_be_let_go_of() -> None:
    async with serving(_large) as (pool, server):
        response = await post(pool, server)
        await _filled(response)
        response.close()
        assert len(await response.readany()) > HELD_BYTES_MAX
        with pytest.raises(UpstreamFault, match="broke"):
            await response.readany()


@pytest.mark.usefixtures("traced")
async def test_a_large_request_waits_here_while_the_server_does_not_read() -> None:
    gate = asyncio.Event()
    received: list[int] = []

    async def script(peer: Peer) -> None:
        await _deaf(peer)
        await gate.wait()
        _listen(peer)
        left = LARGE
        while left:
            left -= len(await peer.reader.read(60_000))
        received.append(LARGE)
        await peer.say(OK)
        await peer.ended()

    body = b"x" * LARGE
    async with serving(script) as (pool, server):
        before = _peak()
        asking = asyncio.ensure_future(post(pool, server, body))
        await asyncio.sleep(0.2)
        assert not asking.done()
        (connection,) = pool._open
        assert connection._transport.get_write_buffer_size() < 300_000
        gate.set()
        response = await asking
        assert await whole(response) == b"hi"
        assert received == [LARGE]
        assert _peak() - before < HELD_MAX


async def test_large_requests_and_answers_pass_unchanged() -> None:
    body = bytes(range(256)) * 16_384

    async def script(peer: Peer) -> None:
        while back := await peer.request():
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(back), back)

    async with serving(script) as (pool, server):
        for sent in (body, body[:65_536], body[:65_537], body[:-1]):
            assert await whole(await post(pool, server, sent)) == sent
        assert [len(asked) for _, asked in server.asked] == [len(body), 65_536, 65_537, len(body) - 1]
        assert len(server.peers) == 1


async def _ask_unread(answer: bytes) -> tuple[Response, bool]:
    """The response to a request whose body the server does not read, and whether the connection was ended after it."""
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await _deaf(peer)
        await peer.say(answer)
        await asyncio.sleep(0.2)
        _listen(peer)
        while await peer.reader.read(1_000_000):
            pass
        ended.set()

    async with serving(script) as (pool, server):
        response = await post(pool, server, b"x" * LARGE)
        assert await whole(response) == b"too"
        await asyncio.wait_for(ended.wait(), 10)
        assert not pool._resting
        return response, ended.is_set()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\ntoo",
        b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\ntoo",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\ntoo",
    ],
)
async def test_a_server_that_answers_early_is_heard_and_told_no_more(answer: bytes) -> None:
    response, ended = await _ask_unread(answer)
    assert (response.status, ended) == (413, True)


async def test_an_early_answer_to_the_end_of_the_connection_ends_the_request_too() -> None:
    async def script(peer: Peer) -> None:
        await _deaf(peer)
        await peer.say(b"HTTP/1.1 413 Too Large\r\n\r\ntoo")
        peer.writer.write_eof()
        await asyncio.sleep(60)

    async with serving(script) as (pool, server):
        response = await post(pool, server, b"x" * LARGE)
        assert await whole(response) == b"too"
        while pool._open:  # noqa: ASYNC110 - the connection goes in the loop's next turns
            await asyncio.sleep(0)


@pytest.mark.holds("INV-01-ONCE")
async def test_a_large_request_cut_off_counts_as_sent_and_is_not_repeated() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.reader.read(100_000)
        peer.writer.transport.abort()

    async with serving(script) as (pool, server):
        with pytest.raises(UpstreamFault, match="broke") as fault:
            await post(pool, server, b"x" * LARGE)
        assert fault.value.sent
        assert len(server.peers) == 1


async def test_a_large_request_can_be_cancelled() -> None:
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await _deaf(peer)
        await going.wait()
        _listen(peer)
        while await peer.reader.read(1_000_000):
            pass
        ended.set()

    going = asyncio.Event()
    async with serving(script) as (pool, server):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await post(pool, server, b"x" * LARGE)
        going.set()
        await asyncio.wait_for(ended.wait(), 10)
        assert not pool._resting
