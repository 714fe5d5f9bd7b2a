"""The shim adds an agent's headers to each request and changes nothing else, in either direction."""

import asyncio

import pytest

from tools.conformance.shim import body_length, shim, with_headers

HEAD = b"POST /mcp HTTP/1.1\r\nHost: evil.example\r\nMcp-Name:  spaced \r\nContent-Length: 4\r\n\r\n"


def test_headers_come_last_and_nothing_else_moves():
    assert with_headers(HEAD, {"Remit-Task": "t"}) == HEAD.removesuffix(b"\r\n") + b"Remit-Task: t\r\n\r\n"


LENGTHS = {b"GET / HTTP/1.1\r\n\r\n": 0, HEAD: 4, HEAD.replace(b"Content-L", b"content-l"): 4}


@pytest.mark.parametrize("head, length", LENGTHS.items(), ids=range(len(LENGTHS)))
def test_the_length_of_a_body_is_read_from_its_head(head, length):
    assert body_length(head) == length


def test_a_body_of_unknown_length_is_refused():
    with pytest.raises(ValueError, match="length"):
        body_length(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")


class Echo:
    """Answers each request with its own bytes; a request for `/slow` never ends."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            writer.write(await reader.read(65536))
        self.left.set()
        writer.close()


async def test_requests_on_one_connection_each_get_the_headers_of_their_time():
    times = iter("12")
    echo = await asyncio.start_server(Echo().serve, "127.0.0.1", 0)
    async with echo, shim(echo.sockets[0].getsockname()[1], lambda: {"Token": next(times)}) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for token in (b"1", b"2"):
            sent = HEAD + b"body"
            writer.write(sent)
            expected = HEAD.removesuffix(b"\r\n") + b"Token: " + token + b"\r\n\r\nbody"
            assert await reader.readexactly(len(expected)) == expected
        writer.close()
        await writer.wait_closed()


async def test_who_leaves_has_left_on_the_other_side_too():
    other = Echo()
    echo = await asyncio.start_server(other.serve, "127.0.0.1", 0)
    async with echo, shim(echo.sockets[0].getsockname()[1], dict) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD + b"body")
        await reader.readexactly(len(HEAD) + 4)
        writer.close()
        await asyncio.wait_for(other.left.wait(), 10)
