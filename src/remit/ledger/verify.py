"""Is this what happened? The verifier: a bundle, trusted keys and any earlier checkpoints in, a `Report` out.

It believes nothing of the bundle but what the keys and the tree prove, and it names the first thing wrong, in this
order:

1. the checkpoint is one, and its root is that of the listed leaf hashes (or each leaf's proof leads to it)
2. every receipt hashes to its place: a changed byte names exactly that receipt
3. the checkpoint is signed by a trusted key, or one that a trusted key handed over to
4. every checkpoint of the history, and every earlier one the auditor saved, is a beginning of this tree
5. receipt by receipt: version, number, time, the task's gap-free counter, intents and outcomes one to one, values
6. blobs have their digests

What only a whole bundle shows: that nothing at all was left out. A task's bundle shows that nothing is missing before
its last receipt; that it is the task's last needs a whole one. It never writes and never asks a clock.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from msgspec import Struct

from remit.canonical import digest
from remit.errors import Unverified
from remit.ledger.bundle import Bundle
from remit.ledger.checkpoint import Checkpoint, Key, Note, parse_key, read, signed_by
from remit.ledger.merkle import Tree, check_consistency, check_inclusion, leaf_hash, split
from remit.ledger.receipt import KeyEvent, Value
from remit.ledger.rotation import links
from remit.ledger.walk import Walk, decode


class Report(Struct, frozen=True, kw_only=True):
    """What was proven. `open_intents` are seqs of calls whose outcome is not recorded; `values_missing` were never
    kept or not exported, `values_erased` were erased by a receipt of this bundle.
    """

    scope: str
    origin: str
    size: int
    root: str
    receipts: int
    tasks: int
    open_intents: tuple[int, ...]
    values_checked: int
    values_missing: int
    values_erased: int
    blobs: int
    checkpoints: int


def verify(bundle: Bundle, keys: Sequence[Key], earlier: Iterable[bytes] = ()) -> Report:
    """Check everything; `earlier` are signed notes saved outside. Raises `Unverified` naming the first thing wrong."""
    note = read(bundle.checkpoint)
    checkpoint = note.checkpoint
    tree = _placed(bundle, checkpoint)
    trusted, retired = links(keys, _key_events(bundle))
    signed_by(note, trusted)
    known = (*trusted, *retired)
    _check_claimed(bundle.keys, known)
    _check_history(bundle, checkpoint, tree=tree, keys=known)
    for saved in earlier:
        old = _signed(read(saved), known, what="an earlier checkpoint")
        _check_earlier(bundle, checkpoint, tree=tree, old=old)
    walk = _walked(bundle)
    _check_blobs(bundle)
    return Report(
        scope=bundle.manifest.scope,
        origin=checkpoint.origin,
        size=checkpoint.size,
        root=checkpoint.root.hex(),
        receipts=len(bundle.leaves),
        tasks=len(walk.tasks),
        open_intents=tuple(walk.open),
        values_checked=walk.checked,
        values_missing=walk.missing,
        values_erased=walk.erased,
        blobs=len(bundle.blobs),
        checkpoints=len(bundle.checkpoints),
    )


def _placed(bundle: Bundle, checkpoint: Checkpoint) -> Tree | None:
    if bundle.manifest.scope == "whole":
        return _whole(bundle, checkpoint)
    _proven(bundle, checkpoint)
    return None


def _whole(bundle: Bundle, checkpoint: Checkpoint) -> Tree:
    """The tree of all leaves, each of them in its place."""
    if bundle.proofs:
        raise Unverified("a whole bundle holds leaf hashes, not proofs")
    listed = split(bundle.hashes)
    seen = [leaf_hash(leaf) for leaf in bundle.leaves]
    tree = Tree(listed)
    if len(listed) != checkpoint.size or tree.root() != checkpoint.root:
        raise Unverified(_misfit(bundle, checkpoint, seen=seen, listed=listed))
    for seq, (here, there) in enumerate(zip(seen, listed, strict=False)):
        if here != there:
            raise Unverified(f"receipt {seq} is not the one that was recorded")
    if len(seen) != len(listed):
        raise Unverified(f"receipt {min(len(seen), len(listed))} is missing or was never recorded")
    return tree


def _misfit(bundle: Bundle, checkpoint: Checkpoint, *, seen: list[bytes], listed: list[bytes]) -> str:
    """Which of three do not fit each other: the receipts, the list of their hashes, the checkpoint?"""
    tree = Tree(seen)
    if len(seen) == checkpoint.size and tree.root() == checkpoint.root:
        changed = next((seq for seq, hashed in enumerate(seen) if listed[seq : seq + 1] != [hashed]), len(seen))
        return f"entry {changed} of the list of leaf hashes was changed"
    fits = 0
    for old in bundle.checkpoints:
        size, root = (found := read(old).checkpoint).size, found.root
        if size > tree.size or tree.root(size) != root:
            break
        fits = size
    if len(seen) < checkpoint.size:
        return f"the checkpoint covers {checkpoint.size} receipts and {len(seen)} are here: some were dropped"
    return f"the checkpoint of size {checkpoint.size} does not fit: receipt {fits} or a later one was changed"


def _proven(bundle: Bundle, checkpoint: Checkpoint) -> None:
    """Each leaf in its place by its own proof."""
    if bundle.hashes or bundle.checkpoints or not bundle.proofs or len(bundle.proofs) != len(bundle.leaves):
        raise Unverified("the bundle does not hold receipts with one proof each")
    if bundle.manifest.scope == "receipt" and len(bundle.leaves) != 1:
        raise Unverified("the bundle holds several receipts and says that it holds one")
    for leaf, proof in zip(bundle.leaves, bundle.proofs, strict=True):
        with _named(f"receipt {proof.seq}"):
            check_inclusion(leaf_hash(leaf), proof.seq, size=checkpoint.size, proof=proof.path, root=checkpoint.root)


def _key_events(bundle: Bundle) -> Iterator[KeyEvent]:
    for seq, leaf in zip(_seqs(bundle), bundle.leaves, strict=True):
        if b'"kind":"key"' in leaf:
            body = decode(seq, leaf).body
            if isinstance(body, KeyEvent):
                with _named(f"receipt {seq}"):
                    links((), (body,))
                yield body


def _check_claimed(claimed: Iterable[str], known: Sequence[Key]) -> None:
    for text in claimed:
        if parse_key(text) not in known:
            raise Unverified(f"the bundle claims the key `{text}`, which is not trusted")


def _check_history(bundle: Bundle, checkpoint: Checkpoint, *, tree: Tree | None, keys: Sequence[Key]) -> None:
    last = 0
    for number, old in enumerate(bundle.checkpoints, start=1):
        with _named(f"checkpoint {number} of the history"):
            found = _signed(read(old), keys, what="signature")
            if found.size < last:
                raise Unverified(f"its size {found.size} is less than the one before it")
            last = found.size
            _check_earlier(bundle, checkpoint, tree=tree, old=found)


def _signed(note: Note, keys: Sequence[Key], *, what: str) -> Checkpoint:
    with _named(what):
        signed_by(note, keys)
    return note.checkpoint


def _check_earlier(bundle: Bundle, checkpoint: Checkpoint, *, tree: Tree | None, old: Checkpoint) -> None:
    """The tree begins with the old one."""
    if old.origin != checkpoint.origin:
        raise Unverified(f"the checkpoint of `{old.origin}` is of another log than `{checkpoint.origin}`")
    if old.size > checkpoint.size:
        raise Unverified(
            f"the ledger was truncated: it had {old.size} receipts, the checkpoint covers {checkpoint.size}"
        )
    if not (_extends(bundle, checkpoint, old=old) if tree is None else tree.root(old.size) == old.root):
        raise Unverified(
            f"the ledger was forked: it does not extend the checkpoint of size {old.size}, "
            f"so a receipt before {old.size} was changed, dropped or reordered"
        )


def _extends(bundle: Bundle, checkpoint: Checkpoint, *, old: Checkpoint) -> bool:
    proofs = {proof.first: proof.path for proof in bundle.consistency}
    if old.size not in proofs and 0 < old.size < checkpoint.size:
        raise Unverified(
            f"the bundle holds no consistency proof from size {old.size}",
            "export it again since that size, or verify a whole bundle",
        )
    try:
        path = proofs.get(old.size, ())
        check_consistency((old.size, old.root), (checkpoint.size, checkpoint.root), path)
    except Unverified:
        return False
    return True


def _walked(bundle: Bundle) -> Walk:
    kept: dict[int, list[Value]] = {}
    for value in bundle.values:
        kept.setdefault(value.seq, []).append(value)
    walk = Walk(bundle.manifest.scope, bundle.manifest.task)
    for seq, leaf in zip(_seqs(bundle), bundle.leaves, strict=True):
        receipt = decode(seq, leaf)
        with _named(f"receipt {seq}"):
            walk.step(seq, receipt, values=kept.pop(seq, ()))
    if kept:
        raise Unverified(f"a value is kept for receipt {min(kept)}, which is not in the bundle")
    return walk


def _check_blobs(bundle: Bundle) -> None:
    for blob in bundle.blobs:
        if digest(blob.data) != blob.digest:
            raise Unverified(f"the blob `{blob.digest}` does not have that digest")


def _seqs(bundle: Bundle) -> Iterable[int]:
    return (proof.seq for proof in bundle.proofs) if bundle.proofs else range(len(bundle.leaves))


@contextmanager
def _named(what: str) -> Iterator[None]:
    try:
        yield
    except Unverified as e:
        raise Unverified(f"{what}: {e.message}", e.advice) from e
