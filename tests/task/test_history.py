"""What is counted is what policy reads."""

from collections import Counter

from hypothesis import given, strategies as st

from remit.catalogue import classify
from remit.task import history, reservations
from remit.task.model import Budget, History
from tests.catalogue.given import CLASSES, call, connector
from tests.task.given import task


def test_one_call_counts_once_in_all_by_tier_by_tool_and_by_class():
    classified = classify(connector(), call("git_log"), classes=CLASSES)
    budget = Budget(calls=5, per_tool={"git/git_log": 2})
    assert reservations(task(budget=budget), "git/git_log", classified=classified) == {
        "task/t1/calls": 5,
        "task/t1/tier/read": None,
        "task/t1/tool/git/git_log": 2,
        "task/t1/class/internal": None,
    }


@given(st.lists(st.sampled_from(["git_log", "git_commit", "other"])))
def test_the_history_is_what_was_reserved(names):
    counters = Counter({"task/t10/calls": 9, "task/t1": 9})
    for name in names:
        classified = classify(connector(), call(name), classes=CLASSES)
        counters.update(reservations(task(), f"git/{name}", classified=classified).keys())
    found = history(counters, "t1")
    assert found.calls == len(names)
    assert found.tools == Counter(f"git/{name}" for name in names)
    assert sum(found.tiers.values()) == sum(found.data_classes.values()) == len(names)


def test_a_task_without_counters_has_done_nothing():
    assert history({}, "t1") == History()


def test_what_a_later_version_counts_besides_is_no_history():
    assert history({"task/t1/calls": 1, "task/t1/weight/heavy": 7}, "t1") == History(calls=1)
