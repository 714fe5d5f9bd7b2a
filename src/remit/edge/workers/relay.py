"""A connection under TLS, for another worker: decrypted here, served there.

What TLS knows of a connection cannot leave the process that accepted it. So the other worker gets one end of a socket
pair, and this copies bytes between the other end and the client: as they come, no faster than they are read, and
closing one side closes the other.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def relay(client: asyncio.Transport) -> Iterator[socket.socket]:
    """Copy between `client` and the end this gives, which is to be handed on inside the context."""
    near, far = socket.socketpair()
    with far:
        client.pause_reading()
        yield far
    connecting = asyncio.ensure_future(_joined(client, near))
    # Nobody waits for it: it ends with either side.
    connecting.add_done_callback(lambda done: done.cancelled() or done.exception())


async def _joined(client: asyncio.Transport, near: socket.socket) -> None:
    to_client, to_worker = _Side(client), _Side(None)
    try:
        worker, _ = await asyncio.get_running_loop().connect_accepted_socket(lambda: to_worker, near)
    except OSError:
        client.abort()
        raise
    to_client.other, to_worker.other, to_worker.own = worker, client, worker
    client.set_protocol(to_client)
    client.resume_reading()


class _Side(asyncio.Protocol):
    """One side: what it hears, the other one says."""

    def __init__(self, own: asyncio.Transport | None) -> None:
        self.own = own
        self.other: asyncio.Transport | None = None

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.write(data)

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and not self.other.is_closing():
            self.other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None:
            self.other.close()
