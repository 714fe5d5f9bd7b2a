"""The HTTP server under both doors: uvicorn, bounded in connections and in how long a sender may take.

On a unix socket it says who is at the other end, as the kernel knows (SO_PEERCRED), in `scope["extensions"]`; on TCP
the key is absent. It reaches into uvicorn's protocol class, which is pinned to a minor version for that reason.

Where several processes serve one address, each request's head is shown to a `Divert` before anything is made of it: the
connection may be for another process, which then `adopt`s it with what was read so far.
"""

import asyncio
import contextlib
import logging
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import uvicorn
from msgspec import Struct
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from remit.edge.mcp.exchange import App
from remit.edge.mcp.leaving import LEFT, Left
from remit.errors import CallerFault, ConfigFault
from remit.limits import CONNECTIONS_MAX, REQUEST_ARRIVES_S

_KEEP_ALIVE_S: Final = 75
_GRACE_S: Final = 10
_BACKLOG: Final = 1024
# A head longer than this is left to the parser, which refuses it.
_HEAD_BYTES_MAX: Final = 64 * 1024
_UCRED: Final = struct.Struct("3i")
PEER_UID: Final = "remit.peer_uid"
SWEEP_S: Final = 1.0
_SERVER_LOG: Final = "uvicorn.error"
_WARN_AGAIN_S: Final = 60.0


# Given the bytes from a request's beginning on, its head whole, and its connection: whether it was taken away.
Divert = Callable[[bytes, asyncio.Transport], bool]


class Tls(Struct, frozen=True):
    """A certificate chain and its key, both PEM files."""

    cert: Path
    key: Path


class Serving:
    """A server that runs: where it listens (on TCP), and how to end it."""

    def __init__(self, server: "_Server", task: asyncio.Task[None], *, sock: socket.socket) -> None:
        self._server = server
        self._task = task
        self.host: str = ""
        self.port: int = 0
        if sock.family != socket.AF_UNIX:
            self.host, self.port = sock.getsockname()[:2]

    async def stop(self) -> None:
        """Accept nothing more, let what runs end within the grace period, return when all is closed."""
        self._server.stopping.set()
        await self._task

    async def adopt(self, sock: socket.socket, read: bytes) -> None:
        """Serve a connection somebody else accepted, and what they read of it."""
        await self._server.adopt(sock, read)

    async def wait(self) -> None:
        """Return when the server ends, however that comes about."""
        await asyncio.shield(self._task)


def listener(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 lets the system choose, so that the public URL is known before the door is made."""
    try:
        made = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as e:
        raise CallerFault(f"cannot listen on `{host}:{port}`: {_why(e)}", "choose another address with `listen`") from e
    # Connections inherit it. asyncio sets it only on sockets it made itself; without it an answer's body waits some
    # 40 ms for the client's delayed acknowledgement of its head.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _why(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error)


def unix_listener(path: Path) -> socket.socket:
    """A bound unix socket that everybody on this machine may knock at; who they are is asked of the kernel.

    A socket left by a gateway that was killed is replaced: the store's lock says that no other gateway runs here.
    The path may be longer than the 107 bytes a socket address holds.
    """
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        made.bind(f"/proc/self/fd/{directory}/{path.name}")
        path.chmod(0o666)
    except OSError as e:
        made.close()
        raise ConfigFault(f"cannot listen at `{path}`", "check who owns the directory") from e
    finally:
        os.close(directory)
    return made


async def serve(
    app: App,
    sock: socket.socket,
    *,
    tls: Tls | None = None,
    connections: int = CONNECTIONS_MAX,
    divert: Divert | None = None,
) -> Serving:
    """Serve an application on a bound socket in the running loop; returns when it accepts connections."""
    logging.getLogger(_SERVER_LOG).addFilter(_SELDOM)
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        limit_concurrency=connections,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
        ssl_certfile=tls.cert if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
    try:
        config.load()
    except OSError as e:
        sock.close()
        raise ConfigFault("the TLS certificate or key cannot be read", "check `tls_cert` and `tls_key`") from e
    server = _Server(config, divert)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    ready = asyncio.create_task(server.ready.wait())
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    if not server.ready.is_set():
        ready.cancel()
        await task
    return Serving(server, task, sock=sock)


class _Seldom(logging.Filter):
    """Whoever can connect can cause the server's warnings: each is written once a minute, so that no log is filled."""

    def __init__(self) -> None:
        super().__init__()
        self._due: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if record.levelno != logging.WARNING:
            return True
        if now < self._due.get(record.msg, now):
            return False
        self._due[record.msg] = now + _WARN_AGAIN_S
        return True


_SELDOM: Final = _Seldom()


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs the loop, and says when it is ready."""

    def __init__(self, config: uvicorn.Config, divert: Divert | None) -> None:
        super().__init__(config)
        self.server_state = _State(divert)
        self.ready = asyncio.Event()
        self.stopping = asyncio.Event()

    async def main_loop(self) -> None:
        # uvicorn's own wakes ten times a second for a Date header and a request limit, neither of which is used.
        while not self.stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), SWEEP_S)
            self._hang_up_on_the_slow()

    def _hang_up_on_the_slow(self) -> None:
        due = asyncio.get_running_loop().time() - REQUEST_ARRIVES_S
        for connection in list(self.server_state.connections):
            if isinstance(connection, _Protocol) and connection.since is not None and connection.since < due:
                connection.transport.close()

    async def adopt(self, sock: socket.socket, read: bytes) -> None:
        if self.stopping.is_set():
            sock.close()
            return
        protocol = _Protocol(self.config, self.server_state, self.lifespan.state)
        protocol.read = read
        with contextlib.suppress(OSError):  # the client is gone already
            await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, sock)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


class _State(ServerState):
    """What all connections of a server share."""

    def __init__(self, divert: Divert | None) -> None:
        super().__init__()
        self.divert = divert


class _Protocol(HttpToolsProtocol):
    """Knows since when it waits for the rest of a request (loop time; None: it does not), headers or body.

    One look at all connections a second is far cheaper than a timer for each request.
    """

    server_state: _State
    since: float | None = None
    peer: int | None = None
    # Whether a request is being parsed; before it is, what was read of its head.
    parsing: bool = False
    read: bytes = b""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.left: Left = set()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.since = self.loop.time()
        self.peer = _peer_uid(transport.get_extra_info("socket"))
        if self.read:
            self.data_received(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for act in list(self.left):
            act()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.parsing = True
        known: dict[str, Any] = {LEFT: self.left}
        if self.peer is not None:
            known[PEER_UID] = self.peer
        self.scope["extensions"] = known

    def data_received(self, data: bytes) -> None:
        # uvicorn types the cycle as always there; before the first request it is None.
        between = getattr(self.cycle, "response_complete", True)
        if self.since is None and between:
            self.since = self.loop.time()
        if self.server_state.divert is not None and between and not self.parsing:
            data = self._undiverted(data, self.server_state.divert)
            if not data:
                return
        super().data_received(data)

    def _undiverted(self, data: bytes, divert: Divert) -> bytes:
        """What is for us to parse now: from the beginning of a request on, with its whole head, or nothing yet."""
        data, self.read = self.read + data, b""
        if b"\r\n\r\n" not in data and len(data) < _HEAD_BYTES_MAX:
            self.read = data
            return b""
        # What is still being sent of the last answer cannot be sent by somebody else.
        if not self.transport.get_write_buffer_size() and divert(data, self.transport):
            self.connections.discard(self)
            self._unset_keepalive_if_required()
            return b""
        return data

    def on_message_complete(self) -> None:
        self.since, self.parsing = None, False
        super().on_message_complete()


def _peer_uid(sock: socket.socket) -> int | None:
    if sock.family != socket.AF_UNIX:
        return None
    _, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)
