"""The messages of one event stream of a server, in order, and how it is taken up again.

Rules: a server of the older generation may let go of a stream in the middle of a call and be asked for the rest (MCP
2025-11-25, transports, resumability): that is a GET which names the last event, and sends nothing twice. Where the
server gave its events no ids, a stream that ends has ended.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from remit.edge.upstream.http1_response import Response
from remit.edge.upstream.sse import Event, EventReader
from remit.errors import UpstreamFault
from remit.limits import RESULT_BYTES_MAX

_PAUSE_MS: Final = 1000
# A server that asks for none would be asked as fast as both can.
_PAUSE_MIN_MS: Final = 100
_PAUSE_MAX_MS: Final = 30_000

Reopen = Callable[[str], Awaitable[Response]]


class Stream:
    """`reopen` asks for what came after an event, by its id; None where streams are not resumed."""

    def __init__(self, response: Response, reopen: Reopen | None = None) -> None:
        self.response = response
        self._reopen = reopen
        self._events = EventReader(RESULT_BYTES_MAX)
        self._ready: deque[Event] = deque()

    async def next(self) -> Event:
        """The next event; one too long comes cut, its `size` tells. Raises `UpstreamFault` after the last."""
        while not self._ready:
            if self._events.size > RESULT_BYTES_MAX:
                return Event(b"", b"", self._events.size)
            try:
                chunk = await self.response.readany()
            except UpstreamFault:
                if not self._resumable():
                    raise
                chunk = b""
            if chunk:
                self._ready.extend(self._events.feed(chunk))
            else:
                await self._resume()
        return self._ready.popleft()

    def close(self) -> None:
        """Nobody will read the rest."""
        self.response.close()

    def _resumable(self) -> bool:
        return self._reopen is not None and bool(self._events.last_id)

    async def _resume(self) -> None:
        if self._reopen is None or not self._resumable():
            raise UpstreamFault("the tool server ended the stream without an answer", sent=True)
        self.response.close()
        seen, asked = self._events.last_id, self._events.retry_ms
        await asyncio.sleep(pause_ms(asked) / 1000)
        self.response = await self._reopen(seen.decode("ascii"))
        # What was half said is said again from the event on.
        self._events = EventReader(RESULT_BYTES_MAX)
        self._events.last_id, self._events.retry_ms = seen, asked


def pause_ms(asked: int | None) -> int:
    """How long to wait before a stream is taken up again, of what the server asks for, if it does."""
    return max(_PAUSE_MIN_MS, min(_PAUSE_MS if asked is None else asked, _PAUSE_MAX_MS))
