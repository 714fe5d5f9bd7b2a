"""Every link in every page of the repository leads somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_NOT_OURS = {".venv", ".peers", "build", "node_modules", ".pytest_cache", ".git"}
PAGES = [page for page in sorted(ROOT.rglob("*.md")) if _NOT_OURS.isdisjoint(page.relative_to(ROOT).parts)]

_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def prose(page: Path) -> str:
    return _FENCED.sub("", page.read_text())


def links(page: Path) -> list[str]:
    return [link for link in _LINK.findall(prose(page)) if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """Headings as the platforms that show Markdown name them."""
    titles = _HEADING.findall(prose(page))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_something(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


def test_links_are_found_and_code_is_not_read_as_one() -> None:
    assert any(links(page) for page in PAGES)
    assert _LINK.findall("[a](b.md) and `x[0](y)`, [c](d#e)") == ["b.md", "y", "d#e"]
    assert _FENCED.sub("", "a\n```\n[x](y)\n```\nb") == "a\n\nb"


def test_every_page_of_the_docs_is_linked_from_another() -> None:
    linked = {(page.parent / link.partition("#")[0]).resolve() for page in PAGES for link in links(page)}
    reached = {path / "README.md" if path.is_dir() else path for path in linked}
    folders = {path for path in linked if path.is_dir()}
    pages = [page for page in PAGES if page.is_relative_to(ROOT / "docs")]
    assert [page for page in pages if page not in reached and page.parent not in folders] == []
