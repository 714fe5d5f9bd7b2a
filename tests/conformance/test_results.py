"""Two runs of the suite are compared check by check; nothing that got worse goes unseen."""

import json
from pathlib import Path

import pytest

from tools.conformance.results import Change, Check, difference, named, passed, read

TIME = "2026-11-20T14-29-45-923Z"


def wrote(run: Path, scenario: str, *checks: tuple[str, str], prefix: str = "server-") -> None:
    directory = run / f"{prefix}{scenario}-{TIME}"
    directory.mkdir(parents=True)
    listed = [{"id": name, "status": status, "description": "…"} for name, status in checks]
    (directory / "checks.json").write_text(json.dumps(listed))


def statuses(run: Path) -> dict[str, str]:
    return {name: check.status for name, check in read(run).items()}


def test_a_run_is_read_scenario_by_scenario(tmp_path):
    wrote(tmp_path, "ping", ("answered", "SUCCESS"))
    wrote(tmp_path, "sep-2164-resource-not-found", ("code", "WARNING"), ("uri", "SKIPPED"))
    wrote(tmp_path, "tools_call", ("added", "INFO"), prefix="")
    assert statuses(tmp_path) == {
        "ping/answered": "SUCCESS",
        "sep-2164-resource-not-found/code": "WARNING",
        "sep-2164-resource-not-found/uri": "SKIPPED",
        "tools_call/added": "INFO",
    }


def test_a_scenario_whose_name_has_a_slash_keeps_it(tmp_path):
    wrote(tmp_path, "auth/basic-cimd", ("asked", "SUCCESS"), prefix="")
    assert statuses(tmp_path) == {"auth/basic-cimd/asked": "SUCCESS"}


def test_a_check_that_appears_again_is_told_apart_by_its_ordinal():
    listed = [{"id": "same", "status": "SUCCESS"}, {"id": "same", "status": "FAILURE", "errorMessage": "no"}]
    assert named("twice", listed) == {"twice/same": Check("SUCCESS"), "twice/same#2": Check("FAILURE", "no")}


def test_a_scenario_without_checks_adds_none(tmp_path):
    wrote(tmp_path, "ping", ("answered", "SUCCESS"))
    wrote(tmp_path, "empty")
    assert statuses(tmp_path) == {"ping/answered": "SUCCESS"}


def test_a_run_without_results_is_no_run(tmp_path):
    with pytest.raises(ValueError, match="no results"):
        read(tmp_path)


def test_a_directory_of_another_name_is_not_read_past(tmp_path):
    (tmp_path / "mystery").mkdir()
    (tmp_path / "mystery" / "checks.json").write_text("[]")
    with pytest.raises(ValueError, match="mystery"):
        read(tmp_path)


ALL = ("SUCCESS", "FAILURE", "WARNING", "SKIPPED", "INFO", "")
WORSE = {(before, after) for before in ALL for after in ALL if before != after and before == "SUCCESS"} | {
    (before, "FAILURE") for before in ALL if before != "FAILURE"
}
BETTER = {(before, "SUCCESS") for before in ALL if before != "SUCCESS"}


@pytest.mark.parametrize("before", ALL, ids=lambda status: f"was-{status or 'absent'}")
@pytest.mark.parametrize("after", ALL, ids=lambda status: f"is-{status or 'absent'}")
def test_every_change_is_worse_or_better_or_neither(before, after):
    runs = [{"s/check": Check(status)} if status else {} for status in (before, after)]
    worsened, improved = difference(*runs)
    assert bool(worsened) == ((before, after) in WORSE)
    assert bool(improved) == ((before, after) in BETTER)


def test_each_check_of_a_missing_scenario_got_worse(tmp_path):
    wrote(tmp_path / "direct", "ping", ("answered", "SUCCESS"), ("in-time", "SUCCESS"), ("asked", "SKIPPED"))
    for run in ("direct", "through"):
        wrote(tmp_path / run, "tools-list", ("listed", "SUCCESS"))
    found = difference(read(tmp_path / "direct"), read(tmp_path / "through"))
    assert found.worsened == [
        Change("ping/answered", "SUCCESS", "ABSENT"),
        Change("ping/in-time", "SUCCESS", "ABSENT"),
    ]
    assert found.improved == []


def test_of_a_check_that_appears_twice_the_one_that_got_worse_is_named(tmp_path):
    wrote(tmp_path / "direct", "headers", ("sent", "SUCCESS"), ("sent", "SUCCESS"), ("sent", "SUCCESS"))
    wrote(tmp_path / "through", "headers", ("sent", "SUCCESS"), ("sent", "INFO"))
    found = difference(read(tmp_path / "direct"), read(tmp_path / "through"))
    assert found.worsened == [
        Change("headers/sent#2", "SUCCESS", "INFO"),
        Change("headers/sent#3", "SUCCESS", "ABSENT"),
    ]


def test_a_change_says_what_the_suite_says():
    words = "expected 400, got 200"
    [change] = difference({"s/code": Check("SUCCESS")}, {"s/code": Check("FAILURE", words)}).worsened
    assert str(change) == f"s/code: SUCCESS → FAILURE: {words}"


PASSING = {
    "all succeed": ({"s/a": "SUCCESS", "s/b": "SUCCESS"}, True),
    "a warning is no failure": ({"s/a": "SUCCESS", "s/b": "WARNING"}, True),
    "one fails": ({"s/a": "SUCCESS", "s/b#2": "FAILURE"}, False),
    "it did not run": ({"other/a": "SUCCESS"}, False),
    "another one fails": ({"s/a": "SUCCESS", "s/a/b": "FAILURE"}, True),
}


@pytest.mark.parametrize("checks, expected", PASSING.values(), ids=PASSING)
def test_a_scenario_passes_if_it_ran_and_nothing_failed(checks, expected):
    assert passed("s", {name: Check(status) for name, status in checks.items()}) is expected
