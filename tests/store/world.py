"""A store in a small world: a clock that is set, a disk that fills up, faults that strike, and both drivers."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from remit.edge.store.export import export
from remit.edge.store.memory import Memory, open_memory
from remit.edge.store.sequencer import Sequencer
from remit.edge.store.sqlite import open_sqlite
from remit.ledger.bundle import Bundle
from remit.ledger.verify import Report, verify
from remit.limits import DISK_ALARM_BYTES
from tests.ledger.story import key, signer


class Struck(Exception):
    """The fault that a test planned."""


class World:
    """One store's surroundings. `open` opens it, again and again."""

    def __init__(self, driver: str, directory: Path) -> None:
        self.driver, self.directory = driver, directory
        self.memory = Memory()
        self.path = directory / "remit.db"
        self.signer = signer()
        self.at = 1_700_000_000_000
        self.free = 2 * DISK_ALARM_BYTES
        self.alarms: list[tuple[str, str]] = []
        self.strike_at = ""
        self.points: list[str] = []
        self.pause: Callable[[], object] = lambda: None
        self._exports: Iterator[int] = iter(range(1000))

    def fault(self, point: str) -> None:
        self.points.append(point)
        self.pause()
        if point == self.strike_at:
            raise Struck(point)

    async def open(self) -> Sequencer:
        given = {
            "signer": self.signer,
            "now": lambda: self.at,
            "salts": lambda: os.urandom(16),
            "free": lambda: self.free,
            "on_alarm": lambda alarm, detail: self.alarms.append((alarm, detail)),
            "fault": self.fault,
        }
        if self.driver == "memory":
            return await open_memory(memory=self.memory, **given)
        return await open_sqlite(self.path, **given)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Sequencer]:
        store = await self.open()
        try:
            yield store
        finally:
            await store.close()

    async def exported(self, store: Sequencer, task: str | None = None, since: tuple[int, ...] = ()) -> Bundle:
        directory = self.directory / f"export-{next(self._exports)}"
        return await export(store, directory, keys=[self.signer.verifier_key()], task=task, since=since)

    async def verified(self, store: Sequencer, earlier: tuple[bytes, ...] = ()) -> Report:
        """The whole ledger, checked the way an auditor would."""
        return verify(await self.exported(store), [key(self.signer)], earlier)
