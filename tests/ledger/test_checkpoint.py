"""Checkpoints as C2SP writes them, and nothing that merely looks like one."""

import base64

import pytest

from remit.errors import Unverified
from remit.ledger.checkpoint import NOTE_BYTES_MAX, Checkpoint, parse_key, read, sign, verify
from remit.ledger.merkle import EMPTY_ROOT
from tests.ledger.story import ORIGIN, key, signer

# The example key and note of Go's golang.org/x/mod/sumdb/note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="

CHECKPOINT = Checkpoint(ORIGIN, 17, bytes(range(32)))
ROOT = base64.b64encode(CHECKPOINT.root).decode()
NOTE = sign(CHECKPOINT, signer())
LINE = NOTE.decode().split("\n\n")[1]


@pytest.mark.holds("LEDGER-NOTE")
def test_keys_and_signatures_are_those_of_the_go_note_package() -> None:
    found = parse_key(GO_KEY)
    assert (found.name, found.id.hex(), found.text) == ("PeterNeumann", "c74f20a3", GO_KEY)
    signature = base64.b64decode(GO_SIGNATURE)
    assert signature[:4] == found.id
    found.check(GO_TEXT, signature[4:])
    with pytest.raises(Unverified, match="does not fit"):
        found.check(GO_TEXT + b"\n", signature[4:])


@pytest.mark.holds("LEDGER-NOTE")
def test_a_checkpoint_is_origin_size_root_and_signature() -> None:
    assert NOTE.decode().startswith(f"{ORIGIN}\n17\n{ROOT}\n\n\u2014 {ORIGIN} ")
    assert verify(NOTE, [key(signer())]) == CHECKPOINT


def test_any_trusted_key_of_the_origin_will_do_and_strangers_are_passed_over() -> None:
    witness = sign(CHECKPOINT, signer("witness", "witness.example")).decode().split("\n\n")[1]
    cosigned = NOTE + witness.encode()
    assert verify(cosigned, [key(signer("other")), key(signer())]) == CHECKPOINT
    assert verify(NOTE, iter([key(signer())])) == CHECKPOINT


@pytest.mark.parametrize(
    "keys",
    [[], [key(signer("other"))], [key(signer("ledger", "evil.example/remit"))]],
    ids=["nobody", "another key", "the same key under another name"],
)
def test_it_counts_only_under_a_trusted_key(keys: list) -> None:
    with pytest.raises(Unverified, match="no trusted key"):
        verify(NOTE, keys)


def test_a_wrong_signature_under_a_trusted_key_spoils_the_rest() -> None:
    other = signer("other")
    bad = base64.b64encode(other.key_id + bytes(64)).decode()
    spoilt = NOTE + f"\u2014 {ORIGIN} {bad}\n".encode()
    with pytest.raises(Unverified, match="does not fit"):
        verify(spoilt, [key(signer()), key(other)])


def test_a_key_signs_for_its_own_log_only() -> None:
    elsewhere = sign(Checkpoint("other.example/remit", 17, CHECKPOINT.root), signer())
    with pytest.raises(Unverified, match="no trusted key"):
        verify(elsewhere, [key(signer())])


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\xff",
        b"x" * (NOTE_BYTES_MAX + 1),
        f"{ORIGIN}\n17\n{ROOT}\n".encode(),
        f"{ORIGIN}\n17\n{ROOT}\n\n".encode(),
        f"{ORIGIN}\n17\n{ROOT}\nextension\n\n{LINE}".encode(),
        f"{ORIGIN}\n017\n{ROOT}\n\n{LINE}".encode(),
        f"{ORIGIN}\n-1\n{ROOT}\n\n{LINE}".encode(),
        f"{ORIGIN}\n\uff11\n{ROOT}\n\n{LINE}".encode(),
        f"a b\n17\n{ROOT}\n\n{LINE}".encode(),
        f"\n17\n{ROOT}\n\n{LINE}".encode(),
        f"{ORIGIN}\n17\n{ROOT[:-1]}\n\n{LINE}".encode(),
        f"{ORIGIN}\n17\n{ROOT[:-2]}9=\n\n{LINE}".encode(),
        f"{ORIGIN}\n17\nAAAA\n\n{LINE}".encode(),
        f"{ORIGIN}\n17\n\u00e9\n\n{LINE}".encode(),
        NOTE[:-1],
        NOTE + b"\n",
        NOTE.replace("\u2014".encode(), b"-"),
        f"{ORIGIN}\n17\n{ROOT}\n\n\u2014 a+b AAAAAAAA\n".encode(),
        f"{ORIGIN}\n17\n{ROOT}\n\n\u2014 {ORIGIN} !\n".encode(),
    ],
)
def test_what_is_not_written_exactly_so_is_no_checkpoint(note: bytes) -> None:
    with pytest.raises(Unverified):
        read(note)


@pytest.mark.parametrize("at", range(len(NOTE)))
def test_no_byte_of_it_can_be_flipped(at: int) -> None:
    flipped = bytearray(NOTE)
    flipped[at] ^= 1
    with pytest.raises(Unverified):
        verify(bytes(flipped), [key(signer())])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        GO_KEY.upper(),
        GO_KEY[:-1],
        GO_KEY.replace("c74f20a3", "c74f20a4"),
        GO_KEY.replace("PeterNeumann", "Peter Neumann"),
        GO_KEY.replace("+AR", "+BR"),
        "+" + GO_KEY.partition("+")[2],
        GO_KEY + "AAAA",
    ],
)
def test_a_verifier_key_has_one_spelling(text: str) -> None:
    with pytest.raises(Unverified):
        parse_key(text)


def test_the_empty_log_has_a_checkpoint_too() -> None:
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert verify(sign(empty, signer()), [key(signer())]) == empty
