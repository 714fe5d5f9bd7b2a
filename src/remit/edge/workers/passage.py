"""How a client's connection goes from one process to another: its descriptor travels, with what was read of it so far.

Each worker has such a way to the main process, which passes a connection on to the worker it is for. A packet holds
that worker's number and two descriptors: the connection, and a file in memory with the bytes. Nothing is copied
afterwards: the receiver reads and writes the client's own socket. What cannot be sent for lack of room waits, within a
bound.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

_PACKET: Final = struct.Struct(">H")
_DESCRIPTORS: Final = 2
_WAITING_MAX: Final = 1024


class Passed(NamedTuple):
    """A connection on its way: the worker it is for, its descriptor, and that of a file with what was read."""

    to: int
    connection: int
    read: int

    def close(self) -> None:
        """Let go of it: for the client, the gateway hangs up, unless another process has it by now."""
        os.close(self.connection)
        os.close(self.read)

    def taken(self) -> tuple[socket.socket, bytes]:
        """The connection and what was read of it, by the one who serves it."""
        with os.fdopen(self.read, "rb") as file:
            file.seek(0)
            return socket.socket(fileno=self.connection), file.read()


def packed(to: int, connection: int, *, read: bytes) -> Passed:
    """A connection to send. `connection` is left to the caller; what is sent is a copy of it."""
    file = os.memfd_create("remit-connection", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(file), "wb") as writing:
            writing.write(read)
        return Passed(to, os.dup(connection), file)
    except OSError:
        os.close(file)
        raise


class Passage:
    """One end, over a `SOCK_SEQPACKET` socket. `arrived` is called with what comes, and has to close it."""

    def __init__(self, sock: socket.socket, arrived: Callable[[Passed], None]) -> None:
        self._sock, self._arrived = sock, arrived
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Passed] = deque()
        sock.setblocking(False)
        self._loop.add_reader(sock.fileno(), self._receive)

    def send(self, passed: Passed) -> None:
        """Pass it on; ours is closed once it is on its way, or at once when too many wait."""
        if len(self._waiting) >= _WAITING_MAX or self._sock.fileno() < 0:
            passed.close()
            return
        self._waiting.append(passed)
        if len(self._waiting) == 1:
            self._send_waiting()

    def close(self) -> None:
        """End it; what waits is hung up on."""
        if self._sock.fileno() < 0:
            return
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        while self._waiting:
            self._waiting.popleft().close()

    def _send_waiting(self) -> None:
        while self._waiting:
            passed = self._waiting[0]
            try:
                socket.send_fds(self._sock, [_PACKET.pack(passed.to)], [passed.connection, passed.read])
            except BlockingIOError:
                self._loop.add_writer(self._sock.fileno(), self._send_waiting)
                return
            except OSError:
                self.close()
                return
            self._waiting.popleft().close()
        self._loop.remove_writer(self._sock.fileno())

    def _receive(self) -> None:
        try:
            packet, descriptors, _, _ = socket.recv_fds(self._sock, _PACKET.size, _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            packet, descriptors = b"", []
        if len(packet) == _PACKET.size and len(descriptors) == _DESCRIPTORS:
            self._arrived(Passed(*_PACKET.unpack(packet), *descriptors))
            return
        for descriptor in descriptors:  # none left for the other one: this process is out of them
            with contextlib.suppress(OSError):
                os.close(descriptor)
        if not packet:
            self.close()
