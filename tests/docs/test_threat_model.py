"""Every claim of the threat model names requirements that are built and held."""

import re
from pathlib import Path

from tests.requirements import REQUIREMENTS

PAGE = (Path(__file__).parents[2] / "docs" / "threat-model.md").read_text()
NAMED = set(re.findall(r"`([A-Z]+-[A-Z0-9-]+)`", PAGE))
BUILT = {row.id for row in REQUIREMENTS if not row.unbuilt}


def test_what_the_page_names_is_required_and_built() -> None:
    assert NAMED
    assert set() == NAMED - BUILT


def test_everyone_who_is_assumed_hostile_is_met_by_a_requirement() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| **")]
    assert len(rows) >= 7
    assert [row for row in rows if not NAMED & set(re.findall(r"`([A-Z]+-[A-Z0-9-]+)`", row))] == [
        row for row in rows if "whoever steers the model" in row
    ]
