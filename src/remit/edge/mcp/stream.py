"""The way back to a client while its request runs: nothing at first, then server-sent events, or one whole answer.

Whether an answer is a stream is not known before something is said on the way. Until then nothing is sent, so most
calls answer with plain JSON. What is said while the client does not keep up waits to a bound; beyond it, notifications
are dropped, since no call is worth holding up for one.
"""

import asyncio
from collections import deque
from typing import Final

from remit.edge.mcp.exchange import Send, respond
from remit.edge.mcp.rpc import Response

# What waits for a client that reads slowly: some thousand notifications.
_WAITING_BYTES_MAX: Final = 1024 * 1024
_QUIET_S: Final = 15.0
_ONE_LINE: Final = bytes.maketrans(b"\r\n", b"  ")
_HEADERS: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class Stream:
    """`accepted` is whether the client reads event streams at all."""

    def __init__(self, send: Send, *, accepted: bool) -> None:
        self.accepted = accepted
        self._send = send
        self._ready: deque[bytes] = deque()
        self._waiting = 0
        self._wake = asyncio.Event()
        self._ended = False
        self._pump: asyncio.Task[None] | None = None

    @property
    def begun(self) -> bool:
        """Whether something was said already, so that the answer has to be the last event."""
        return self._pump is not None

    def say(self, message: bytes, *, must: bool = False) -> bool:
        """Say something before the answer; whether it will be. What `must` be said does not mind the bound."""
        if not self.accepted or self._ended or (not must and self._waiting + len(message) > _WAITING_BYTES_MAX):
            return False
        self._push(_event(message))
        return True

    def open(self, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        """Begin the stream though nothing is said yet."""
        if self._pump is None:
            self._pump = asyncio.ensure_future(self._run(headers))

    async def finish(self, response: Response) -> None:
        """Give the answer: whole, if nothing was said before; else as the last event, whatever its status."""
        if self._pump is None:
            self._ended = True
            await respond(self._send, response)
            return
        if response.body:
            self._push(_event(response.body))
        await self.end()

    async def end(self) -> None:
        """End the stream when everything was sent."""
        self._ended = True
        self._wake.set()
        if self._pump is not None:
            await self._pump

    def abandon(self) -> None:
        """Nobody reads any more."""
        self._ended = True
        if self._pump is not None:
            self._pump.cancel()

    def _push(self, event: bytes) -> None:
        self.open()
        self._ready.append(event)
        self._waiting += len(event)
        self._wake.set()

    async def _run(self, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        await self._send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]})
        while self._ready or not self._ended:
            if not self._ready:
                await self._woken()
            while self._ready:
                event = self._ready.popleft()
                self._waiting -= len(event)
                await self._send({"type": "http.response.body", "body": event, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    async def _woken(self) -> None:
        """Wait for something to send; a comment now and then shows that the line still stands."""
        self._wake.clear()
        try:
            async with asyncio.timeout(_QUIET_S):
                await self._wake.wait()
        except TimeoutError:
            await self._send({"type": "http.response.body", "body": b":\n\n", "more_body": True})


def _event(message: bytes) -> bytes:
    # What a server wrote is passed on as it is, line breaks between its tokens included; inside strings none can stand.
    return b"event: message\ndata: " + message.translate(_ONE_LINE) + b"\n\n"
