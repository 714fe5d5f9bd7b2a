"""Requirements and tests check each other, both ways."""

from collections import Counter

import pytest

from tests.requirements import REQUIREMENTS, Unreadable, held, marks

KNOWN = {row.id: row for row in REQUIREMENTS}
HELD = held()


def test_ids_are_unique():
    assert [name for name, times in Counter(row.id for row in REQUIREMENTS).items() if times > 1] == []


def test_every_requirement_says_what_and_where_from():
    assert [row.id for row in REQUIREMENTS if not row.source or not row.sentence or row.sentence.endswith(".")] == []


def test_a_mark_names_a_known_requirement():
    assert {name: tests for name, tests in HELD.items() if name not in KNOWN} == {}


def test_no_test_claims_what_is_not_built():
    assert {name: tests for name, tests in HELD.items() if name in KNOWN and KNOWN[name].unbuilt} == {}


def test_every_built_requirement_has_a_test():
    assert [row.id for row in REQUIREMENTS if not row.unbuilt and row.id not in HELD] == []


READ = {
    "a test": ('@pytest.mark.holds("A")\ndef test_x(): ...', [("A", "t.py::test_x")]),
    "an async test of two": (
        '@pytest.mark.holds("A", "B")\nasync def test_x(): ...',
        [("A", "t.py::test_x"), ("B", "t.py::test_x")],
    ),
    "a class": ('@pytest.mark.holds("A")\nclass TestX: ...', [("A", "t.py::TestX")]),
    "a whole file": ('pytestmark = pytest.mark.holds("A")', [("A", "t.py")]),
    "one row of a table": (
        '@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.holds("A"))])\ndef test_x(x): ...',
        [("A", "t.py::test_x")],
    ),
    "another mark": ('@pytest.mark.slow\n@pytest.mark.skip("A")\ndef test_x(): ...', []),
}


@pytest.mark.parametrize("source, found", READ.values(), ids=READ)
def test_marks_are_read_where_they_stand(source, found):
    assert list(marks(source, "t.py")) == found


@pytest.mark.parametrize("ids", ["NAME", "*NAMES", "f'INV-{1}'", "1"])
def test_a_mark_that_cannot_be_read_is_refused(ids):
    with pytest.raises(Unreadable, match=r"t\.py:1"):
        list(marks(f"pytestmark = pytest.mark.holds({ids})", "t.py"))
