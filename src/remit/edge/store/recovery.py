"""Opening a store: make it if it is empty, else read what is really there and check that it holds together.

Checked at every open: the schema's version; the newest checkpoint's signature, under the signer's key or one that
handed over to it; that all leaf hashes lead to its root; that the last `REHASHED` leaves and those after the last
tile are there, have those hashes, and none stands beyond. Older leaves are read again by `remit ledger verify`, not
at each start.
"""

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from remit.commit.model import Row
from remit.commit.state import OpenIntent, Saved
from remit.edge.store.schema import SCHEMA, TABLES, TILE, unlisted
from remit.errors import StoreFault, Unverified
from remit.ledger.checkpoint import Checkpoint, Key, Signer, parse_key, sign, verify
from remit.ledger.merkle import EMPTY_ROOT, Frontier, leaf_hash, split
from remit.ledger.receipt import Intent, KeyEvent, Receipt
from remit.ledger.rotation import links
from remit.ledger.walk import decode

REHASHED: Final = 1024

_ADVICE: Final = "do not write to it; export it, compare it with a saved checkpoint, restore a backup"


def create(db: sqlite3.Connection, path: Path, *, signer: Signer) -> None:
    """Make the tables and the checkpoint of the empty tree, in one transaction, if nothing is there."""
    version, tables = db.execute(
        "SELECT (SELECT user_version FROM pragma_user_version), count(*) FROM sqlite_schema"
    ).fetchone()
    if version == SCHEMA:
        return
    if version or tables:
        raise StoreFault(f"`{path}` is no store of schema {SCHEMA}", "use the Remit version that wrote it")
    # A crash before COMMIT leaves an empty file, as before.
    db.execute("BEGIN IMMEDIATE")
    for statement in TABLES.split(";\n"):
        db.execute(statement)
    empty = sign(Checkpoint(signer.name, 0, EMPTY_ROOT), signer)
    db.execute("INSERT INTO now VALUES (1, 0, 0, 0, 0, ?, '[]')", (empty,))
    db.execute(f"PRAGMA user_version = {SCHEMA}")
    db.execute("COMMIT")
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(directory)
    os.close(directory)


def recover(db: sqlite3.Connection, path: Path, *, signer: Signer, keys: Iterable[Key]) -> Saved:
    """The state to go on from. Raises `StoreFault` naming what does not hold together."""
    marks = db.execute("SELECT epoch, high, revision, size, checkpoint, open FROM now").fetchone()
    if marks is None:
        raise StoreFault(f"the store `{path}` holds no checkpoint", _ADVICE)
    epoch, high, revision, size, note, intents = marks
    try:
        checkpoint = _trusted(db, note, known=(parse_key(signer.verifier_key()), *keys))
        frontier = _tree(db, checkpoint)
    except Unverified as e:
        raise StoreFault(f"the store `{path}` does not hold together: {e.message}", _ADVICE) from e
    if checkpoint.size != size:
        raise StoreFault(f"the store `{path}` has {size} receipts, its checkpoint {checkpoint.size}", _ADVICE)
    return Saved(
        epoch=epoch,
        high=high,
        revision=revision,
        rows={
            (kind, key): Row(value=value, version=version)
            for kind, key, value, version in db.execute("SELECT kind, key, value, version FROM state")
        },
        counters=dict(db.execute("SELECT name, value FROM counters")),
        tasks=dict(db.execute("SELECT task, count(*) FROM leaves WHERE task IS NOT NULL GROUP BY task")),
        blobs={digest for (digest,) in db.execute("SELECT digest FROM blobs")},
        open=_open_intents(db, unlisted(intents)),
        frontier=frontier,
    )


def _trusted(db: sqlite3.Connection, note: bytes, *, known: tuple[Key, ...]) -> Checkpoint:
    try:
        return verify(note, known)
    except Unverified:
        # The signer may be new: then the ledger says who handed over to it. One who handed over signs no more.
        found = (_receipt(*row).body for row in db.execute(_KEY_EVENTS))
        _, retired = links(known, [event for event in found if isinstance(event, KeyEvent)])
        return verify(note, (*known, *retired))


_KEY_EVENTS: Final = """SELECT seq, leaf FROM leaves WHERE instr(leaf, CAST('"kind":"key"' AS BLOB)) ORDER BY seq"""


def _tree(db: sqlite3.Connection, checkpoint: Checkpoint) -> Frontier:
    hashes: list[bytes] = []
    for n, tile in db.execute("SELECT n, hashes FROM tiles ORDER BY n"):
        full = split(tile)
        if n * TILE != len(hashes) or len(full) != TILE:
            raise Unverified(f"the hash of receipt {len(hashes)} is missing")
        hashes += full
    if len(hashes) != checkpoint.size - checkpoint.size % TILE:
        raise Unverified(f"the checkpoint is of {checkpoint.size} receipts, there are tiles of {len(hashes)}")
    due = min(len(hashes), max(checkpoint.size - REHASHED, 0))
    for seq, leaf in db.execute("SELECT seq, leaf FROM leaves WHERE seq >= ? ORDER BY seq", (due,)):
        hashed = leaf_hash(leaf)
        if seq != due or (seq < len(hashes) and hashes[seq] != hashed):
            raise Unverified(f"receipt {due} is not the one that was recorded")
        due += 1
        if seq >= len(hashes):
            hashes.append(hashed)
    if due != checkpoint.size:
        raise Unverified(f"there are {due} receipts, the checkpoint is of {checkpoint.size}")
    frontier = Frontier()
    for hashed in hashes:
        frontier.append(hashed)
    if frontier.root() != checkpoint.root:
        raise Unverified(f"the leaf hashes do not lead to the root of the checkpoint of size {checkpoint.size}")
    return frontier


def _open_intents(db: sqlite3.Connection, seqs: list[int]) -> dict[int, OpenIntent]:
    found = {}
    for seq in seqs:
        row = db.execute("SELECT seq, leaf FROM leaves WHERE seq = ?", (seq,)).fetchone()
        receipt = row and _receipt(*row)
        if not receipt or not isinstance(receipt.body, Intent):
            raise StoreFault(f"receipt {seq} is marked as an open intent and is none", _ADVICE)
        found[seq] = OpenIntent(seq, receipt.body, receipt.task)
    return found


def _receipt(seq: int, leaf: bytes) -> Receipt:
    try:
        return decode(seq, leaf)
    except Unverified as e:
        raise StoreFault(e.message, _ADVICE) from e
