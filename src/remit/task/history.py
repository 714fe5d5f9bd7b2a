"""What a task has used: the names of its counters, in one place, so that what commit counts is what policy reads.

Example: a write of `notes/add` under task `T` counts `task/T/calls`, `task/T/tier/write`, `task/T/tool/notes/add` and
`task/T/class/<each data class>`, calls in flight included.
"""

from collections.abc import Mapping

from remit.catalogue.classify import Classified
from remit.task.model import History, Task


def prefix_of(task_id: str) -> str:
    """What the names of all counters of a task begin with."""
    return f"task/{task_id}/"


def reservations(task: Task, target: str, *, classified: Classified) -> dict[str, int | None]:
    """What one call adds to, and how high each counter may go (None: only counted)."""
    prefix = prefix_of(task.id)
    return {
        f"{prefix}calls": task.budget.calls,
        f"{prefix}tier/{classified.tier}": None,
        f"{prefix}tool/{target}": task.budget.per_tool.get(target),
        **{f"{prefix}class/{name}": None for name in classified.data_classes},
    }


def history(counters: Mapping[str, int], task_id: str) -> History:
    """The task's history, from its counters; those of other tasks do not count."""
    prefix = prefix_of(task_id)
    under: dict[str, dict[str, int]] = {"calls": {}, "tier": {}, "tool": {}, "class": {}}
    for counter, count in counters.items():
        if counter.startswith(prefix):
            kind, _, name = counter[len(prefix) :].partition("/")
            if kind in under:
                under[kind][name] = count
    return History(
        calls=under["calls"].get("", 0), tiers=under["tier"], tools=under["tool"], data_classes=under["class"]
    )
