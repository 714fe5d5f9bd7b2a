"""What a server says on the stream of the session, when it says too much at once."""

import asyncio
from typing import Any

import pytest

from remit.edge.upstream.mcp_http import HttpWire
from remit.edge.upstream.pool import pool
from remit.edge.upstream.stream import Stream
from remit.limits import RESULT_BYTES_MAX


class Endless:
    """An event that never ends."""

    def __init__(self) -> None:
        self.closed = False
        self.given = 0

    async def readany(self) -> bytes:
        await asyncio.sleep(0)
        self.given += 1
        return b"data: " if self.given == 1 else b"x" * 2**20

    def close(self) -> None:
        self.closed = True


@pytest.mark.holds("LIMIT-STEADY")
async def test_an_event_that_never_ends_ends_the_stream_and_nothing_else_stands_still() -> None:
    http = pool()
    wire = HttpWire(http, "http://127.0.0.1:9/mcp", heard=lambda method, params: None)
    endless: Any = Endless()
    async with asyncio.timeout(20):
        await wire._overhear(Stream(endless))
    assert endless.closed
    assert endless.given < 2 * RESULT_BYTES_MAX // 2**20
    await http.close()
