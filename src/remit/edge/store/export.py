"""Out of a store and onto a disk: bundles and portable receipts (see `ledger/bundle.py`), and back for the verifier.

An export is of the newest durable checkpoint; it can be taken while the gateway writes. It is built in memory, so it
needs about three times the ledger's size of it.
"""

import asyncio
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from remit.edge.store.reads import Ledger
from remit.errors import CallerFault
from remit.ledger import bundle, checkpoint
from remit.ledger.bundle import Blob, Bundle, Consistency, Manifest, Proof
from remit.ledger.merkle import Tree, split

_DIGEST: Final = re.compile(rb"sha256:[0-9a-f]{64}")
_PAGE: Final = 4096


async def export(
    ledger: Ledger, directory: Path, *, keys: Sequence[str], task: str | None = None, since: Sequence[int] = ()
) -> Bundle:
    """Write the whole ledger, or one task's receipts with proofs, to a new directory; return what was written.

    `keys` are the verifier keys to claim. `since` are sizes of earlier checkpoints to prove a task's bundle against;
    a whole bundle needs none. A task's bundle carries no key rotations: verify it with the newest key. Raises
    `CallerFault` when the directory is in use or the task has no receipts.
    """
    made = await (_whole(ledger, keys) if task is None else _of_task(ledger, task, keys=keys, since=since))
    await asyncio.to_thread(_save, directory, bundle.write(made))
    return made


async def prove(ledger: Ledger, seq: int, *, keys: Sequence[str], since: Sequence[int] = ()) -> bytes:
    """One receipt with its kept values as a portable JSON file. Raises `CallerFault` if it is not durable."""
    note, tree = await _tree(ledger)
    leaf = await ledger.leaf(seq)
    if leaf is None or seq >= tree.size:
        raise CallerFault(f"there is no receipt {seq}", f"the ledger holds receipts 0 to {tree.size - 1}")
    return bundle.write_portable(
        Bundle(
            manifest=Manifest(scope="receipt"),
            leaves=(leaf,),
            checkpoint=note,
            proofs=(Proof(seq, tree.inclusion(seq, tree.size)),),
            consistency=_consistency(tree, since),
            values=await ledger.values(seq),
            keys=tuple(keys),
        )
    )


async def consistency(ledger: Ledger, first: int, *, second: int | None = None) -> tuple[bytes, ...]:
    """The proof that the tree of `first` receipts is the beginning of that of `second` (the newest, if not said)."""
    _, tree = await _tree(ledger)
    second = tree.size if second is None else second
    if not 0 <= first <= second <= tree.size:
        raise CallerFault(f"there is no proof from {first} to {second}", f"the ledger has {tree.size} receipts")
    return tree.consistency(first, second)


def load(path: Path) -> Bundle:
    """A bundle from its directory, or from the file of a portable receipt. Raises `Unverified`, `CallerFault` when it
    cannot be opened.
    """
    try:
        if path.is_file():
            return bundle.read_portable(path.read_bytes())
        # Others are not even opened: they may be of any size.
        known = [file for file in sorted(path.iterdir()) if file.name in bundle.FILES and file.is_file()]
        return bundle.read({file.name: file.read_bytes() for file in known})
    except OSError as e:
        raise CallerFault(f"`{path}` cannot be read: {e.strerror}", "name a bundle's directory or a receipt") from e


async def _whole(ledger: Ledger, keys: Sequence[str]) -> Bundle:
    note = await ledger.checkpoint()
    size = checkpoint.read(note).checkpoint.size
    history = [old for old in await ledger.checkpoints() if checkpoint.read(old).checkpoint.size <= size]
    digests = await ledger.blobs()
    return Bundle(
        manifest=Manifest(),
        leaves=tuple([leaf async for _, leaf in ledger.leaves(0, size)]),
        hashes=await ledger.leaf_hashes(0, size),
        checkpoint=note,
        checkpoints=tuple(history),
        values=tuple(
            [v for at in range(0, size, _PAGE) for v in await ledger.values_between(at, min(at + _PAGE, size))]
        ),
        blobs=tuple([Blob(digest, await ledger.blob(digest) or b"") for digest in digests]),
        keys=tuple(keys),
    )


async def _of_task(ledger: Ledger, task: str, *, keys: Sequence[str], since: Sequence[int]) -> Bundle:
    note, tree = await _tree(ledger)
    found = [row async for row in ledger.leaves(0, tree.size, task=task)]
    if not found:
        raise CallerFault(f"the task `{task[:80]}` has no receipts", "`remit task list` names the tasks")
    values = [value for seq, _ in found for value in await ledger.values(seq)]
    return Bundle(
        manifest=Manifest(scope="task", task=task),
        leaves=tuple(leaf for _, leaf in found),
        checkpoint=note,
        proofs=tuple(Proof(seq, tree.inclusion(seq, tree.size)) for seq, _ in found),
        consistency=_consistency(tree, since),
        values=tuple(values),
        blobs=await _named(ledger, [*(leaf for _, leaf in found), *(value.data for value in values)]),
        keys=tuple(keys),
    )


async def _tree(ledger: Ledger) -> tuple[bytes, Tree]:
    note = await ledger.checkpoint()
    return note, Tree(split(await ledger.leaf_hashes(0, checkpoint.read(note).checkpoint.size)))


async def _named(ledger: Ledger, texts: list[bytes]) -> tuple[Blob, ...]:
    """Every blob the texts name by digest, and every blob those name."""
    found: dict[str, bytes] = {}
    seen: set[str] = set()
    while texts:
        for match in _DIGEST.findall(texts.pop()):
            digest = match.decode()
            if digest not in seen:
                seen.add(digest)
                data = await ledger.blob(digest)
                if data is not None:
                    found[digest] = data
                    texts.append(data)
    return tuple(Blob(digest, found[digest]) for digest in sorted(found))


def _consistency(tree: Tree, since: Sequence[int]) -> tuple[Consistency, ...]:
    beyond = [size for size in since if not 0 < size <= tree.size]
    if beyond:
        raise CallerFault(f"there is no checkpoint of size {beyond[0]}", f"the ledger has {tree.size} receipts")
    return tuple(Consistency(size, tree.consistency(size, tree.size)) for size in sorted(set(since)))


def _save(directory: Path, files: dict[str, bytes]) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise CallerFault(f"`{directory}` is not empty", "name a new directory")
        # The checkpoint is written last: what a crash leaves before it is no bundle, and says so when verified.
        for name, data in sorted(files.items(), key=lambda file: file[0] == "checkpoint"):
            with (directory / name).open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
    except OSError as e:
        raise CallerFault(f"`{directory}` cannot be written: {e.strerror}", "name a directory you may write to") from e
