"""The files of a bundle: one spelling each, and an unknown format is refused by name."""

import pytest

from remit.errors import Unverified
from remit.ledger import bundle
from remit.ledger.bundle import Manifest
from tests.ledger.story import story

BOOK = story()
WHOLE = bundle.write(BOOK.whole())
PART = bundle.write(BOOK.of_task("t1", since=(3,)))
PORTABLE = bundle.write_portable(BOOK.receipt(4))


def test_what_was_written_is_read_back() -> None:
    assert bundle.read(WHOLE) == BOOK.whole()
    assert bundle.read(PART) == BOOK.of_task("t1", since=(3,))
    assert bundle.read_portable(PORTABLE) == BOOK.receipt(4)


def test_an_export_holds_the_exact_leaf_bytes_one_a_line_and_no_empty_files() -> None:
    assert WHOLE["leaves.jsonl"].splitlines() == [leaf.data for leaf in BOOK.leaves]
    assert set(WHOLE) == {
        "manifest.json", "leaves.jsonl", "hashes", "checkpoint", "checkpoints.jsonl", "values.jsonl", "blobs.jsonl",
        "keys.json",
    }  # fmt: skip


def test_a_file_it_does_not_know_is_not_looked_at() -> None:
    assert bundle.read({**WHOLE, "README": b"\xff"}) == BOOK.whole()


@pytest.mark.parametrize("name", ["manifest.json", "leaves.jsonl", "checkpoint"])
def test_a_bundle_without_its_core_is_none(name: str) -> None:
    with pytest.raises(Unverified, match=f"`{name}` is missing"):
        bundle.read({other: data for other, data in WHOLE.items() if other != name})


@pytest.mark.parametrize(
    "name, data, expected",
    [
        ("manifest.json", b"{", "`manifest.json` does not say its format"),
        ("manifest.json", b"\xff", "`manifest.json` does not say its format"),
        ("manifest.json", b'{"x":' + b"[" * 100_000, "`manifest.json` does not say its format"),
        ("manifest.json", b'{"format":2}', "`manifest.json` is of the unknown format version 2"),
        ("manifest.json", b'{"format":1,"scope":"all","task":null}', "`manifest.json` cannot be read"),
        ("manifest.json", b'{"format":1, "scope":"whole","task":null}', "`manifest.json` is not as it was written"),
        ("manifest.json", b'{"format":1,"scope":"whole","task":"t1"}', "`manifest.json` names a task"),
        ("manifest.json", b'{"format":1,"scope":"task","task":null}', "`manifest.json` names a task"),
        ("values.jsonl", WHOLE["values.jsonl"] + b"\n", "`values.jsonl` line 5 cannot be read"),
        ("values.jsonl", b'{"seq":1,"name":"a","salt":"QR==","data":""}', "`values.jsonl` line 1 is not as it was"),
        ("blobs.jsonl", b"{}\n", "`blobs.jsonl` line 1 cannot be read"),
        ("blobs.jsonl", b'{"digest":"\xff","data":""}', "`blobs.jsonl` line 1 cannot be read"),
        ("checkpoints.jsonl", b'"\\u0061"\n', "`checkpoints.jsonl` line 1 is not as it was written"),
        ("keys.json", b'["a" ]', "`keys.json` is not as it was written"),
    ],
)
def test_a_file_that_is_not_as_written_is_named(name: str, data: bytes, expected: str) -> None:
    with pytest.raises(Unverified, match=f"^{expected}"):
        bundle.read({**WHOLE, name: data})


@pytest.mark.parametrize(
    "data, expected",
    [
        (b"", "does not say its format"),
        (b'{"format":7}', "unknown format version 7"),
        (b'{"format":1}', "cannot be read"),
        (PORTABLE + b" ", "not as it was written"),
    ],
)
def test_a_portable_receipt_has_one_spelling(data: bytes, expected: str) -> None:
    with pytest.raises(Unverified, match=expected):
        bundle.read_portable(data)


def test_published_checkpoints_are_read_up_to_a_line_that_a_crash_tore() -> None:
    data = bundle.lines(note.decode() for note in BOOK.checkpoints)
    assert bundle.read_published(data) == tuple(BOOK.checkpoints)
    assert bundle.read_published(data[:-1]) == tuple(BOOK.checkpoints)
    assert bundle.read_published(data[:-2]) == tuple(BOOK.checkpoints[:-1])
    assert bundle.read_published(b"") == ()
    with pytest.raises(Unverified, match="the published checkpoints line 1 cannot be read"):
        bundle.read_published(b"?\n" + data)


def test_a_manifest_is_whole_unless_it_says_otherwise() -> None:
    assert Manifest() == Manifest(format=1, scope="whole", task=None)
