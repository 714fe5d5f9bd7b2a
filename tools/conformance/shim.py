"""What an agent's client would add, for a client that cannot: a proxy on loopback that adds headers, and nothing else.

It passes bytes, not messages: each request's head gets the given headers at its end, everything after it and all of the
answer goes through as it comes, and whoever closes a connection closes it on the other side too.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

_LENGTH: Final = re.compile(rb"^content-length:\s*(\d+)\s*$", re.IGNORECASE | re.MULTILINE)
_CHUNKED: Final = re.compile(rb"^transfer-encoding:", re.IGNORECASE | re.MULTILINE)
_HEAD_BYTES_MAX: Final = 1024 * 1024
_END: Final = b"\r\n\r\n"


@asynccontextmanager
async def shim(port: int, headers: Callable[[], Mapping[str, str]]) -> AsyncIterator[int]:
    """Serve before the loopback port `port` and yield the port to ask instead. `headers` is asked for each request."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ahead, behind = await asyncio.open_connection("127.0.0.1", port)
        ways = [
            asyncio.create_task(_requests(reader, behind, headers=headers)),
            asyncio.create_task(_answers(ahead, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            behind.close()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=_HEAD_BYTES_MAX)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _requests(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, headers: Callable[[], Mapping[str, str]]
) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(_END)
            writer.write(with_headers(head, headers()))
            writer.write(await reader.readexactly(body_length(head)))
            await writer.drain()


async def _answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


def with_headers(head: bytes, headers: Mapping[str, str]) -> bytes:
    """A request's head, blank line included, with more headers at its end."""
    more = "".join(f"\r\n{name}: {value}" for name, value in headers.items())
    return head.removesuffix(_END) + more.encode("ascii") + _END


def body_length(head: bytes) -> int:
    """How many bytes follow a request's head. Raises `ValueError` for a body of unknown length."""
    if _CHUNKED.search(head):
        raise ValueError("a request whose length is not known beforehand")
    found = _LENGTH.search(head)
    return int(found[1]) if found else 0
