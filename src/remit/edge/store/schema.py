"""The SQLite tables, and what each is for.

Evolution: `PRAGMA user_version` holds `SCHEMA`; a store of another version is refused, never guessed at.
"""

import sqlite3
from collections.abc import Iterable
from functools import cache
from itertools import chain
from typing import Any, Final

from msgspec import MsgspecError
from msgspec.json import Decoder as JsonDecoder, Encoder as JsonEncoder
from msgspec.msgpack import Decoder, Encoder

from remit.errors import StoreFault
from remit.ledger.receipt import Value

SCHEMA: Final = 2

# Every table that a group touches is at least one more page to log and to sync, so what moves together lies together.
#
# leaves   the ledger: `leaf` are exact bytes, never changed. The partial index orders a task's leaves by seq. `kept`
#          are the values beside it as `packed` makes them, NULL if there are none or they were erased.
# tiles    the hashes of leaves n * TILE to n * TILE + TILE - 1, one after the other, so that the tree is read at open
#          without reading the leaves. Only full ones: the hashes of the last few leaves are made of the leaves.
# now      one row: the marks that must move with the ledger, the newest checkpoint, and `open`, the seqs of intents
#          without an outcome as JSON, oldest first: what a start after a crash has to record as unknown.
# history  earlier checkpoints, one in a while (see `writer.MILESTONE_MS`).
TABLES: Final = """
CREATE TABLE leaves (seq INTEGER PRIMARY KEY, task TEXT, leaf BLOB NOT NULL, kept BLOB) STRICT;
CREATE INDEX leaves_by_task ON leaves (task) WHERE task IS NOT NULL;
CREATE TABLE tiles (n INTEGER PRIMARY KEY, hashes BLOB NOT NULL) STRICT;
CREATE TABLE state (kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, version INTEGER NOT NULL,
    PRIMARY KEY (kind, key)) STRICT, WITHOUT ROWID;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE blobs (digest TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE now (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL, high INTEGER NOT NULL,
    revision INTEGER NOT NULL, size INTEGER NOT NULL, checkpoint BLOB NOT NULL, open TEXT NOT NULL) STRICT;
CREATE TABLE history (size INTEGER PRIMARY KEY, checkpoint BLOB NOT NULL) STRICT;
"""

TILE: Final = 256

# Every statement is a hand-over of the interpreter between the writer thread and the event loop, so a group is
# written in few statements of many rows. These sizes keep the number of different statements small.
_ROWS_PER_STATEMENT: Final = (256, 128, 64, 32, *range(16, 0, -1))

_pack = Encoder().encode
_unpack = Decoder(tuple[Value, ...]).decode
_seqs = JsonEncoder().encode
_read_seqs = JsonDecoder(list[int]).decode


def many(db: sqlite3.Connection, head: str, *, rows: list[tuple[Any, ...]], tail: str = "") -> None:
    """Run `head VALUES (…), (…) tail` over all rows, in order."""
    at = 0
    for size in _ROWS_PER_STATEMENT:
        while len(rows) - at >= size:
            chunk = rows[at : at + size]
            statement = _statement(head, tail, rows=size, columns=len(chunk[0]))
            db.execute(statement, tuple(chain.from_iterable(chunk)))
            at += size


@cache
def _statement(head: str, tail: str, *, rows: int, columns: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"{head} VALUES {', '.join([row] * rows)} {tail}"


def packed(values: list[Value]) -> bytes:
    """A receipt's kept values as MessagePack, an array of `Value`."""
    return _pack(values)


def unpacked(seq: int, kept: bytes | None) -> tuple[Value, ...]:
    """What `packed` made, back. Raises `StoreFault`."""
    if kept is None:
        return ()
    try:
        return _unpack(kept)
    except MsgspecError as e:
        raise StoreFault(f"the values beside receipt {seq} cannot be read", "restore the store from a backup") from e


def listed(seqs: Iterable[int]) -> str:
    """Sequence numbers as they stand in `now.open`."""
    return _seqs(list(seqs)).decode()


def unlisted(text: str) -> list[int]:
    """What `listed` made, back. Raises `StoreFault`."""
    try:
        return _read_seqs(text)
    except MsgspecError as e:
        raise StoreFault("the list of open intents cannot be read", "restore the store from a backup") from e
