"""The SQLite tables, and what each is for.

Evolution: `PRAGMA user_version` holds `SCHEMA`; a store of another version is refused, never guessed at.
"""

import sqlite3
from functools import cache
from typing import Any, Final

SCHEMA: Final = 1

# leaves        the ledger: exact bytes, written once. The partial index orders a task's leaves by seq.
# hashes        their leaf hashes apart, so that the tree is read at open without reading the leaves.
# kept          values beside the ledger, the n-th of a receipt under seq * VALUES_PER_RECEIPT_MAX + n; erasable.
# open_intents  intents without an outcome: what a start after a crash has to record as unknown.
# now           one row: the marks that must move with the ledger, and the newest checkpoint.
# history       earlier checkpoints, one in a while (see `sequencer.MILESTONE_MS`).
TABLES: Final = """
CREATE TABLE leaves (seq INTEGER PRIMARY KEY, task TEXT, leaf BLOB NOT NULL) STRICT;
CREATE INDEX leaves_by_task ON leaves (task) WHERE task IS NOT NULL;
CREATE TABLE hashes (seq INTEGER PRIMARY KEY, hash BLOB NOT NULL) STRICT;
CREATE TABLE kept (id INTEGER PRIMARY KEY, name TEXT NOT NULL, salt BLOB NOT NULL, data BLOB NOT NULL) STRICT;
CREATE TABLE open_intents (seq INTEGER PRIMARY KEY) STRICT;
CREATE TABLE state (kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, version INTEGER NOT NULL,
    PRIMARY KEY (kind, key)) STRICT, WITHOUT ROWID;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE blobs (digest TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE now (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL, high INTEGER NOT NULL,
    revision INTEGER NOT NULL, size INTEGER NOT NULL, checkpoint BLOB NOT NULL) STRICT;
CREATE TABLE history (size INTEGER PRIMARY KEY, checkpoint BLOB NOT NULL) STRICT;
"""

# Every statement is a hand-over of the interpreter between the writer thread and the event loop, so a group is
# written in few statements of many rows. These sizes keep the number of different statements small.
_ROWS_PER_STATEMENT: Final = (256, 128, 64, 32, 16, 8, 4, 2, 1)


def many(db: sqlite3.Connection, head: str, *, rows: list[tuple[Any, ...]], tail: str = "") -> None:
    """Run `head VALUES (…), (…) tail` over all rows, in order."""
    at = 0
    for size in _ROWS_PER_STATEMENT:
        while len(rows) - at >= size:
            chunk = rows[at : at + size]
            db.execute(
                _statement(head, tail, rows=size, columns=len(chunk[0])), [field for row in chunk for field in row]
            )
            at += size


@cache
def _statement(head: str, tail: str, *, rows: int, columns: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"{head} VALUES {', '.join([row] * rows)} {tail}"
