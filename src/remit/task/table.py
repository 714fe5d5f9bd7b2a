"""A task's life: which moves there are, from where, and who may make them.

Stopping is easy and starting is hard: whoever has to do with a task may end it, only an operator lifts a suspension,
and what was revoked or completed never opens again. An expired task can be renewed, because nothing happened in it
since, and is suspended again if it was when it expired; a template's task cannot, a new one is opened instead.
"""

from enum import StrEnum
from typing import Final, Literal, NamedTuple

from msgspec.structs import replace

from remit.errors import CallerFault, NotPermitted
from remit.task.model import Party, State, Task

Move = Literal["suspend", "resume", "renew", "complete", "revoke", "expire"]


class Who(StrEnum):
    """What somebody is to a task. `requester` is the proven one: a requester merely asserted has no say."""

    OPERATOR = "operator"
    REQUESTER = "requester"
    OPENER = "opener"
    AGENT = "agent"
    GATEWAY = "gateway"


class Rule(NamedTuple):
    """What a move makes of each state it may be made from, and who may make it."""

    becomes: dict[State, State]
    may: frozenset[Who]


_CONCERNED: Final = frozenset({Who.OPERATOR, Who.REQUESTER, Who.OPENER})

TABLE: Final[dict[Move, Rule]] = {
    "suspend": Rule({State.OPEN: State.SUSPENDED}, _CONCERNED),
    "resume": Rule({State.SUSPENDED: State.OPEN}, frozenset({Who.OPERATOR})),
    "renew": Rule(
        {State.OPEN: State.OPEN, State.SUSPENDED: State.SUSPENDED, State.EXPIRED: State.OPEN},
        _CONCERNED,
    ),
    "complete": Rule(
        {State.OPEN: State.COMPLETED, State.SUSPENDED: State.COMPLETED},
        _CONCERNED | {Who.AGENT},
    ),
    "revoke": Rule(dict.fromkeys((State.OPEN, State.SUSPENDED, State.EXPIRED), State.REVOKED), _CONCERNED),
    "expire": Rule(dict.fromkeys((State.OPEN, State.SUSPENDED), State.EXPIRED), frozenset({Who.GATEWAY})),
}


def moved(task: Task, move: Move, *, by: Party, now: int) -> Task:
    """The task after a move. `CallerFault` for a move its state does not allow, `NotPermitted` for one `by` may not
    make. A task past its expiry counts as expired, whether or not that was recorded yet. To renew, use `renewed`.
    """
    rule = TABLE.get(move)
    if rule is None:
        raise CallerFault(f"`{move}` is no move of a task", "moves are " + ", ".join(TABLE))
    state = State.EXPIRED if _is_over(task, move, now=now) else task.state
    if state not in rule.becomes:
        raise CallerFault(f"a task that is {state} cannot {move}", _instead(state, move))
    if move == "expire" and now < task.expires_at and task.idle_s is None:
        raise CallerFault("the task has not expired", f"it does at {task.expires_at}")
    if not rule.may & relations(task, by):
        allowed = " or ".join(sorted(rule.may))
        raise NotPermitted(f"`{by.id}` may not {move} this task", f"its {allowed} may")
    held = {"suspend": True, "resume": False}.get(move, task.held)
    return replace(task, state=State.SUSPENDED if move == "renew" and held else rule.becomes[state], held=held)


def _instead(state: State, move: Move) -> str:
    return "nothing to do" if state in TABLE[move].becomes.values() else "open a new one"


def relations(task: Task, by: Party) -> frozenset[Who]:
    """What a party is to a task."""
    match by.kind:
        case "gateway":
            return frozenset({Who.GATEWAY})
        case "agent":
            return frozenset({Who.AGENT} if by.id == task.agent else ())
    is_what = {
        Who.OPERATOR: "operator" in by.roles,
        Who.REQUESTER: by.id == task.requester.id and task.requester.proof != "asserted" and by.kind == "human",
        Who.OPENER: by.id == task.opened_by and task.origin == "declared",
    }
    return frozenset(who for who, is_so in is_what.items() if is_so)


def diagram() -> str:
    """The table as a mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> open: open"]
    for move, rule in TABLE.items():
        lines += [f"    {before} --> {after}: {move}" for before, after in rule.becomes.items()]
    ends = [state for state in State if not any(state in rule.becomes for rule in TABLE.values())]
    return "\n".join([*lines, *(f"    {state} --> [*]" for state in ends)])


def _is_over(task: Task, move: Move, *, now: int) -> bool:
    return move != "expire" and task.state in (State.OPEN, State.SUSPENDED) and now >= task.expires_at
