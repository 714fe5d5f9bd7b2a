"""What the suite wrote down, and what changed between two runs of it. Pure but for `read`.

A run is a directory with one directory for each scenario, `server-NAME-TIME`, which holds `checks.json`: a list of
checks with an id and a status. Here a check is named `scenario/id`; one that appears again in its scenario gets its
ordinal, `scenario/id#2`. A scenario that left no directory has no checks.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

SUCCESS: Final = "SUCCESS"
FAILURE: Final = "FAILURE"
ABSENT: Final = "ABSENT"

_DIRECTORY: Final = re.compile(r"(?:server-|client-)?(?P<scenario>.+?)-\d{4}-\d\d-\d\dT[\d-]+Z\Z")


class Check(NamedTuple):
    """One check: SUCCESS, FAILURE, WARNING, SKIPPED or INFO, and the suite's words for it."""

    status: str
    words: str = ""


class Change(NamedTuple):
    """A check whose status is not what it was; `words` are the suite's about the second run."""

    check: str
    before: str
    after: str
    words: str = ""

    def __str__(self) -> str:
        return f"{self.check}: {self.before} → {self.after}" + (f": {self.words}" if self.words else "")


class Difference(NamedTuple):
    """What is worse in the second run and what is better, each in the order of names."""

    worsened: list[Change]
    improved: list[Change]


def difference(direct: Mapping[str, Check], through: Mapping[str, Check]) -> Difference:
    """Compare two runs. Worse is a success that is none any more or is missing, and a failure that was none before."""
    changes = [
        Change(name, before.status, after.status, after.words or before.words)
        for name in sorted({*direct, *through})
        for before, after in [(direct.get(name, Check(ABSENT)), through.get(name, Check(ABSENT)))]
        if before.status != after.status
    ]
    return Difference(
        worsened=[change for change in changes if change.before == SUCCESS or change.after == FAILURE],
        improved=[change for change in changes if change.after == SUCCESS],
    )


def passed(scenario: str, checks: Mapping[str, Check]) -> bool:
    """Whether a scenario ran and none of its checks failed."""
    statuses = [check.status for name, check in checks.items() if name.rpartition("/")[0] == scenario]
    return bool(statuses) and FAILURE not in statuses


def named(scenario: str, listed: Iterable[Mapping[str, Any]]) -> dict[str, Check]:
    """The checks of one scenario under their names."""
    times: Counter[str] = Counter()
    found = {}
    for one in listed:
        times[one["id"]] += 1
        ordinal = f"#{times[one['id']]}" if times[one["id"]] > 1 else ""
        found[f"{scenario}/{one['id']}{ordinal}"] = Check(one["status"], one.get("errorMessage") or "")
    return found


def read(run: Path) -> dict[str, Check]:
    """Every check of a run. A directory that is no scenario's is an error, and so is a run without any."""
    found: dict[str, Check] = {}
    for file in sorted(run.rglob("checks.json")):
        directory = _DIRECTORY.match(file.parent.relative_to(run).as_posix())
        if directory is None:
            raise ValueError(f"`{file.parent}` is not named like a scenario's results")
        found |= named(directory["scenario"], json.loads(file.read_text(encoding="utf-8")))
    if not found:
        raise ValueError(f"the suite left no results in `{run}`")
    return found
