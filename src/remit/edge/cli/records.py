"""The record read where it lies: beside a running gateway or without one, and never written."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final, Self

from remit.edge.cli.home import Home
from remit.edge.cli.output import Screen
from remit.edge.cli.timeline import Entry, Timeline, line
from remit.edge.store.reads import Ledger
from remit.edge.store.sqlite import open_readonly
from remit.ledger.checkpoint import read
from remit.ledger.receipt import Denial, Intent, Receipt
from remit.ledger.walk import decode

FOLLOW_S: Final = 0.3


class Record:
    """The ledger of a home, open for reading. Raises `StoreFault`."""

    def __init__(self, home: Home) -> None:
        self._path = home.database
        self.ledger: Ledger

    async def __aenter__(self) -> Self:
        self.ledger = await open_readonly(self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.ledger.close()

    async def size(self) -> int:
        """How many receipts are durable now."""
        return read(await self.ledger.checkpoint()).checkpoint.size

    async def receipts(self, start: int, task: str | None = None) -> AsyncIterator[tuple[Receipt, bytes]]:
        """Durable receipts from `start` on, with their exact bytes."""
        async for seq, leaf in self.ledger.leaves(start, await self.size(), task=task):
            yield decode(seq, leaf), leaf

    async def entries(self, receipt: Receipt, timeline: Timeline) -> list[Entry]:
        """What the timeline tells of one receipt, with the values kept beside it."""
        named = isinstance(receipt.body, Intent | Denial)
        values = {value.name: value.data for value in await self.ledger.values(receipt.seq)} if named else {}
        return list(timeline.take(receipt, values))


async def show(home: Home, screen: Screen, *, task: str | None, follow: bool) -> None:
    """The timeline of the record, in the order of what was decided; with `follow`, as it happens, until interrupted."""
    timeline, start, since = Timeline(), 0, None
    told: list[Any] = []
    while True:
        entries: list[Entry] = []
        async with Record(home) as record:
            async for receipt, leaf in record.receipts(start, task):
                start = receipt.seq + 1
                since = receipt.at if since is None else since
                entries += await record.entries(receipt, timeline)
                if screen.json:
                    told.append(json.loads(leaf))
        if not follow:
            entries = sorted([*entries, *timeline.rest()])
            screen.answer(
                {"receipts": told}, [line(entry, screen, since=since or 0) for entry in entries] or ["nothing yet"]
            )
            return
        for one in told:
            screen.event(one)
        told.clear()
        if entries:
            screen.say(*(line(entry, screen, since=since or 0) for entry in entries))
        await asyncio.sleep(FOLLOW_S)
