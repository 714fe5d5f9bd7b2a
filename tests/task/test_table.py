"""Every state and every move: what it becomes, and who may make it."""

import itertools

import pytest
from msgspec.structs import replace

from remit.errors import CallerFault, NotPermitted
from remit.task import diagram, moved
from remit.task.model import Party, Requester, State
from remit.task.table import TABLE, Who
from tests.task.given import ALICE, FLOW, NOW, task

OPERATOR = Party(kind="human", id="op", roles=frozenset({"operator"}))
CODER, OTHER_AGENT = Party(kind="agent", id="coder"), Party(kind="agent", id="other")
GATEWAY = Party(kind="gateway", id="gateway", roles=frozenset({"requester", "operator"}))
AUDITOR = Party(kind="human", id="aud", roles=frozenset({"auditor"}))
STRANGER = Party(kind="human", id="bob", roles=frozenset({"requester"}))
LATER = NOW + 10 * 60_000

ACTS = {
    (State.OPEN, "suspend"): State.SUSPENDED,
    (State.OPEN, "renew"): State.OPEN,
    (State.OPEN, "complete"): State.COMPLETED,
    (State.OPEN, "revoke"): State.REVOKED,
    (State.OPEN, "expire"): State.EXPIRED,
    (State.SUSPENDED, "resume"): State.OPEN,
    (State.SUSPENDED, "renew"): State.SUSPENDED,
    (State.SUSPENDED, "complete"): State.COMPLETED,
    (State.SUSPENDED, "revoke"): State.REVOKED,
    (State.SUSPENDED, "expire"): State.EXPIRED,
    (State.EXPIRED, "renew"): State.OPEN,
    (State.EXPIRED, "revoke"): State.REVOKED,
}
MAY = {
    "suspend": {OPERATOR, ALICE, FLOW},
    "resume": {OPERATOR},
    "renew": {OPERATOR, ALICE, FLOW},
    "complete": {OPERATOR, ALICE, FLOW, CODER},
    "revoke": {OPERATOR, ALICE, FLOW},
    "expire": {GATEWAY},
}
EVERYBODY = (OPERATOR, ALICE, FLOW, CODER, OTHER_AGENT, GATEWAY, AUDITOR, STRANGER)


@pytest.mark.holds("TASK-TABLE")
@pytest.mark.parametrize("state, move", list(itertools.product(State, TABLE)))
def test_every_move_from_every_state(state, move):
    by = GATEWAY if move == "expire" else OPERATOR
    now = LATER if move == "expire" else NOW
    if (state, move) in ACTS:
        before = task(state=state)
        expected = replace(before, state=ACTS[state, move], held=move == "suspend")
        assert moved(before, move, by=by, now=now) == expected
    else:
        with pytest.raises(CallerFault, match=f"a task that is {state} cannot {move}"):
            moved(task(state=state), move, by=by, now=now)


@pytest.mark.holds("TASK-TABLE", "INV-15-DOOR")
@pytest.mark.parametrize(
    "move, by", list(itertools.product(TABLE, EVERYBODY)), ids=lambda given: getattr(given, "id", given)
)
def test_every_move_by_everybody(move, by):
    state = next(state for state in TABLE[move].becomes)
    now = LATER if move == "expire" else NOW
    before = replace(task(state=state), opened_by=FLOW.id)
    if by in MAY[move]:
        assert moved(before, move, by=by, now=now).state is ACTS[state, move]
    else:
        with pytest.raises(NotPermitted, match="may not"):
            moved(before, move, by=by, now=now)


def test_a_requester_merely_asserted_has_no_say():
    asserted = replace(task(), requester=Requester(id=ALICE.id, proof="asserted"), opened_by=FLOW.id)
    with pytest.raises(NotPermitted):
        moved(asserted, "revoke", by=ALICE, now=NOW)


def test_nobody_opened_a_default_task():
    default = replace(task(), origin="template", opened_by=STRANGER.id)
    with pytest.raises(NotPermitted):
        moved(default, "revoke", by=STRANGER, now=NOW)


@pytest.mark.parametrize("move", ["suspend", "complete", "resume"])
@pytest.mark.parametrize("state", [State.OPEN, State.SUSPENDED])
def test_a_task_past_its_expiry_counts_as_expired(state, move):
    with pytest.raises(CallerFault, match="a task that is expired"):
        moved(task(state=state), move, by=OPERATOR, now=LATER)


def test_a_task_does_not_expire_before_its_time_unless_it_can_be_idle():
    with pytest.raises(CallerFault, match="has not expired"):
        moved(task(), "expire", by=GATEWAY, now=LATER - 1)
    assert moved(task(idle_s=1), "expire", by=GATEWAY, now=NOW).state is State.EXPIRED


def test_a_move_nobody_knows_is_the_callers_fault():
    with pytest.raises(CallerFault, match="no move"):
        moved(task(), "reopen", by=OPERATOR, now=NOW)


@pytest.mark.holds("TASK-TABLE")
def test_what_was_revoked_or_completed_never_opens_again():
    reachable = {State.REVOKED, State.COMPLETED}
    for _ in State:
        reachable |= {rule.becomes[state] for rule in TABLE.values() for state in reachable & rule.becomes.keys()}
    assert reachable == {State.REVOKED, State.COMPLETED}


def test_the_agent_may_only_complete():
    assert [move for move, rule in TABLE.items() if Who.AGENT in rule.may] == ["complete"]


def test_the_diagram_shows_every_row_of_the_table():
    lines = diagram().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> open: open"]
    assert lines[-2:] == ["    completed --> [*]", "    revoked --> [*]"]
    assert {f"    {before} --> {after}: {move}" for (before, move), after in ACTS.items()} == set(lines[2:-2])


@pytest.mark.holds("TASK-TABLE")
def test_only_an_operator_lifts_a_suspension_also_of_a_task_that_expired_since():
    suspended = moved(task(), "suspend", by=OPERATOR, now=NOW)
    expired = moved(suspended, "expire", by=GATEWAY, now=LATER)
    for before in (suspended, expired):
        again = moved(before, "renew", by=ALICE, now=LATER)
        assert again.state is State.SUSPENDED
        assert moved(replace(again, expires_at=LATER + 1), "resume", by=OPERATOR, now=LATER).state is State.OPEN


@pytest.mark.parametrize(
    "state, move, advice",
    [
        (State.OPEN, "resume", "nothing to do"),
        (State.REVOKED, "revoke", "nothing to do"),
        (State.REVOKED, "resume", "open a new one"),
        (State.COMPLETED, "suspend", "open a new one"),
    ],
)
def test_who_asks_for_what_is_so_already_is_told_that(state, move, advice):
    with pytest.raises(CallerFault) as refused:
        moved(task(state=state), move, by=OPERATOR, now=NOW)
    assert refused.value.advice == advice
