"""One answer of a server as its reader sees it: status and headers, and a body that comes while it is read.

Rules: one reader at a time. What arrived before a failure can be read; the failure comes after it, as `UpstreamFault`.
A body that is not read stops its connection from reading; the connection is let go of when the body has arrived.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

from remit.errors import UpstreamFault

_PART_BYTES: Final = 48  # what Python takes for a part besides its bytes
Fault = Callable[[], UpstreamFault]


class Line(Protocol):
    """The connection an answer comes by."""

    def drained(self) -> None:
        """The reader has taken what there was."""
        ...

    def abort(self) -> None:
        """Nobody will read the rest."""
        ...


class Headers(Mapping[str, str]):
    """Header fields by name, whose case does not matter; those of one name are joined by commas (RFC 9110, 5.3)."""

    def __init__(self, found: Mapping[bytes, bytes]) -> None:
        self._found = found

    def __getitem__(self, name: str) -> str:
        return self._found[name.lower().encode("latin-1", "replace")].decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._found)

    def __len__(self) -> int:
        return len(self._found)


class Response:
    """`status` and `headers` hold once `begun` has returned. `held`: the memory what waits for the reader takes."""

    def __init__(self, line: Line) -> None:
        self.status = 0
        self.headers = Headers({})
        self.held = 0
        self._line: Line | None = line
        self._parts: list[bytes] = []
        self._fault: Fault | None = None
        self._waiting: asyncio.Future[None] | None = None

    # What a reader uses.

    @property
    def closed(self) -> bool:
        """Whether nothing more will arrive: all is here, or the rest never will be."""
        return self._line is None

    def at_eof(self) -> bool:
        """Whether all of the body was read."""
        return self._line is None and self._fault is None and not self._parts

    async def readany(self) -> bytes:
        """What there is of the body, waiting for some; empty at its end. Raises `UpstreamFault`."""
        while not self._parts:
            if self._line is None:
                if self._fault is None:
                    return b""
                raise self._fault()
            await self._change()
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self.held = 0
        if self._line is not None:
            self._line.drained()
        return data

    def close(self) -> None:
        """Let go of the answer. A connection on which some of it is still to come is closed."""
        if self._line is not None:
            self._line.abort()

    # What the connection uses.

    async def begun(self) -> None:
        """Wait for the head. Raises `UpstreamFault`."""
        while not self.status:
            if self._fault is not None:
                raise self._fault()
            await self._change()

    def begin(self, status: int, headers: Headers) -> None:
        self.status, self.headers = status, headers

    def take(self, part: bytes) -> None:
        self._parts.append(part)
        self.held += len(part) + _PART_BYTES

    def end(self, fault: Fault | None) -> None:
        """Nothing more will come; `fault` says why, if that is too early."""
        self._line, self._fault = None, fault
        self.wake()

    def wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def _change(self) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        await self._waiting
