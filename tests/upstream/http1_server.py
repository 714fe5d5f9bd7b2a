"""A server that follows a script, byte by byte, and keeps what it was asked. Loopback only."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from yarl import URL

from remit.edge.upstream.http1 import Pool
from remit.edge.upstream.http1_response import Response

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Peer:
    """The server's end of one connection; `asked` is every request on it, head and body."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.asked: list[tuple[bytes, bytes]] = []

    async def request(self) -> bytes:
        """The next request's body, or `IncompleteReadError` where there is none."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        _, _, length = head.lower().partition(b"content-length: ")
        body = await self.reader.readexactly(int(length.partition(b"\r\n")[0] or b"0"))
        self.asked.append((head, body))
        return body

    async def say(self, *pieces: bytes) -> None:
        """Send each by itself, letting the client look in between."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def ended(self) -> bool:
        """Wait for the client to close the connection."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True


Script = Callable[[Peer], Awaitable[Any]]


class Scripted:
    """`peers` is every connection there was, in order."""

    def __init__(self, scheme: str = "http") -> None:
        self.peers: list[Peer] = []
        self.url = URL()
        self._scheme = scheme
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self, script: Script, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.peers.append(Peer(reader, writer))
            try:
                await script(self.peers[-1])
            except (asyncio.IncompleteReadError, ConnectionError):
                pass  # the client went away, as it may
            finally:
                writer.close()

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._serving.add(asyncio.ensure_future(serve(reader, writer)))

        server = await asyncio.start_server(accepted, host, 0, ssl=tls)
        self.url = URL.build(scheme=self._scheme, host=host, port=server.sockets[0].getsockname()[1], path="/mcp")
        self._server = server

    async def stop(self) -> None:
        self._server.close()
        for peer in self.peers:
            peer.writer.transport.abort()
        for task in self._serving:
            task.cancel()
        for end in await asyncio.gather(*self._serving, return_exceptions=True):
            assert end is None or isinstance(end, asyncio.CancelledError), end
        await asyncio.sleep(0)

    @property
    def asked(self) -> list[tuple[bytes, bytes]]:
        return [one for peer in self.peers for one in peer.asked]


@asynccontextmanager
async def serving(script: Script, **options: Any) -> AsyncIterator[tuple[Pool, Scripted]]:
    """A pool, and a server that does this on each connection."""
    server, pool = Scripted("https" if "tls" in options else "http"), Pool({}, **options.pop("pool", {}))
    await server.start(script, **options)
    try:
        yield pool, server
    finally:
        await pool.close()
        await server.stop()


def answering(*pieces: bytes, close: bool = False) -> Script:
    """Answers each request with these pieces; `close` after the first."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(*pieces)
            if close:
                return

    return script


async def post(pool: Pool, server: Scripted, body: bytes | None = b"{}", **headers: str) -> Response:
    method = "GET" if body is None else "POST"
    return await pool.request(method, server.url, body=body, headers=headers, connect_s=5)


async def whole(response: Response) -> bytes:
    read = bytearray()
    while part := await response.readany():
        read += part
    assert response.at_eof()
    return bytes(read)
