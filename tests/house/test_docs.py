"""Generated pages cannot differ from the code unnoticed."""

from shutil import copy

import pytest

from tools import docs


@pytest.fixture
def reference(tmp_path, monkeypatch):
    pages = tmp_path / "reference"
    pages.mkdir()
    copy(docs.REFERENCE / "cli.md", pages)
    monkeypatch.setattr(docs, "REFERENCE", pages)
    return pages


def run(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["docs.py", *arguments])
    return docs.main()


def test_what_was_just_written_agrees(reference, monkeypatch):
    assert run(monkeypatch) == 0
    assert run(monkeypatch, "--check") == 0


def test_a_page_that_is_missing_or_edited_is_named(reference, monkeypatch, capsys):
    assert run(monkeypatch, "--check") == 1
    run(monkeypatch)
    (reference / "reasons.md").write_text("by hand")
    assert run(monkeypatch, "--check") == 1
    assert capsys.readouterr().out.count("docs/reference/reasons.md differs") == 2
    assert (reference / "reasons.md").read_text() == "by hand"
