"""Reading what is durable, beside the writer: one thread, one connection, never the event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

from remit.edge.store.driver import Reader
from remit.ledger.receipt import Value

T = TypeVar("T")


class Ledger:
    """The durable ledger, read-only; also what `open_readonly` gives while a gateway runs."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="remit-store-reader")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def blob(self, digest: str) -> bytes | None:
        """A content-addressed blob."""
        return await self._read(lambda: self._reader.blob(digest))

    async def blobs(self) -> tuple[str, ...]:
        """The digests of all blobs."""
        return await self._read(self._reader.blobs)

    async def leaf(self, seq: int) -> bytes | None:
        """The exact bytes of a durable receipt."""
        return await self._read(lambda: self._reader.leaf(seq))

    async def leaves(self, start: int, stop: int, *, task: str | None = None) -> AsyncIterator[tuple[int, bytes]]:
        """Durable leaves with start <= seq < stop, in order, of one task if named."""
        while page := await self._page(start, stop, task=task):
            for found in page:
                yield found
            start = page[-1][0] + 1

    async def leaf_hashes(self, start: int, stop: int) -> bytes:
        """Concatenated 32-byte leaf hashes with start <= seq < stop."""
        return await self._read(lambda: self._reader.hashes(start, stop))

    async def values(self, seq: int) -> tuple[Value, ...]:
        """The values kept beside a receipt."""
        return await self._read(lambda: self._reader.values(seq, seq + 1))

    async def values_between(self, start: int, stop: int) -> tuple[Value, ...]:
        """The values kept beside receipts with start <= seq < stop."""
        return await self._read(lambda: self._reader.values(start, stop))

    async def checkpoint(self) -> bytes:
        """The newest durable checkpoint, a C2SP signed note."""
        return await self._read(self._reader.checkpoint)

    async def checkpoints(self) -> tuple[bytes, ...]:
        """Earlier checkpoints, oldest first: one for every ten seconds in which something was written."""
        return await self._read(self._reader.checkpoints)

    async def close(self) -> None:
        """Let go of the files."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._reader.close)
        self._thread.shutdown(wait=False)

    async def _page(self, start: int, stop: int, *, task: str | None) -> list[tuple[int, bytes]]:
        return await self._read(lambda: self._reader.page(start, stop, task=task))

    async def _read(self, read: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, read)
