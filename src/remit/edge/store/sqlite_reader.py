"""Reading the SQLite store, beside the writer or without one. It imports little: `remit ledger show` starts with it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from remit.edge.store.schema import SCHEMA, TILE, unlisted, unpacked
from remit.errors import StoreFault
from remit.ledger.merkle import HASH_BYTES, leaf_hash
from remit.ledger.receipt import Value

_PAGE: Final = 512


class SqliteReader:
    """Reads of one connection. Raises `StoreFault` when the file cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with faults(path):
            self._db = connect(path, "ro")
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
        if found != SCHEMA:
            self._db.close()
            raise StoreFault(f"`{path}` is no store of schema {SCHEMA}", "use the Remit version that wrote it")

    def leaf(self, seq: int) -> bytes | None:
        """The exact bytes of a receipt."""
        return self._one("SELECT leaf FROM leaves WHERE seq = ?", seq)

    def page(self, start: int, stop: int, *, task: str | None) -> list[tuple[int, bytes]]:
        """At most `_PAGE` leaves."""
        if task is None:
            sql = "SELECT seq, leaf FROM leaves WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT ?"
            return self._all(sql, start, stop, _PAGE)
        sql = "SELECT seq, leaf FROM leaves WHERE task = ? AND seq >= ? AND seq < ? ORDER BY seq LIMIT ?"
        return self._all(sql, task, start, stop, _PAGE)

    def hashes(self, start: int, stop: int) -> bytes:
        """Concatenated leaf hashes: of the tiles as far as they reach, then made of the leaves."""
        first = max(start, 0) // TILE
        sql = "SELECT hashes FROM tiles WHERE n >= ? AND n * ? < ? ORDER BY n"
        tiled = b"".join([hashes for (hashes,) in self._all(sql, first, TILE, stop)])
        # A leaf is never changed or taken away, so it does not matter if another tile fills up between the two reads.
        at = first * TILE + len(tiled) // HASH_BYTES
        rest = self._all("SELECT leaf FROM leaves WHERE seq >= ? AND seq < ? ORDER BY seq", at, stop)
        found = tiled + b"".join([leaf_hash(leaf) for (leaf,) in rest])
        return found[(max(start, 0) - first * TILE) * HASH_BYTES : max(stop - first * TILE, 0) * HASH_BYTES]

    def values(self, start: int, stop: int) -> tuple[Value, ...]:
        """The values kept beside some receipts."""
        rows = self._all("SELECT seq, kept FROM leaves WHERE seq >= ? AND seq < ? ORDER BY seq", start, stop)
        return tuple([value for seq, kept in rows for value in unpacked(seq, kept)])

    def blob(self, digest: str) -> bytes | None:
        """A content-addressed blob."""
        return self._one("SELECT data FROM blobs WHERE digest = ?", digest)

    def blobs(self) -> tuple[str, ...]:
        """The digests of all blobs."""
        return tuple(digest for (digest,) in self._all("SELECT digest FROM blobs ORDER BY rowid"))

    def size(self) -> int:
        """How many receipts there are."""
        return self._all("SELECT size FROM now")[0][0]  # type: ignore[no-any-return]

    def open_intents(self) -> list[int]:
        """The seqs of intents without an outcome, oldest first."""
        return unlisted(self._all("SELECT open FROM now")[0][0])

    def checkpoint(self) -> bytes:
        """The newest checkpoint."""
        found = self._one("SELECT checkpoint FROM now")
        if found is None:
            raise StoreFault(f"`{self._path}` holds no checkpoint", "restore it from a backup")
        return found

    def checkpoints(self) -> tuple[bytes, ...]:
        """The history's checkpoints."""
        return tuple(note for (note,) in self._all("SELECT checkpoint FROM history ORDER BY size"))

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _all(self, sql: str, *arguments: Any) -> list[Any]:
        with faults(self._path):
            return self._db.execute(sql, arguments).fetchall()

    def _one(self, sql: str, *arguments: Any) -> bytes | None:
        rows = self._all(sql, *arguments)
        return rows[0][0] if rows else None


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """A connection any one thread at a time may use; transactions are begun by hand."""
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,  # more than `schema.many` makes
        timeout=5,
    )
    db.execute("PRAGMA temp_store = MEMORY")
    return db


@contextmanager
def faults(path: Path) -> Iterator[None]:
    """Foreign errors become ours once, here."""
    try:
        yield
    except (sqlite3.Error, OSError) as e:
        raise StoreFault(f"the store `{path}` cannot be read or written: {e}", "check the file and its disk") from e
