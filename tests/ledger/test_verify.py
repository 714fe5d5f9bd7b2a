"""The verifier against honest bundles, flipped bytes, and a forger who holds the real key."""

import json
from collections.abc import Callable

import msgspec
import pytest

from remit.edge.keys.signing import rotation
from remit.errors import Unverified
from remit.ledger import bundle
from remit.ledger.bundle import Blob, Bundle, Consistency, Manifest, Proof
from remit.ledger.merkle import leaf_hash
from remit.ledger.receipt import KeyEvent
from remit.ledger.verify import Report, verify
from tests.ledger.story import (
    OPERATOR,
    ORIGIN,
    Book,
    denial,
    forged,
    intent,
    key,
    noise,
    outcome,
    signed,
    signer,
    story,
)

BOOK = story()
KEYS = [key(signer())]
WHOLE = BOOK.whole()
LEAVES = list(WHOLE.leaves)
change = msgspec.structs.replace


def test_an_honest_ledger_verifies_and_is_counted() -> None:
    assert verify(WHOLE, KEYS, BOOK.checkpoints) == Report(
        scope="whole",
        origin=ORIGIN,
        size=10,
        root=BOOK.tree().root().hex(),
        receipts=10,
        tasks=2,
        open_intents=(9,),
        values_checked=4,
        values_missing=0,
        values_erased=1,
        blobs=1,
        checkpoints=8,
    )


def test_an_empty_ledger_verifies() -> None:
    assert verify(forged([]), KEYS).receipts == 0


def test_values_that_were_not_exported_are_missing_not_wrong() -> None:
    report = verify(change(WHOLE, values=WHOLE.values[:1]), KEYS)
    assert (report.values_checked, report.values_missing, report.values_erased) == (1, 3, 1)


def test_a_task_s_bundle_verifies_alone_and_against_an_earlier_checkpoint() -> None:
    report = verify(BOOK.of_task("t1", since=(3,)), KEYS, [BOOK.checkpoints[1], BOOK.checkpoints[-1]])
    assert (report.scope, report.receipts, report.tasks, report.size) == ("task", 5, 1, 10)


@pytest.mark.parametrize("seq", range(10))
def test_every_receipt_is_portable(seq: int) -> None:
    carried = bundle.read_portable(bundle.write_portable(BOOK.receipt(seq)))
    assert verify(carried, KEYS).receipts == 1


FILES = bundle.write(WHOLE)
TASK_FILES = bundle.write(BOOK.of_task("t1"))


def owner(at: int, leaves: tuple[bytes, ...]) -> int:
    """Which line of `leaves.jsonl` a byte is in, its newline included."""
    for line, leaf in enumerate(leaves):
        at -= len(leaf) + 1
        if at < 0:
            return line
    raise AssertionError


@pytest.mark.holds("TAMPER-BYTE")
@pytest.mark.parametrize("bit", [0x01, 0x20, 0x80])
def test_one_flipped_byte_in_a_leaf_names_exactly_that_receipt(bit: int) -> None:
    data = FILES["leaves.jsonl"]
    for at in range(len(data)):
        flipped = data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
        with pytest.raises(Unverified, match=rf"^receipt {owner(at, WHOLE.leaves)} is not the one"):
            verify(bundle.read({**FILES, "leaves.jsonl": flipped}), KEYS)


def test_one_flipped_byte_in_a_task_s_leaf_names_exactly_that_receipt() -> None:
    data, part = TASK_FILES["leaves.jsonl"], BOOK.of_task("t1")
    for at in range(len(data)):
        seq = part.proofs[owner(at, part.leaves)].seq
        flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        if flipped.count(b"\n") != data.count(b"\n") and data[-1:] == flipped[-1:]:
            expected = "one proof each"  # a line more or less than there are proofs
        else:
            expected = rf"^receipt {seq}: the inclusion proof"
        with pytest.raises(Unverified, match=expected):
            verify(bundle.read({**TASK_FILES, "leaves.jsonl": flipped}), KEYS)


@pytest.mark.parametrize("files", [FILES, TASK_FILES], ids=["whole", "task"])
@pytest.mark.parametrize("bit", [0x01, 0x20])
def test_no_byte_of_any_other_file_can_be_flipped(files: dict[str, bytes], bit: int) -> None:
    for name, data in files.items():
        for at in range(len(data)) if name != "leaves.jsonl" else ():
            flipped = data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
            with pytest.raises(Unverified):
                verify(bundle.read({**files, name: flipped}), KEYS)


def test_no_byte_of_a_portable_receipt_can_be_flipped() -> None:
    data = bundle.write_portable(BOOK.receipt(7))
    for at in range(len(data)):
        with pytest.raises(Unverified):
            verify(bundle.read_portable(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]), KEYS)


def rewritten(seq: int, /, **fields: object) -> list[bytes]:
    """The leaves with one of them saying something else."""
    told = json.loads(LEAVES[seq])
    told.update(fields)
    return [*LEAVES[:seq], msgspec.json.encode({k: v for k, v in told.items() if v is not None}), *LEAVES[seq + 1 :]]


def renumbered(leaves: list[bytes]) -> list[bytes]:
    """What is left, made to look whole: seqs and task numbers closed up, intents pointed at again."""
    old = {json.loads(leaf)["seq"]: seq for seq, leaf in enumerate(leaves)}
    counts: dict[str, int] = {}
    told = []
    for seq, leaf in enumerate(leaves):
        receipt = json.loads(leaf) | {"seq": seq}
        if task := receipt.get("task"):
            receipt["n"] = counts.get(task, 0)
            counts[task] = receipt["n"] + 1
        if "intent" in receipt["body"]:
            receipt["body"]["intent"] = old[receipt["body"]["intent"]]
        told.append(msgspec.json.encode(receipt))
    return told


SWAPPED = renumbered([*LEAVES[:1], LEAVES[2], LEAVES[1], *LEAVES[3:]])
WITHOUT_T2 = renumbered([leaf for leaf in LEAVES if b'"task":"t2"' not in leaf and b'"erasure"' not in leaf])

# Each is perfect in itself: leaves, hashes, numbering and a checkpoint signed with the real key.
FORGERIES = {
    "the tail cut off": (LEAVES[:7], "truncated: it had 10 receipts, the checkpoint covers 7"),
    "one task's receipts dropped": (WITHOUT_T2, "truncated"),
    "one task's receipts dropped, others appended": (
        [*WITHOUT_T2, *(msgspec.json.encode({"seq": n, "at": 2**42, "body": {"kind": "noise", "counts": {}, "first": 0,
         "last": 0}}) for n in range(len(WITHOUT_T2), 12))],
        "forked: it does not extend the checkpoint of size 10",
    ),
    "two receipts swapped": (SWAPPED, "forked"),
    "a reason rewritten": (
        rewritten(4, body={"kind": "denial", "asked": {"call": "c3", "door": "mcp-http"}, "verdict": "DENY",
                           "reason": "task.scope"}),
        "forked",
    ),
}  # fmt: skip


@pytest.mark.holds("TAMPER-TAIL", "TAMPER-DROP", "TAMPER-ORDER", "TAMPER-RESIGN")
@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_signed_with_the_real_key_verifies_alone_but_not_against_a_saved_checkpoint(name: str) -> None:
    leaves, expected = FORGERIES[name]
    verify(forged(leaves), KEYS)
    with pytest.raises(Unverified, match=expected):
        verify(forged(leaves), KEYS, [BOOK.checkpoints[-1]])


@pytest.mark.holds("TAMPER-FORK")
def test_two_futures_of_one_past_are_a_fork() -> None:
    ours, theirs = story(), story()
    ours.write(denial("a", "t1"))
    theirs.write(denial("b", "t1"))
    shared = BOOK.checkpoints[-1]
    verify(ours.whole(), KEYS, [shared])
    verify(theirs.whole(), KEYS, [shared])
    with pytest.raises(Unverified, match="forked: it does not extend the checkpoint of size 11"):
        verify(ours.whole(), KEYS, [shared, theirs.checkpoints[-1]])
    with pytest.raises(Unverified, match="forked"):
        verify(ours.of_task("t1"), KEYS, [theirs.checkpoints[-1]])


def test_a_proof_for_a_part_has_to_be_there_and_to_fit() -> None:
    with pytest.raises(Unverified, match="no consistency proof from size 3"):
        verify(BOOK.of_task("t1"), KEYS, [BOOK.checkpoints[1]])
    other = signed(LEAVES[1:4], signer())
    with pytest.raises(Unverified, match="forked"):
        verify(BOOK.of_task("t1", since=(3,)), KEYS, [other])


# What leaves must not say, whoever signed them: the whole is re-signed, so only the story is wrong.
STORIES = {
    "seq mismatch": (rewritten(4, seq=5), "receipt 4: it says it is receipt 5"),
    "time runs backwards": (rewritten(4, at=5), "receipt 4: time runs backwards"),
    "unknown version": (rewritten(4, v=2), "receipt 4 is of the unknown format version 2"),
    "not JSON": ([*LEAVES[:4], b"{", *LEAVES[5:]], "receipt 4 cannot be read"),
    "not UTF-8": ([*LEAVES[:4], b'{"seq":"\xff"}', *LEAVES[5:]], "receipt 4 cannot be read"),
    "nested without end": ([b'{"x":' + b"[" * 100_000], "receipt 0 cannot be read"),
    "unknown kind": (rewritten(4, body={"kind": "rumour"}), "receipt 4 cannot be read"),
    "gap in a task": (rewritten(4, n=3), "receipt 4: it is number 3 of the task `t1`, where number 2 is due"),
    "number without a task": (rewritten(4, task=None), "receipt 4: it has a task without a number"),
    "task without a number": (rewritten(4, n=None), "receipt 4: it has a task without a number"),
    "outcome without intent": (
        rewritten(3, body={"kind": "outcome", "call": "c1", "intent": 0, "outcome": "completed"}),
        "receipt 3: it is an outcome without its intent, which would be receipt 0",
    ),
    "outcome of another call": (
        rewritten(3, body={"kind": "outcome", "call": "c9", "intent": 1, "outcome": "completed"}),
        "receipt 3: it is an outcome without its intent",
    ),
    "intent answered twice": (
        rewritten(4, body={"kind": "outcome", "call": "c1", "intent": 1, "outcome": "unknown"}),
        "receipt 4: the intent of receipt 1 was answered before",
    ),
    "completion of what was not accepted": (
        rewritten(4, body={"kind": "completion", "call": "c1", "intent": 1, "operation": "o", "outcome": "completed"}),
        "receipt 4: it ends no accepted call that goes on, which would be that of receipt 1",
    ),
    "erasure of the future": (
        rewritten(7, body={"kind": "erasure", "receipts": [8], "reason": "",
                           "actor": {"name": "o", "kind": "human", "via": "socket"}}),
        "receipt 7: it erases what is not before it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STORIES)
def test_an_impossible_story_is_refused_at_its_first_wrong_receipt(name: str) -> None:
    leaves, expected = STORIES[name]
    with pytest.raises(Unverified, match=rf"^{expected}"):
        verify(forged(leaves), KEYS)


def value(at: int, **fields: object) -> Callable[[Bundle], Bundle]:
    def edit(b: Bundle) -> Bundle:
        return change(b, values=(*b.values[:at], change(b.values[at], **fields), *b.values[at + 1 :]))

    return edit


def signed_by_nobody_known(b: Bundle) -> Bundle:
    return change(b, checkpoint=signed(list(b.leaves), signer("thief")))


EDITS: dict[str, tuple[Callable[[Bundle], Bundle], str]] = {
    "a value changed": (value(0, data=b'{"a":9}'), "receipt 1: its value `arguments` is not the one"),
    "a salt changed": (value(0, salt=bytes(16)), "receipt 1: its value `arguments` is not the one"),
    "the beginning of a value cut off": (
        value(0, salt=WHOLE.values[0].salt + b'{"a":', data=b"1}"), "receipt 1: its value `arguments` is not the one",
    ),
    "a salt that begins the value": (
        value(0, salt=b"", data=WHOLE.values[0].salt + b'{"a":1}'), "receipt 1: its value `arguments` is not the one",
    ),
    "a value of another name": (value(0, name="extra"), "receipt 1: it has no such value as `extra`"),
    "a value of another receipt": (value(0, seq=2), "receipt 2: "),
    "a value of no receipt": (value(0, seq=77), "a value is kept for receipt 77"),
    "a value twice": (lambda b: change(b, values=(*b.values, b.values[-1])), "receipt 6: it has no such value"),
    "a value that was erased": (
        lambda b: change(b, values=(*b.values, BOOK.erased[0])),
        "receipt 7: it erased the values of receipt 3, which are still kept",
    ),
    "a blob changed": (
        lambda b: change(b, blobs=(Blob(b.blobs[0].digest, b"permit;"),)),
        "the blob `sha256:",
    ),
    "a receipt dropped": (lambda b: change(b, leaves=b.leaves[:4] + b.leaves[5:]), "receipt 4 is not the one"),
    "the last receipt dropped": (lambda b: change(b, leaves=b.leaves[:-1]), "receipt 9 is missing"),
    "a receipt added": (lambda b: change(b, leaves=(*b.leaves, b"{}")), "receipt 10 is missing or was never"),
    "two receipts swapped": (
        lambda b: change(b, leaves=(b.leaves[1], b.leaves[0], *b.leaves[2:])), "receipt 0 is not the one",
    ),
    "receipt and hash dropped": (
        lambda b: change(b, leaves=b.leaves[:-1], hashes=b.hashes[:-32]),
        "the checkpoint covers 10 receipts and 9 are here",
    ),
    "receipt and hash changed": (
        lambda b: change(forged(rewritten(4, at=2**42)), checkpoint=b.checkpoint, checkpoints=b.checkpoints),
        "the checkpoint of size 10 does not fit: receipt 4 or a later one was changed",
    ),
    "receipt and hash changed, no history": (
        lambda b: change(forged(rewritten(4, at=2**42)), checkpoint=b.checkpoint),
        "the checkpoint of size 10 does not fit: receipt 0 or a later one was changed",
    ),
    "a hash changed": (
        lambda b: change(b, hashes=b.hashes[:32] + bytes(32) + b.hashes[64:]),
        "entry 1 of the list of leaf hashes was changed",
    ),
    "a hash dropped": (lambda b: change(b, hashes=b.hashes[:-32]), "entry 9 of the list of leaf hashes was changed"),
    "a hash added": (lambda b: change(b, hashes=b.hashes + bytes(32)), "entry 10 of the list of leaf hashes"),
    "a stranger's checkpoint": (signed_by_nobody_known, "the checkpoint of size 10 is signed by no trusted key"),
    "a stranger's key claimed": (
        lambda b: change(b, keys=(*b.keys, signer("thief").verifier_key())), "the bundle claims the key",
    ),
    "a stranger's checkpoint in the history": (
        lambda b: change(b, checkpoints=(b.checkpoints[0], signed(LEAVES[:3], signer("thief")))),
        "checkpoint 2 of the history: signature: the checkpoint of size 3 is signed by no",
    ),
    "a forked checkpoint in the history": (
        lambda b: change(b, checkpoints=(b.checkpoints[0], signed(LEAVES[1:4], signer()))),
        "checkpoint 2 of the history: the ledger was forked",
    ),
    "the history out of order": (
        lambda b: change(b, checkpoints=b.checkpoints[::-1]), "checkpoint 2 of the history: its size",
    ),
    "a history beyond the checkpoint": (
        lambda b: change(b, checkpoints=(signed([*LEAVES, b"x"], signer()),)), "checkpoint 1 of the history: the led",
    ),
    "proofs in a whole bundle": (lambda b: change(b, proofs=(Proof(0, ()),)), "a whole bundle holds leaf hashes"),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_of_a_whole_bundle_is_named(name: str) -> None:
    edit, expected = EDITS[name]
    with pytest.raises(Unverified, match=rf"^{expected}"):
        verify(edit(WHOLE), KEYS)


PART_EDITS: dict[str, tuple[Callable[[Bundle], Bundle], str]] = {
    "the first receipt dropped": (
        lambda b: change(b, leaves=b.leaves[1:], proofs=b.proofs[1:]), "receipt 3: it is number 1 of the task `t1`",
    ),
    "a receipt in between dropped": (
        lambda b: change(b, leaves=b.leaves[:2] + b.leaves[3:], proofs=b.proofs[:2] + b.proofs[3:]),
        "receipt 6: it is number 3 of the task `t1`, where number 2 is due",
    ),
    "two receipts swapped": (
        lambda b: change(b, leaves=b.leaves[1::-1] + b.leaves[2:], proofs=b.proofs[1::-1] + b.proofs[2:]),
        "receipt 3: it is number 1",
    ),
    "another task's receipt": (
        lambda b: change(b, leaves=BOOK.of_task("t2").leaves, proofs=BOOK.of_task("t2").proofs, values=()),
        "receipt 2: it is not of the task `t1`",
    ),
    "no receipts": (lambda b: change(b, leaves=(), proofs=(), values=()), "the bundle does not hold receipts"),
    "a proof too few": (lambda b: change(b, proofs=b.proofs[1:]), "the bundle does not hold receipts with one"),
    "hashes": (lambda b: change(b, hashes=bytes(32)), "the bundle does not hold receipts with one"),
    "an index moved": (
        lambda b: change(b, proofs=(Proof(2, b.proofs[0].path), *b.proofs[1:])), "receipt 2: the inclusion proof",
    ),
}  # fmt: skip


@pytest.mark.holds("TAMPER-DROP", "TAMPER-ORDER")
@pytest.mark.parametrize("name", PART_EDITS)
def test_an_edit_of_a_task_s_bundle_is_named(name: str) -> None:
    edit, expected = PART_EDITS[name]
    with pytest.raises(Unverified, match=rf"^{expected}"):
        verify(edit(BOOK.of_task("t1")), KEYS)


def test_receipts_out_of_order_are_refused_though_their_numbers_fit() -> None:
    book = Book()
    book.write(denial("c1", "t1"), denial("c2", "t1"))
    first, second = (leaf.data for leaf in book.leaves)
    late, early = first.replace(b'"n":0', b'"n":1'), second.replace(b'"n":1', b'"n":0')
    part = change(
        book.part(Manifest(scope="task", task="t1"), [1, 0]),
        leaves=(early, late),
        checkpoint=signed([late, early], signer()),
        proofs=(Proof(1, (leaf_hash(late),)), Proof(0, (leaf_hash(early),))),
    )
    with pytest.raises(Unverified, match="receipt 0: it stands after a later one"):
        verify(part, KEYS)


@pytest.mark.holds("TAMPER-DROP")
def test_a_task_with_receipts_left_out_does_not_pass_for_one_receipt() -> None:
    with pytest.raises(Unverified, match="holds several receipts"):
        verify(BOOK.part(Manifest(scope="receipt"), [1, 6]), KEYS)


def test_an_earlier_checkpoint_has_to_be_of_this_log_and_signed() -> None:
    with pytest.raises(Unverified, match=r"an earlier checkpoint: .* signed by no trusted key"):
        verify(WHOLE, KEYS, [signed(LEAVES[:3], signer("thief"))])
    elsewhere = signer("ledger", "other.example/remit")
    with pytest.raises(Unverified, match="is of another log"):
        verify(WHOLE, [*KEYS, key(elsewhere)], [signed(LEAVES[:3], elsewhere, "other.example/remit")])


class TestRotation:
    """The ledger passes from one key to the next inside itself."""

    OLD, NEW = signer("old"), signer("new")

    def book(self, event: KeyEvent | None = None) -> Book:
        from_old = Book(self.OLD)
        from_old.write(noise())
        body = event or rotation(self.OLD, self.NEW, actor=OPERATOR)
        from_old.write(change(noise(), body=body))
        from_old.signer = self.NEW
        from_old.write(intent("c1", "t1"), outcome("c1", "t1", 2))
        return from_old

    @pytest.mark.parametrize("trusted", [[OLD], [NEW], [OLD, NEW]], ids=["old", "new", "both"])
    def test_whoever_trusts_either_key_can_verify_the_whole(self, trusted: list) -> None:
        book = self.book()
        assert verify(book.whole(), [key(k) for k in trusted], book.checkpoints).receipts == 4

    def test_the_old_key_does_not_vouch_for_what_came_after_for_those_who_trust_the_new(self) -> None:
        book = self.book()
        resigned = change(book.whole(), checkpoint=signed([leaf.data for leaf in book.leaves], self.OLD))
        with pytest.raises(Unverified, match="no trusted key"):
            verify(resigned, [key(self.NEW)])

    @pytest.mark.parametrize("field", ["signed_by_old", "signed_by_new"])
    @pytest.mark.parametrize("signature", ["", "AAAA", "!", "\u00e9"])
    def test_a_rotation_that_one_of_the_two_did_not_sign_is_named(self, field: str, signature: str) -> None:
        event = change(rotation(self.OLD, self.NEW, actor=OPERATOR), **{field: signature})
        with pytest.raises(Unverified, match=r"^receipt 1: the key rotation is not signed by"):
            verify(self.book(event).whole(), [key(self.OLD), key(self.NEW)])

    def test_a_key_hands_over_within_its_own_log_only(self) -> None:
        event = rotation(self.OLD, signer("new", "example.org/other"), actor=OPERATOR)
        with pytest.raises(Unverified, match=r"leads from the log `example.org/remit` to `example.org/other`"):
            verify(self.book(event).whole(), [key(self.OLD)])

    def test_keys_of_tokens_are_not_the_ledger_s(self) -> None:
        event = change(rotation(self.OLD, self.NEW, actor=OPERATOR), purpose="tokens", signed_by_old="", old="kid")
        with pytest.raises(Unverified, match="no trusted key"):
            verify(self.book(event).whole(), [key(self.OLD)])

    def test_a_rotation_back_makes_no_circle(self) -> None:
        book = self.book()
        book.write(change(noise(), body=rotation(self.NEW, self.OLD, actor=OPERATOR)))
        book.signer = self.OLD
        book.write(noise())
        verify(book.whole(), [key(self.OLD)], book.checkpoints)
        verify(book.whole(), [key(self.NEW)], book.checkpoints)

    def test_a_leaf_that_only_looks_like_a_rotation_is_none(self) -> None:
        leaf = b'{"seq":0,"at":1,"body":{"kind":"noise","counts":{},"first":0,"last":0},"kind":"key"}'
        assert verify(forged([leaf], self.OLD), [key(self.OLD)]).receipts == 1


def test_consistency_for_the_checkpoint_itself_needs_no_proof() -> None:
    part = change(BOOK.of_task("t1"), consistency=(Consistency(10, ()),))
    assert verify(part, KEYS, [BOOK.checkpoints[-1]]).receipts == 5
