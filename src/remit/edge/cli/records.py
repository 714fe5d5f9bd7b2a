"""The record read where it lies: beside a running gateway or without one, and never written."""

import json
import time
from collections.abc import Iterator
from typing import Any, Final, Self

from remit.edge.cli.home import Home
from remit.edge.cli.output import Screen
from remit.edge.cli.timeline import Entry, Timeline, line
from remit.edge.store.sqlite_reader import SqliteReader
from remit.errors import CallerFault
from remit.ledger.receipt import Denial, Intent, Receipt
from remit.ledger.walk import decode

FOLLOW_S: Final = 0.3


class Record:
    """The ledger of a home, open for reading. Raises `StoreFault`."""

    def __init__(self, home: Home) -> None:
        self.ledger = SqliteReader(home.database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ledger.close()

    def receipts(self, start: int, task: str | None = None) -> Iterator[tuple[Receipt, bytes]]:
        """Durable receipts from `start` on, of one task if named, with their exact bytes."""
        size = self.ledger.size()
        while page := self.ledger.page(start, size, task=task):
            for seq, leaf in page:
                yield decode(seq, leaf), leaf
            start = page[-1][0] + 1

    def entries(self, receipt: Receipt, timeline: Timeline) -> list[Entry]:
        """What the timeline tells of one receipt, with the values kept beside it."""
        named = isinstance(receipt.body, Intent | Denial)
        kept = self.ledger.values(receipt.seq, receipt.seq + 1) if named else ()
        return list(timeline.take(receipt, {value.name: value.data for value in kept}))


def show(home: Home, screen: Screen, *, task: str | None, follow: bool) -> None:
    """The timeline of the record, in the order of what was decided; with `follow`, as it happens, until interrupted.
    Raises `CallerFault` for a task that has no receipt.
    """
    timeline, start, since = Timeline(), 0, None
    told: list[Any] = []
    while True:
        entries: list[Entry] = []
        with Record(home) as record:
            for receipt, leaf in record.receipts(start, task):
                start = receipt.seq + 1
                since = receipt.at if since is None else since
                entries += record.entries(receipt, timeline)
                if screen.json:
                    told.append(json.loads(leaf))
        if task is not None and not start:
            raise CallerFault(f"there is no task `{task}` in the record", "`remit task list` shows what there is")
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
        time.sleep(FOLLOW_S)
