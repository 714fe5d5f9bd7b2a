"""A small ledger to tamper with, made by the state machine the stores share; and the forger who holds the real key."""

import hashlib
from collections.abc import Iterator
from itertools import count

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from remit.canonical import digest
from remit.commit.model import Write
from remit.commit.state import Leaf, Saved, State
from remit.edge.keys.signing import LedgerSigner
from remit.ledger.bundle import Blob, Bundle, Consistency, Manifest, Proof
from remit.ledger.checkpoint import Checkpoint, Key, parse_key, sign
from remit.ledger.merkle import Tree
from remit.ledger.receipt import Actor, Asked, Denial, Draft, Erasure, Intent, Noise, Outcome, Value

ORIGIN = "example.org/remit"
OPERATOR = Actor(name="olga", kind="human", via="socket")
POLICY = b"permit(principal, action, resource);"


def signer(seed: str = "ledger", name: str = ORIGIN) -> LedgerSigner:
    """The same key for the same seed."""
    return LedgerSigner(name, Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest()))


def key(of: LedgerSigner) -> Key:
    return parse_key(of.verifier_key())


def salts() -> Iterator[bytes]:
    return (hashlib.sha256(f"salt {n}".encode()).digest()[:16] for n in count())


def intent(call: str, task: str, **values: bytes) -> Draft:
    asked = Asked(call=call, door="mcp-http", connector="git", name="log", policy_set=digest(POLICY))
    return Draft(body=Intent(asked=asked, epoch=0), task=task, values=values)


def outcome(call: str, task: str, seq: int, **values: bytes) -> Draft:
    return Draft(body=Outcome(call=call, intent=seq, outcome="completed"), task=task, values=values)


def denial(call: str, task: str) -> Draft:
    asked = Asked(call=call, door="mcp-http")
    return Draft(body=Denial(asked=asked, verdict="DENY", reason="policy.denied"), task=task)


def erasure(*seqs: int) -> Draft:
    return Draft(body=Erasure(receipts=seqs, actor=OPERATOR, reason="asked to"))


def noise() -> Draft:
    return Draft(body=Noise(counts={"identity.missing": 3}, first=1, last=2))


class Book:
    """A ledger in the making: every `write` is followed by a checkpoint, as in a store."""

    def __init__(self, by: LedgerSigner | None = None) -> None:
        self.signer = by or signer()
        self.state = State(Saved())
        self.leaves: list[Leaf] = []
        self.values: list[Value] = []
        self.erased: list[Value] = []
        self.blobs: dict[str, bytes] = {}
        self.checkpoints: list[bytes] = []
        self.at = 1_700_000_000_000
        self._salts = salts()

    def write(self, *drafts: Draft, **blobs: bytes) -> None:
        self.at += 10
        write = Write(drafts=drafts, blobs={digest(data): data for data in blobs.values()})
        delta = self.state.apply(write, self.at, salts=lambda: next(self._salts))
        self.leaves += delta.leaves
        self.erased += [value for value in self.values if value.seq in delta.erased]
        self.values += [value for kept in delta.values.values() for value in kept]
        self.values = [value for value in self.values if value.seq not in delta.erased]
        self.blobs |= delta.blobs
        self.checkpoints.append(signed([leaf.data for leaf in self.leaves], self.signer))

    def tree(self) -> Tree:
        return Tree([leaf.hash for leaf in self.leaves])

    def whole(self) -> Bundle:
        return Bundle(
            manifest=Manifest(),
            leaves=tuple(leaf.data for leaf in self.leaves),
            hashes=b"".join(leaf.hash for leaf in self.leaves),
            checkpoint=self.checkpoints[-1],
            checkpoints=tuple(self.checkpoints),
            values=tuple(self.values),
            blobs=tuple(Blob(name, data) for name, data in self.blobs.items()),
            keys=(self.signer.verifier_key(),),
        )

    def part(self, manifest: Manifest, seqs: list[int], since: tuple[int, ...] = ()) -> Bundle:
        tree = self.tree()
        return Bundle(
            manifest=manifest,
            leaves=tuple(self.leaves[seq].data for seq in seqs),
            checkpoint=self.checkpoints[-1],
            proofs=tuple(Proof(seq, tree.inclusion(seq, tree.size)) for seq in seqs),
            consistency=tuple(Consistency(size, tree.consistency(size, tree.size)) for size in since),
            values=tuple(v for v in self.values if v.seq in seqs),
            keys=(self.signer.verifier_key(),),
        )

    def of_task(self, task: str, since: tuple[int, ...] = ()) -> Bundle:
        seqs = [leaf.seq for leaf in self.leaves if leaf.task == task]
        return self.part(Manifest(scope="task", task=task), seqs, since)

    def receipt(self, seq: int) -> Bundle:
        return self.part(Manifest(scope="receipt"), [seq])


def story() -> Book:
    """Ten receipts of two tasks: calls answered, one open, one denied, values kept and erased."""
    book = Book()
    book.write(noise(), policy=POLICY)
    book.write(intent("c1", "t1", arguments=b'{"a":1}'), intent("c2", "t2", arguments=b'{"b":2}'))
    book.write(outcome("c1", "t1", 1, result=b"secret"))
    book.write(denial("c3", "t1"))
    book.write(outcome("c2", "t2", 2), intent("c4", "t1", arguments=b'{"c":3}', facts=b"{}"))
    book.write(erasure(3))
    book.write(outcome("c4", "t1", 6))
    book.write(intent("c5", "t2"))
    return book


def signed(leaves: list[bytes], by: LedgerSigner, origin: str = ORIGIN) -> bytes:
    """A checkpoint over any leaves."""
    tree = Tree([hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves])
    return sign(Checkpoint(origin, tree.size, tree.root()), by)


def forged(leaves: list[bytes], by: LedgerSigner | None = None) -> Bundle:
    """A whole bundle over any leaves that is perfect but for what the leaves say: signed with the real key."""
    by = by or signer()
    return Bundle(
        manifest=Manifest(),
        leaves=tuple(leaves),
        hashes=b"".join(hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves),
        checkpoint=signed(leaves, by),
    )
