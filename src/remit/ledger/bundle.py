"""How a ledger leaves the house: bytes to structs and back, no files.

An export is a directory. `leaves.jsonl` holds the exact leaf bytes, one a line; every other line is the one JSON
spelling of a struct below (binary as base64), so a changed byte is either refused here or changes a checked value.

    manifest.json       format, scope (`whole`, `task`, `receipt`), the task
    leaves.jsonl        receipts, in order
    hashes              whole: 32-byte leaf hashes of the whole tree
    proofs.jsonl        task, receipt: index and inclusion proof of each leaf, in the leaves' order
    checkpoint          the newest signed note
    checkpoints.jsonl   whole: earlier signed notes, so that the first bad one can be named
    consistency.jsonl   task, receipt: proofs from earlier sizes to the checkpoint's
    values.jsonl        kept values with their salts
    blobs.jsonl         what receipts name by digest
    keys.json           verifier keys as claimed; whoever verifies brings the trusted ones

A portable receipt is a bundle of one leaf in one JSON file (`Portable`).

Evolution: any change to these files is a new `format`; a reader refuses one it does not know. Receipts inside have a
version of their own.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, Literal, TypeVar

import msgspec
from msgspec import Struct

from remit.errors import Unverified
from remit.ledger.receipt import Value

BUNDLE_FORMAT: Final = 1
FILES: Final = frozenset(
    {
        *("manifest.json", "leaves.jsonl", "hashes", "proofs.jsonl", "checkpoint", "checkpoints.jsonl"),
        *("consistency.jsonl", "values.jsonl", "blobs.jsonl", "keys.json"),
    }
)

_T = TypeVar("_T")


class Manifest(Struct, frozen=True, kw_only=True):
    """What the bundle claims to hold. `task` is set for the scope `task` only."""

    format: int = BUNDLE_FORMAT
    scope: Literal["whole", "task", "receipt"] = "whole"
    task: str | None = None


class Proof(Struct, frozen=True):
    """RFC 9162 inclusion proof of the leaf at `seq` in the checkpoint's tree."""

    seq: int
    path: tuple[bytes, ...]


class Consistency(Struct, frozen=True):
    """RFC 9162 consistency proof from the tree of `first` leaves to the checkpoint's."""

    first: int
    path: tuple[bytes, ...]


class Blob(Struct, frozen=True):
    """Content-addressed bytes: policy sets, contracts, catalogue rows."""

    digest: str
    data: bytes


class Bundle(Struct, frozen=True, kw_only=True):
    """An export in memory, nothing believed yet. `leaves` are exact bytes; either `hashes` or `proofs` bind them."""

    manifest: Manifest
    leaves: tuple[bytes, ...]
    checkpoint: bytes
    hashes: bytes = b""
    proofs: tuple[Proof, ...] = ()
    checkpoints: tuple[bytes, ...] = ()
    consistency: tuple[Consistency, ...] = ()
    values: tuple[Value, ...] = ()
    blobs: tuple[Blob, ...] = ()
    keys: tuple[str, ...] = ()


class Portable(Struct, frozen=True, kw_only=True):
    """One receipt that verifies by itself: `leaf` is its exact text, `checkpoint` the signed note."""

    format: int = BUNDLE_FORMAT
    leaf: str
    proof: Proof
    checkpoint: str
    values: tuple[Value, ...] = ()
    consistency: tuple[Consistency, ...] = ()
    keys: tuple[str, ...] = ()


def encode(item: Any) -> bytes:
    """The one spelling of a struct of this module, a string or a list of strings."""
    return msgspec.json.encode(item)


def lines(items: Iterable[Any]) -> bytes:
    """`encode`, one a line."""
    return b"".join(encode(item) + b"\n" for item in items)


def write(bundle: Bundle) -> dict[str, bytes]:
    """The bundle's files by name."""
    files = {
        "manifest.json": encode(bundle.manifest),
        "leaves.jsonl": b"".join(leaf + b"\n" for leaf in bundle.leaves),
        "hashes": bundle.hashes,
        "proofs.jsonl": lines(bundle.proofs),
        "checkpoint": bundle.checkpoint,
        "checkpoints.jsonl": lines(note.decode() for note in bundle.checkpoints),
        "consistency.jsonl": lines(bundle.consistency),
        "values.jsonl": lines(bundle.values),
        "blobs.jsonl": lines(bundle.blobs),
        "keys.json": encode(bundle.keys),
    }
    return {name: data for name, data in files.items() if data or name == "leaves.jsonl"}


def read(files: Mapping[str, bytes]) -> Bundle:
    """A bundle from its files. Raises `Unverified` naming the file, and the line, that is not as written."""
    for name in ("manifest.json", "leaves.jsonl", "checkpoint"):
        if name not in files:
            raise Unverified(f"`{name}` is missing from the bundle")
    return Bundle(
        manifest=_manifest(files["manifest.json"]),
        leaves=tuple(_split(files["leaves.jsonl"])),
        hashes=files.get("hashes", b""),
        proofs=_lines(files, "proofs.jsonl", kind=Proof),
        checkpoint=files["checkpoint"],
        checkpoints=tuple(note.encode() for note in _lines(files, "checkpoints.jsonl", kind=str)),
        consistency=_lines(files, "consistency.jsonl", kind=Consistency),
        values=_lines(files, "values.jsonl", kind=Value),
        blobs=_lines(files, "blobs.jsonl", kind=Blob),
        keys=_one(files.get("keys.json", b"[]"), "`keys.json`", kind=tuple[str, ...]),
    )


def write_portable(bundle: Bundle) -> bytes:
    """A bundle of the scope `receipt` as one JSON file."""
    return encode(
        Portable(
            leaf=bundle.leaves[0].decode(),
            proof=bundle.proofs[0],
            checkpoint=bundle.checkpoint.decode(),
            values=bundle.values,
            consistency=bundle.consistency,
            keys=bundle.keys,
        )
    )


def read_portable(data: bytes) -> Bundle:
    """A portable receipt as a bundle. Raises `Unverified`."""
    _known(data, "the receipt's file")
    found = _one(data, "the receipt's file", kind=Portable)
    return Bundle(
        manifest=Manifest(scope="receipt"),
        leaves=(found.leaf.encode(),),
        proofs=(found.proof,),
        checkpoint=found.checkpoint.encode(),
        consistency=found.consistency,
        values=found.values,
        keys=found.keys,
    )


def read_published(data: bytes) -> tuple[bytes, ...]:
    """Checkpoints published outside the store, one JSON string a line, oldest first.

    A last line that a crash tore is left out. Raises `Unverified` for any other.
    """
    whole, _, last = data.rpartition(b"\n")
    found = _lines({"": whole}, "", kind=str, what="the published checkpoints")
    with suppress(Unverified):
        found = (*found, _one(last, "", kind=str))
    return tuple(note.encode() for note in found)


class _Versioned(Struct):
    format: int


def _known(data: bytes, what: str) -> None:
    try:
        found = msgspec.json.decode(data, type=_Versioned).format
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise Unverified(f"{what} does not say its format") from e
    if found != BUNDLE_FORMAT:
        raise Unverified(f"{what} is of the unknown format version {found}", "verify it with a newer Remit")


def _manifest(data: bytes) -> Manifest:
    _known(data, "`manifest.json`")
    manifest = _one(data, "`manifest.json`", kind=Manifest)
    if (manifest.task is not None) != (manifest.scope == "task"):
        raise Unverified("`manifest.json` names a task although its scope is none, or none although it is")
    return manifest


def _lines(files: Mapping[str, bytes], name: str, *, kind: type[_T], what: str = "") -> tuple[_T, ...]:
    what = what or f"`{name}`"
    return tuple(
        _one(line, f"{what} line {number}", kind=kind)
        for number, line in enumerate(_split(files.get(name, b"")), start=1)
    )


def _split(data: bytes) -> list[bytes]:
    found = data.split(b"\n")
    return found if found[-1] else found[:-1]


def _one(data: bytes, what: str, *, kind: type[_T]) -> _T:
    try:
        found = msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise Unverified(f"{what} cannot be read") from e
    if encode(found) != data:
        raise Unverified(f"{what} is not as it was written")
    return found
