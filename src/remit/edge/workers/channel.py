"""One end of the line between the main process and a worker: frames in and out, in order, many to a system call.

What is said within one turn of the event loop is sent together at its end. Whatever does not read as a message ends the
line; so does the other end by going away, or, where `unread` bounds that, by not reading what it is sent. Where it does
not, whoever has much to say awaits `writable`.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any, Final

import msgspec

from remit.edge.workers.wire import FRAME_BYTES_MAX, HEAD, VERSION, Message, framed

_LOG: Final = logging.getLogger("remit")
_MUCH_BYTES: Final = 1024 * 1024


class Channel(asyncio.Protocol):
    """`take` is called with each message, `lost` once when the line has ended. `unread` bounds what may wait to be read
    at the other end before it counts as gone (bytes).
    """

    def __init__(
        self,
        decoder: msgspec.msgpack.Decoder[Any],
        take: Callable[[Any], None],
        *,
        lost: Callable[[], None],
        unread: int | None = None,
    ) -> None:
        self._decode = decoder.decode
        self._take, self._lost, self._unread = take, lost, unread
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._in = bytearray()
        self._out: list[bytes] = []
        self._ended = False
        self._room = asyncio.Event()
        self._room.set()

    async def open(self, sock: socket.socket) -> None:
        """Begin on one end of a socket pair."""
        await self._loop.create_unix_connection(lambda: self, sock=sock)

    def send(self, message: Message) -> None:
        """Say something; in vain when the line has ended."""
        self.send_framed(framed(message))

    def send_framed(self, frame: bytes) -> None:
        """The same, for what is said to many and framed once."""
        if self._ended:
            return
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(frame)

    async def writable(self) -> None:
        """Return when the other end keeps up with what it is sent, or is gone."""
        if not self._room.is_set():
            await self._room.wait()

    def close(self) -> None:
        """Send what waits and end the line."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        transport.set_write_buffer_limits(_MUCH_BYTES)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def data_received(self, data: bytes) -> None:
        self._in += data
        at = 0
        try:
            while len(self._in) - at >= HEAD.size:
                version, size = HEAD.unpack_from(self._in, at)
                if version != VERSION or size > FRAME_BYTES_MAX:
                    raise msgspec.DecodeError(f"a frame of version {version} and {size} bytes")
                begin, end = at + HEAD.size, at + HEAD.size + size
                if len(self._in) < end:
                    break
                with memoryview(self._in) as view:
                    message = self._decode(view[begin:end])
                at = end
                self._take(message)
                if self._ended:
                    return
        except msgspec.DecodeError as e:
            _LOG.error("a message between worker and main process cannot be read: %s", e)
            self._abort()
            return
        del self._in[:at]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended:
            self._ended = True
            self._room.set()
            self._lost()

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is None or not out or self._ended:
            return
        self._transport.write(b"".join(out))
        if self._unread is not None and self._transport.get_write_buffer_size() > self._unread:
            _LOG.error("a worker does not read what it is told")
            self._abort()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
