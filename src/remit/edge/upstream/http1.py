"""HTTP/1.1 towards tool servers: connections that are kept, and each request written once.

Rules: nothing is retried, redirected, decompressed or remembered but the connection; no proxy, no netrc. A connection
rests for less than the five seconds after which common servers close one, lest a request crosses the server's goodbye;
one on which anything arrived unasked, even its end, is not asked again. A fault is `sent=False` only where no byte of
the request was written: the URL or a header cannot be, there is no connection, the pool is closed.

Certificates are verified, by one TLS context per process.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from functools import cache
from itertools import chain
from typing import Final

from aiohappyeyeballs import start_connection
from yarl import URL

from remit.edge.upstream.http1_connection import Connection
from remit.edge.upstream.http1_head import request_head
from remit.edge.upstream.http1_response import Response
from remit.errors import UpstreamFault

REST_S: Final = 4.0
RESTING_MAX: Final = 64  # per origin
_NEXT_ADDRESS_S: Final = 0.25  # RFC 8305 section 5

Origin = tuple[str, str, int]


@cache
def verified() -> ssl.SSLContext:
    """What the system trusts, for a certificate of the very host."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class Pool:
    """Connections by origin. `headers` go with every request; needs a running loop."""

    def __init__(self, headers: Mapping[str, str], *, tls: Callable[[], ssl.SSLContext] = verified) -> None:
        self._headers = headers
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._open: set[Connection] = set()
        self._resting: dict[Origin, list[tuple[float, Connection]]] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False

    async def request(
        self, method: str, url: URL, *, headers: Mapping[str, str], body: bytes | None = None, connect_s: float
    ) -> Response:
        """The answer, from its head on. Whoever gets it reads it to its end or closes it. Raises `UpstreamFault`.

        `connect_s` bounds how long a new connection may take; how long the answer may, is the caller's to say.
        """
        length = None if body is None else len(body)
        try:
            head = request_head(method, url, headers={**self._headers, **headers}, length=length)
        except ValueError as e:
            raise UpstreamFault(str(e), sent=False) from e
        origin = (url.scheme, url.raw_host or "", url.port or 0)
        connection = self._rested(origin) or await self._connected(origin, connect_s)
        return await connection.ask(head, body or b"")

    async def close(self) -> None:
        """Close every connection; answers under way fail. Returns when all are closed."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        self._resting.clear()
        for connection in [*self._open]:
            connection.abort()
        while self._open:  # noqa: ASYNC110 - each was just aborted, and is lost in the loop's next turns
            await asyncio.sleep(0)

    # What its connections call.

    def rest(self, connection: Connection) -> None:
        resting = self._resting.setdefault(connection.origin, [])
        if self._closed or len(resting) >= RESTING_MAX:
            connection.abort()
            return
        resting.append((self._loop.time(), connection))
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(REST_S, self._sweep)

    def lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if kept := [rest for rest in self._resting.pop(connection.origin, ()) if rest[1] is not connection]:
            self._resting[connection.origin] = kept

    # Within.

    def _rested(self, origin: Origin) -> Connection | None:
        """The one last used, the longest from being closed by the server."""
        resting = self._resting.get(origin)
        while resting:
            since, connection = resting.pop()
            if self._loop.time() - since < REST_S and connection.quiet():
                return connection
            connection.abort()
        return None

    def _sweep(self) -> None:
        self._sweeping = None
        fresh = self._loop.time() - REST_S
        for since, connection in chain.from_iterable(self._resting.values()):
            if since <= fresh:
                connection.abort()
        if self._resting:
            self._sweeping = self._loop.call_later(REST_S, self._sweep)

    async def _connected(self, origin: Origin, seconds: float) -> Connection:
        if self._closed:
            raise UpstreamFault("the connections to tool servers were closed", sent=False)
        try:
            async with asyncio.timeout(seconds):
                connection = await self._connect(origin)
        except (OSError, UnicodeError) as e:
            raise _unreachable(origin) from e
        # After the handshake of TLS 1.3 a server sends session tickets; over TCP nothing has to have arrived.
        fit = connection.quiet() if origin[0] == "http" else not connection.closing()
        if not fit or self._closed:
            connection.abort()
            raise _unreachable(origin)
        self._open.add(connection)
        return connection

    async def _connect(self, origin: Origin) -> Connection:
        scheme, host, port = origin
        found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        sock = await start_connection(found, happy_eyeballs_delay=_NEXT_ADDRESS_S, loop=self._loop)
        try:
            tls = self._tls() if scheme == "https" else None
            name = host.rstrip(".") if tls else None
            _, connection = await self._loop.create_connection(
                lambda: Connection(self, origin), sock=sock, ssl=tls, server_hostname=name
            )
        except BaseException:
            sock.close()
            raise
        return connection


def _unreachable(origin: Origin) -> UpstreamFault:
    scheme, host, port = origin
    at = URL.build(scheme=scheme, host=host, port=port).origin()
    return UpstreamFault(f"the tool server at `{at}` cannot be reached", sent=False)
