"""The store in one SQLite file: WAL, synchronous=FULL, one writer connection, reads on another.

What a crash leaves behind is said at each step of `persist`; SQLite itself repairs a torn transaction when the file
is opened next. Copying the write-ahead log back into the file is kept off the hot path: a thread of its own does the
bulk of it, and the writer only the last frames, between two groups.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from msgspec.json import Encoder

from remit.commit.state import State
from remit.edge.store.disk import Alarmed, Disk, free_bytes, unheard
from remit.edge.store.driver import Fault, Group, no_fault
from remit.edge.store.lock import Lock, beside
from remit.edge.store.reads import Ledger
from remit.edge.store.recovery import create, recover
from remit.edge.store.schema import TILE, listed, many, packed
from remit.edge.store.sequencer import Given, Sequencer
from remit.edge.store.sqlite_reader import SqliteReader, connect, faults
from remit.ledger.checkpoint import Key, Signer
from remit.ledger.merkle import HASH_BYTES

# Measured: a copy of 16 MiB takes about 20 ms of another thread; the WAL then stays near twice that.
SWEEP_BYTES: Final = 16 * 1024 * 1024
# Measured: what a group and a receipt cost in the log beside the receipt's own bytes; whole pages are logged.
_GROUP_BYTES: Final = 16 * 1024
_RECEIPT_BYTES: Final = 512

_UPSERT_STATE: Final = "ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, version = excluded.version"
# One statement for any number of counters: [[name, value], …] as JSON.
_COUNTERS: Final = """INSERT INTO counters
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?) WHERE true
ON CONFLICT (name) DO UPDATE SET value = excluded.value"""
_NOW: Final = "UPDATE now SET epoch = ?, high = ?, revision = ?, size = ?, checkpoint = ?, open = ?"

_json = Encoder().encode


class SqliteDriver(SqliteReader):
    """The one writer, holding the lock."""

    def __init__(self, path: Path, writer: sqlite3.Connection, *, lock: Lock, fault: Fault) -> None:
        super().__init__(path)
        self._writer, self._lock, self._fault = writer, lock, fault
        # What is durable of both; after a failed group nobody asks for it any more.
        size, intents = self.size(), self.open_intents()
        self._tail = bytearray(self.hashes(size - size % TILE, size))
        self._open = dict.fromkeys(intents)
        self._sweeper = ThreadPoolExecutor(max_workers=1, thread_name_prefix="remit-store-sweeper")
        self._sweeping: Future[None] | None = None
        self._written = 0
        # A crash may have left in the log what was erased before it.
        self._scrub = True

    def persist(self, group: Group) -> None:
        """One transaction. Raises whatever went wrong; the store above is then failed."""
        self._tidy()
        self._fault("begin")
        # A crash before COMMIT leaves the group out: SQLite ignores frames without a commit record at the next open.
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            self._write_receipts(group)
            self._fault("receipts")
            self._write_state(group)
            self._fault("state")
            self._write_checkpoint(group)
            self._fault("checkpoint")
            # A crash inside COMMIT leaves all of it or nothing. If all, intents whose writers never heard of it are
            # open intents: nothing was sent for them, and the next start records them as unknown.
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise
        # A crash from here on leaves the group whole; writers who were not told find their intents open.
        self._fault("committed")
        if group.erased:
            self._cut_log()

    def close(self) -> None:
        """Copy the log back and let the next one in."""
        super().close()
        self._sweeper.shutdown(wait=True)
        try:
            with faults(self._path):
                # A crash in here leaves the log to be read at the next open: nothing is lost.
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            self._writer.close()
            self._lock.release()

    def _write_receipts(self, group: Group) -> None:
        kept = {seq: packed(values) for seq, values in group.values.items()}
        rows = [(leaf.seq, leaf.task, leaf.data, kept.get(leaf.seq)) for leaf in group.leaves]
        many(self._writer, "INSERT INTO leaves", rows=rows)
        self._written += _GROUP_BYTES + _RECEIPT_BYTES * len(rows)
        self._written += sum([len(leaf.data) for leaf in group.leaves]) + sum(map(len, kept.values()))
        self._tail += b"".join([leaf.hash for leaf in group.leaves])
        while len(self._tail) >= TILE * HASH_BYTES:
            # The tail begins with the first leaf after the last full tile.
            first = group.size - len(self._tail) // HASH_BYTES
            full = bytes(self._tail[: TILE * HASH_BYTES])
            self._writer.execute("INSERT INTO tiles VALUES (?, ?)", (first // TILE, full))
            del self._tail[: len(full)]

    def _write_state(self, group: Group) -> None:
        db = self._writer
        for at, row in group.rows.items():
            if row is None:
                db.execute("DELETE FROM state WHERE kind = ? AND key = ?", at)
        rows = [(*at, row.value, row.version) for at, row in group.rows.items() if row is not None]
        many(db, "INSERT INTO state", rows=rows, tail=_UPSERT_STATE)
        if group.counters:
            db.execute(_COUNTERS, (_json(list(group.counters.items())).decode(),))
        many(db, "INSERT INTO blobs", rows=list(group.blobs.items()))
        for seq in group.erased:
            db.execute("UPDATE leaves SET kept = NULL WHERE seq = ?", (seq,))

    def _write_checkpoint(self, group: Group) -> None:
        self._open.update(dict.fromkeys(group.opened))
        for seq in group.closed:
            del self._open[seq]
        marks = (group.epoch, group.high, group.revision, group.size, group.checkpoint, listed(self._open))
        self._writer.execute(_NOW, marks)
        if group.milestone:
            self._writer.execute("INSERT OR REPLACE INTO history VALUES (?, ?)", (group.size, group.checkpoint))

    def _tidy(self) -> None:
        """Between groups: begin a sweep, or finish one, so that the log starts again from its beginning."""
        if self._scrub:
            self._cut_log()
        if self._written >= SWEEP_BYTES and self._sweeping is None:
            self._written = 0
            self._sweeping = self._sweeper.submit(sweep, self._path)
        if self._sweeping and self._sweeping.done():
            self._sweeping.result()
            self._sweeping = None
            self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _cut_log(self) -> None:
        """What was erased is still in old frames of the log until it is cut off; a reader may delay that."""
        busy = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        self._scrub = bool(busy)


async def open_sqlite(
    path: Path,
    *,
    signer: Signer,
    now: Callable[[], int],
    salts: Callable[[], bytes],
    free: Callable[[], int] | None = None,
    on_alarm: Alarmed = unheard,
    keys: Iterable[Key] = (),
    patience_s: float = 0,
    fault: Fault = no_fault,
) -> Sequencer:
    """The store at `path`, made if it is not there (mode 0600), after checking what is in it (see `recovery`).

    `now` is epoch ms, `salts` gives 16 random bytes a call, `free` the bytes left on the disk. `keys` are trusted
    beside the signer's own to have signed the newest checkpoint; a rotation in the ledger is followed without them.
    Raises `StoreFault` when another process has it open for longer than `patience_s`, or when what is there does not
    hold together.
    """
    lock = await asyncio.to_thread(Lock, beside(path), patience_s=patience_s)
    try:
        state, driver = await asyncio.to_thread(_open, path, lock, signer=signer, keys=tuple(keys), fault=fault)
    except BaseException:
        lock.release()
        raise
    disk = Disk(free or free_bytes(path.parent), on_alarm)
    return Sequencer(state, driver, signer=signer, disk=disk, given=Given(now, salts))


async def open_readonly(path: Path) -> Ledger:
    """The durable ledger at `path`, also while a gateway writes to it. Raises `StoreFault`."""
    return Ledger(await asyncio.to_thread(SqliteReader, path))


def sweep(path: Path) -> None:
    """Copy the write-ahead log back into the file, as far as no reader needs it. Runs beside the writer."""
    db = connect(path, "rw")
    try:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    finally:
        db.close()


def _open(path: Path, lock: Lock, *, signer: Signer, keys: tuple[Key, ...], fault: Fault) -> tuple[State, SqliteDriver]:
    with faults(path):
        if not path.exists():
            # A crash in here leaves an empty file, which the next open fills.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        writer = connect(path, "rw")
        try:
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 0", "secure_delete = ON"):
                writer.execute(f"PRAGMA {pragma}").fetchall()
            create(writer, path, signer=signer)
            saved = recover(writer, path, signer=signer, keys=keys)
            # Nobody else writes; a reader in the way only delays cutting the log, so waiting long is no use.
            writer.execute("PRAGMA busy_timeout = 100")
            return State(saved), SqliteDriver(path, writer, lock=lock, fault=fault)
        except BaseException:
            writer.close()
            raise
