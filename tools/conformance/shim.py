"""What an agent's client would add, for a client that cannot: a proxy on loopback that adds headers, and nothing else.

It passes bytes, not messages: each request's head gets the given headers at its end, everything after it and all of the
answer goes through as it comes, and whoever closes a connection closes it on the other side too.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

_LENGTH: Final = re.compile(rb"^content-length:\s*(\d+)\s*$", re.IGNORECASE | re.MULTILINE)
_CHUNKED: Final = re.compile(rb"^transfer-encoding:", re.IGNORECASE | re.MULTILINE)
_HEAD_BYTES_MAX: Final = 1024 * 1024
_END: Final = b"\r\n\r\n"


@asynccontextmanager
async def shim(port: int, headers: Callable[[], Mapping[str, str]]) -> AsyncIterator[int]:
    """Serve before the loopback port `port` and yield the port to ask instead. `headers` is asked for each request."""
    open_ones: set[asyncio.Task[None]] = set()

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ahead, behind = await asyncio.open_connection("127.0.0.1", port)
        async with _closing(writer, behind):
            await _first_of(_requests(reader, behind, headers=headers), _answers(ahead, writer))

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(passed_on(reader, writer))
        open_ones.add(task)
        task.add_done_callback(open_ones.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=_HEAD_BYTES_MAX)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(open_ones):
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)


async def _first_of(*ways: Coroutine[Any, Any, None]) -> None:
    """Run until one of them ends; a fault of it is raised."""
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _closing(*writers: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


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
