"""HTTP/1.1 with a server that does what it likes."""

import asyncio
import contextlib
import socket
from typing import Any

import pytest
from aiohappyeyeballs import start_connection
from yarl import URL

from remit.edge.upstream import http1
from remit.edge.upstream.http1 import Pool
from remit.edge.upstream.http1_connection import HEAD_BYTES_MAX
from remit.errors import UpstreamFault
from tests.upstream.http1_server import OK, Peer, Scripted, answering, post, serving, whole

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
# What is answered, whether the connection ends then, and the body there is in it.
ANSWERS = {
    "length": (OK, False, b"hi"),
    "empty": (HEAD + b"Content-Length: 0\r\n\r\n", False, b""),
    "no-reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", False, b"hi"),
    "odd-case": (HEAD + b"cOnTeNt-LeNgTh:2\r\n\r\nhi", False, b"hi"),
    "chunked": (CHUNKED + b"2\r\nhi\r\n3\r\n ho\r\n0\r\n\r\n", False, b"hi ho"),
    "extensions": (CHUNKED + b'2;a=b;c="d"\r\nhi\r\n0;last\r\n\r\n', False, b"hi"),
    "trailers": (CHUNKED + b"2\r\nhi\r\n0\r\nY: x\r\nX: y\r\n\r\n", False, b"hi"),
    "to-the-end": (HEAD + b"\r\nhi", True, b"hi"),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", True, b"hi"),
    "continued": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, False, b"hi"),
    "hinted": (b"HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\nLink: x\r\n\r\n" * 2 + OK, False, b"hi"),
    "no-content": (b"HTTP/1.1 204 No Content\r\n\r\n", False, b""),
    "farewell": (HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi", True, b"hi"),
}


@pytest.mark.parametrize("bytewise", [False, True], ids=["at-once", "bytewise"])
@pytest.mark.parametrize("answer, ends, body", ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_is_read_however_it_is_framed_and_cut(
    answer: bytes, ends: bool, body: bytes, bytewise: bool
) -> None:
    pieces = [answer[at : at + 1] for at in range(len(answer))] if bytewise else [answer]
    async with serving(answering(*pieces, close=ends)) as (pool, server):
        for _ in range(2):
            response = await post(pool, server)
            assert response.status in (200, 204)
            assert await whole(response) == body
            assert response.closed
        assert len(server.peers) == (2 if ends else 1)
        assert [asked for _, asked in server.asked] == [b"{}", b"{}"]


async def test_headers_are_found_in_any_case_and_joined() -> None:
    head = HEAD + b"A: one \t\r\nContent-Length: 0\r\na:two\r\nEmpty:\r\nB: caf\xe9\r\n\r\n"
    async with serving(answering(head)) as (pool, server):
        headers = (await post(pool, server)).headers
        assert (headers["a"], headers.get("A"), headers.get("empty")) == ("one, two", "one, two", "")
        assert (headers.get("b"), headers.get("c"), headers.get("d", "none")) == ("café", None, "none")
        assert dict(headers) == {"a": "one, two", "content-length": "0", "empty": "", "b": "café"}
        assert len(headers) == 4


NOT_HTTP = {
    "junk": b"hello\r\n\r\n",
    "a-request": b"GET / HTTP/1.1\r\n\r\n",
    "two-lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
    "length-and-chunks": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "list-of-lengths": HEAD + b"Content-Length: 2, 2\r\n\r\nhi",
    "signed-length": HEAD + b"Content-Length: +2\r\n\r\nhi",
    "endless-length": HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "unasked-coding": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "two-codings": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "no-coding": HEAD + b"Transfer-Encoding: identity\r\n\r\nhi",
    "no-size": CHUNKED + b"x\r\nhi\r\n0\r\n\r\n",
    "bare-line-feed": CHUNKED + b"2\nhi\n0\n\n",
    "folded": HEAD + b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "space-before-colon": HEAD + b"A : b\r\nContent-Length: 0\r\n\r\n",
    "nul": HEAD + b"A: \0\r\nContent-Length: 0\r\n\r\n",
    "switched": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nabc",
    "switched-unasked": b"HTTP/1.1 101 Switching\r\n\r\n",
    "no-status": b"HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n",
    "more-follows": OK + b"junk",
    "another-follows": OK + OK,
    "follows-the-farewell": HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi!",
    "long-head": HEAD + b"A: " + b"x" * HEAD_BYTES_MAX + b"\r\nContent-Length: 0\r\n\r\n",
    "many-headers": HEAD + b"Aa: bb\r\n" * (HEAD_BYTES_MAX // 4 + 1) + b"Content-Length: 0\r\n\r\n",
    "endless-head": HEAD + b"A: " + b"x" * 2 * HEAD_BYTES_MAX,
    "endless-name": HEAD + b"x" * 2 * HEAD_BYTES_MAX,
    "endless-reason": b"HTTP/1.1 200 " + b"x" * 2 * HEAD_BYTES_MAX,
    "endless-interim": b"HTTP/1.1 100 Continue\r\n\r\n" * (HEAD_BYTES_MAX // 10),
    "framing-trailer": CHUNKED + b"2\r\nhi\r\n0\r\nContent-Length: 7\r\n\r\n",
    "endless-trailer": CHUNKED + b"2\r\nhi\r\n0\r\nT: " + b"x" * 8 * HEAD_BYTES_MAX,
    "endless-extension": CHUNKED + b"2;" + b"x" * 8 * HEAD_BYTES_MAX,
}


@pytest.mark.parametrize("answer", NOT_HTTP.values(), ids=NOT_HTTP)
async def test_what_is_not_http_to_the_letter_is_a_fault_and_ends_the_connection(answer: bytes) -> None:
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        with contextlib.suppress(ConnectionError):
            await peer.say(answer)
        if await peer.ended():
            ended.set()

    async with serving(script) as (pool, server):
        with pytest.raises(UpstreamFault, match="is not HTTP") as fault:
            await whole(await post(pool, server))
        assert (fault.value.sent, fault.value.why) == (True, "protocol")
        await asyncio.wait_for(ended.wait(), 10)
        assert len(server.asked) == 1


EARLY_ENDS = {
    "at-once": b"",
    "in-the-status-line": HEAD[:9],
    "in-the-head": HEAD + b"Content-",
    "after-the-head": HEAD + b"Content-Length: 2\r\n\r\n",
    "in-the-body": OK[:-1],
    "in-a-chunk": CHUNKED + b"2\r\nh",
    "before-the-last-chunk": CHUNKED + b"2\r\nhi\r\n",
    "before-the-trailer-ends": CHUNKED + b"2\r\nhi\r\n0\r\n",
    "after-an-interim-answer": b"HTTP/1.1 100 Continue\r\n\r\n",
}


@pytest.mark.holds("INV-01-ONCE")
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("answer", EARLY_ENDS.values(), ids=EARLY_ENDS)
async def test_an_answer_that_ends_early_is_a_fault_and_the_request_is_not_repeated(answer: bytes, reset: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(answer)
        if reset:
            linger = b"\1\0\0\0\0\0\0\0"  # on, no seconds: what is closed is reset
            peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    async with serving(script) as (pool, server):
        with pytest.raises(UpstreamFault, match="broke") as fault:
            await whole(await post(pool, server))
        assert (fault.value.sent, fault.value.why) == (True, "died")
        assert len(server.asked) == len(server.peers) == 1


async def test_a_body_up_to_the_end_of_the_connection_is_no_body_when_that_is_reset() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(HEAD + b"\r\nhi")
        peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    async with serving(script) as (pool, server):
        response = await post(pool, server)
        with pytest.raises(UpstreamFault, match="broke"):
            await whole(response)


async def test_what_came_before_a_failure_can_be_read() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED + b"2\r\nhi\r\n")

    async with serving(script) as (pool, server):
        response = await post(pool, server)
        assert await response.readany() == b"hi"
        for _ in range(2):
            with pytest.raises(UpstreamFault, match="broke"):
                await response.readany()
        assert not response.at_eof()


async def test_a_connection_is_used_again_and_no_two_requests_share_one() -> None:
    gate = asyncio.Event()

    async def script(peer: Peer) -> None:
        while await peer.request():
            await gate.wait()
            await peer.say(OK)

    async with serving(script) as (pool, server):
        asking = [asyncio.ensure_future(post(pool, server)) for _ in range(3)]
        while len(server.asked) < 3:  # noqa: ASYNC110 - the server's list
            await asyncio.sleep(0.001)
        gate.set()
        assert [await whole(response) for response in await asyncio.gather(*asking)] == [b"hi"] * 3
        for _ in range(5):
            assert await whole(await post(pool, server)) == b"hi"
        assert len(server.peers) == 3
        assert max(len(peer.asked) for peer in server.peers) == 6


@pytest.mark.holds("INV-01-ONCE")
@pytest.mark.parametrize("goodbye", [b"", b"HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n", b"\r\n"])
@pytest.mark.parametrize("noticed", [True, False], ids=["noticed", "not-yet-noticed"])
async def test_a_connection_the_server_ended_while_it_rested_is_not_asked(goodbye: bytes, noticed: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await ending.wait()
        peer.writer.write(goodbye)

    ending = asyncio.Event()
    async with serving(script) as (pool, server):
        assert await whole(await post(pool, server)) == b"hi"
        ending.set()
        if noticed:
            await asyncio.sleep(0.05)
        else:
            # Enough for the server's task to run, too little for the loop to look at the client's socket and tell.
            for _ in range(3):
                await asyncio.sleep(0)
        assert await whole(await post(pool, server)) == b"hi"
        assert [len(peer.asked) for peer in server.peers] == [1, 1]


@pytest.mark.holds("INV-01-ONCE")
async def test_a_request_lost_with_its_connection_counts_as_sent_and_is_not_repeated() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.request()  # and closes without a byte of answer

    async with serving(script) as (pool, server):
        await whole(await post(pool, server))
        with pytest.raises(UpstreamFault) as fault:
            await post(pool, server)
        assert fault.value.sent
        assert [len(peer.asked) for peer in server.peers] == [2]


async def test_a_server_that_speaks_before_it_is_asked_is_asked_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slowly(*given: Any, **options: Any) -> socket.socket:
        sock = await start_connection(*given, **options)
        await asyncio.sleep(0.05)
        return sock

    async def script(peer: Peer) -> None:
        await peer.say(OK)
        await peer.request()

    monkeypatch.setattr(http1, "start_connection", slowly)
    async with serving(script) as (pool, server):
        with pytest.raises(UpstreamFault, match="cannot be reached") as fault:
            await post(pool, server)
        assert not fault.value.sent
        assert server.asked == []


class Crowd:
    """Connections in use at once: the server answers when as many have asked as it is for."""

    def __init__(self, count: int) -> None:
        self.ended = 0
        self._barrier = asyncio.Barrier(count)

    async def serve(self, peer: Peer) -> None:
        await peer.request()
        await self._barrier.wait()
        await peer.say(OK)
        if await peer.ended():
            self.ended += 1

    async def ask(self, pool: Pool, server: Scripted) -> None:
        asking = [post(pool, server) for _ in range(self._barrier.parties)]
        for response in await asyncio.gather(*asking):
            await whole(response)


async def test_only_a_few_connections_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "RESTING_MAX", 2)
    crowd = Crowd(5)
    async with serving(crowd.serve) as (pool, server):
        await crowd.ask(pool, server)
        assert [len(resting) for resting in pool._resting.values()] == [2]
        while crowd.ended < 3:  # noqa: ASYNC110 - a number that grows
            await asyncio.sleep(0.001)


async def test_connections_rest_only_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "REST_S", 0.05)
    crowd = Crowd(4)
    async with serving(crowd.serve) as (pool, server):
        await crowd.ask(pool, server)
        while crowd.ended < 4:  # noqa: ASYNC110 - a number that grows
            await asyncio.sleep(0.01)
        assert not pool._resting
        assert not pool._open


async def test_one_that_rested_for_too_long_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answering(OK)) as (pool, server):
        await whole(await post(pool, server))
        monkeypatch.setattr(http1, "REST_S", 0)
        await whole(await post(pool, server))
        assert [len(peer.asked) for peer in server.peers] == [1, 1]


async def test_small_packets_are_not_held_back() -> None:
    async with serving(answering(OK)) as (pool, server):
        await whole(await post(pool, server))
        (connection,) = pool._open
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_closed_pool_asks_nothing_and_ends_what_it_asked() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED + b"2\r\nhi\r\n")
        await peer.ended()

    async with serving(script) as (pool, server):
        response = await post(pool, server)
        await pool.close()
        assert await response.readany() == b"hi"
        with pytest.raises(UpstreamFault, match="broke") as fault:
            await response.readany()
        assert fault.value.sent
        with pytest.raises(UpstreamFault, match="closed") as fault:
            await post(pool, server)
        assert not fault.value.sent
        assert len(server.asked) == 1


async def test_an_answer_that_is_let_go_of_takes_its_connection_along() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED + b"2\r\nhi\r\n")
        if await peer.ended():
            ended.set()

    ended = asyncio.Event()
    async with serving(script) as (pool, server):
        response = await post(pool, server)
        response.close()
        response.close()
        await asyncio.wait_for(ended.wait(), 10)
        assert response.closed


async def test_letting_go_of_a_whole_answer_leaves_its_connection_to_the_next() -> None:
    async with serving(answering(OK)) as (pool, server):
        first = await post(pool, server)
        second = asyncio.ensure_future(post(pool, server))
        await asyncio.sleep(0)
        first.close()
        assert await whole(await second) == await whole(first) == b"hi"
        assert len(server.peers) == 1


@pytest.mark.parametrize("turns", range(12))
async def test_a_request_can_be_cancelled_at_any_turn(turns: int) -> None:
    async with serving(answering(b"", *(OK[at : at + 1] for at in range(len(OK))))) as (pool, server):
        await whole(await post(pool, server))
        kept = asyncio.ensure_future(post(pool, server, b"kept"))
        dropped = asyncio.ensure_future(post(pool, server, b"dropped"))
        for _ in range(turns):
            await asyncio.sleep(0)
        dropped.cancel()
        await asyncio.wait([dropped])
        assert await whole(await kept) == b"hi"
        assert await whole(await post(pool, server, b"next")) == b"hi"
        bodies = [body for _, body in server.asked]
        assert (bodies.count(b"kept"), bodies.count(b"next")) == (1, 1)
        assert bodies.count(b"dropped") <= 1


async def test_a_reader_can_be_cancelled_and_another_goes_on() -> None:
    gate = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK[:-2])
        await gate.wait()
        await peer.say(b"hi")

    async with serving(script) as (pool, server):
        response = await post(pool, server)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await response.readany()
        gate.set()
        assert await whole(response) == b"hi"


async def test_what_cannot_be_reached_was_sent_nothing() -> None:
    pool = Pool({})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/", "http://remit-test.invalid/", f"http://{'x' * 70}.invalid/"):
        with pytest.raises(UpstreamFault, match="cannot be reached") as fault:
            await pool.request("GET", URL(url), headers={}, connect_s=5)
        assert (fault.value.sent, fault.value.why) == (False, "unreachable")
    await pool.close()


async def test_a_connection_that_does_not_come_about_in_time_was_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(http1, "start_connection", never)
    pool = Pool({})
    with pytest.raises(UpstreamFault, match="cannot be reached") as fault:
        await pool.request("GET", URL("http://127.0.0.1:1/"), headers={}, connect_s=0.01)
    assert not fault.value.sent
    await pool.close()


async def test_a_literal_ipv6_address_is_reached() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    async with serving(answering(OK), host="::1") as (pool, server):
        assert await whole(await post(pool, server)) == b"hi"
        assert f"Host: [::1]:{server.url.port}\r\n".encode() in server.asked[0][0]
