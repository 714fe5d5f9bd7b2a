"""Decisions: what is not permitted is denied, what cannot be evaluated is denied, what needs a person waits for one."""

from importlib.metadata import version
from typing import Any

import cedarpy
import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from remit.decision import Verdict
from remit.limits import POLICY_SLICES_MAX
from remit.policy import ENGINE, check
from remit.policy.model import ActionShape, Known, TimeFacts
from tests.policy.world import AGENT, CONNECTOR, in_force, request

ALLOW, DENY, STEP_UP = Verdict.ALLOW, Verdict.DENY, Verdict.STEP_UP
PERMIT = '@id("ok") permit (principal, action == Action::"desk/read", resource);'


def asks(name: str, when: str = "true", action: str = "") -> str:
    return (
        f'@id("ask-{name}") @approval("{name}") forbid (principal, action{action}, resource) '
        f'when {{ {when} }} unless {{ context.approvals.contains("{name}") }};'
    )


def test_no_policy_is_a_no() -> None:
    decision = in_force().decide(request())
    assert (decision.verdict, decision.policies, decision.errors) == (DENY, (), ())


def test_a_permit_permits_and_is_named() -> None:
    policies = in_force(PERMIT)
    decision = policies.decide(request())
    assert (decision.verdict, decision.policies) == (ALLOW, ("ok",))
    assert decision.policy_set == policies.digest


def test_a_forbid_beats_a_permit() -> None:
    decision = in_force(PERMIT, '@id("no") forbid (principal, action, resource);').decide(request())
    assert (decision.verdict, decision.policies) == (DENY, ("no",))


@pytest.mark.parametrize(
    "action,tier", [("desk/none", "read"), ("desk/read", "write"), ("desk/read", "READ"), ("", "")]
)
def test_an_unknown_action_or_an_impossible_tier_is_an_error(action: str, tier: str) -> None:
    everything = in_force("permit (principal, action, resource);")
    decision = everything.decide(request(action, tier))
    assert decision.verdict is DENY
    assert decision.errors == (f"`{action}` is no action of tier `{tier}` here",)
    assert not everything.reaches("triage", "desk/none", connector_name="desk")


def test_an_erroring_forbid_denies() -> None:
    forbid = '@id("big") forbid (principal, action, resource) when { context.history.calls * 9223372036854775807 > 1 };'
    decision = in_force(PERMIT, forbid).decide(request(calls=77_777))
    assert decision.verdict is DENY
    assert decision.errors == ("`big` cannot be evaluated: a value does not suit it",)


def test_a_missing_required_argument_denies_and_is_named() -> None:
    """Step 4 would have refused the call; were it ever to be asked about, the answer is still no."""
    forbid = (
        '@id("etc") forbid (principal, action == Action::"desk/read", resource) when { context.args.path == "/etc" };'
    )
    decision = in_force(PERMIT, forbid).decide(request(args={}))
    assert decision.verdict is DENY
    assert decision.errors == ("`etc` cannot be evaluated: record does not have the attribute `path`",)


def test_an_error_never_repeats_a_value() -> None:
    condition = "context.args has size && context.args.size * 9223372036854775807 > 1"
    forbid = f'@id("sum") forbid (principal, action == Action::"desk/read", resource) when {{ {condition} }};'
    decision = in_force(PERMIT, forbid).decide(request(args={"path": "x", "size": 4242}))
    assert decision.errors
    assert "4242" not in "".join(decision.errors)


def test_no_decision_of_the_engine_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        check, "asked_of", lambda *_: {"principal": "?", "action": "?", "resource": "?", "context": "{}"}
    )
    decision = in_force(PERMIT).decide(request())
    assert (decision.verdict, decision.errors) == (DENY, ("the engine gave no decision",))


def test_a_diagnostic_of_unknown_wording_is_a_no() -> None:
    answer = cedarpy.AuthzResult({"decision": "Allow", "diagnostics": {"errors": ["something else"], "reason": ["ok"]}})
    assert check._failures(answer) == ("a policy cannot be evaluated",)


def test_an_approval_is_asked_for() -> None:
    decision = in_force(PERMIT, asks("boss")).decide(request())
    assert (decision.verdict, decision.approvals, decision.policies) == (STEP_UP, ("boss",), ("ask-boss",))


def test_all_approvals_that_are_needed_are_asked_for_at_once() -> None:
    decision = in_force(PERMIT, asks("boss"), asks("legal"), asks("night", "context.time.hour_utc > 5")).decide(
        request()
    )
    assert (decision.verdict, decision.approvals) == (STEP_UP, ("boss", "legal"))


def test_nobody_is_asked_about_what_would_be_denied_anyway() -> None:
    never = '@id("never") forbid (principal, action, resource);'
    assert in_force(PERMIT, asks("boss"), never).decide(request()).policies == ("ask-boss", "never")
    decision = in_force(asks("boss")).decide(request())
    assert (decision.verdict, decision.approvals, decision.policies) == (DENY, (), ())


def test_a_failure_beside_an_approval_is_a_no() -> None:
    bad = '@id("bad") forbid (principal, action, resource) when { context.history.calls * 9223372036854775807 > 1 };'
    assert in_force(PERMIT, asks("boss"), bad).decide(request(calls=3)).verdict is DENY


@pytest.mark.holds("POLICY-MONOTONE")
@given(st.data())
def test_adding_a_permit_never_removes_a_needed_approval(data: st.DataObject) -> None:
    conditions = st.sampled_from(["true", "false", 'context.task.purpose == "triage"', "context.history.calls > 2"])
    names = st.sampled_from(["boss", "legal", "night"])
    forbids = [
        asks(name, data.draw(conditions)).replace("ask-", f"ask-{at}-")
        for at, name in enumerate(data.draw(st.lists(names, max_size=4)))
    ]
    permits = [
        f'@id("permit-{at}") permit (principal, action, resource) when {{ {data.draw(conditions)} }};'
        for at in range(data.draw(st.integers(0, 2)))
    ]
    asked = request(calls=data.draw(st.integers(0, 4)))
    before = in_force(*forbids, *permits).decide(asked)
    after = in_force(*forbids, *permits, '@id("more") permit (principal, action, resource);').decide(asked)
    if before.verdict is STEP_UP:
        assert (after.verdict, after.approvals) == (STEP_UP, before.approvals)
    if before.verdict is ALLOW:
        assert after.verdict is ALLOW
    assert after.verdict in (ALLOW, STEP_UP)


@pytest.mark.holds("TASK-PURPOSE")
def test_the_same_call_of_two_tasks_is_decided_by_their_purpose() -> None:
    policies = in_force(
        '@id("triage-writes") permit (principal == Agent::"triage", action == Action::"desk/write", resource) '
        'when { context.task.purpose == "triage" };'
    )
    assert policies.decide(request("desk/write", "write", purpose="triage")).verdict is ALLOW
    assert policies.decide(request("desk/write", "write", purpose="reporting")).verdict is DENY


LOOKALIKES = ["Triage", "triage ", "trіage", "triage\u200b", "TRIAGE", 'triage" ', "Agent::triage"]


@pytest.mark.parametrize("name", LOOKALIKES)
def test_a_name_that_merely_looks_alike_is_another(name: str) -> None:
    mine = 'permit (principal == Agent::"triage", action == Action::"desk/read", resource == Connector::"desk");'
    assert in_force(mine).decide(request()).verdict is ALLOW
    assert in_force(mine).decide(request(agent_name=name)).verdict is DENY
    assert in_force(mine).decide(request(connector_name=name)).verdict is DENY


@pytest.mark.holds("INPUT-ESCAPE")
@pytest.mark.parametrize(
    "value",
    [
        {"__entity": {"type": "Agent", "id": "triage"}},
        {"__extn": {"fn": "decimal", "arg": "1.0"}},
        {"__expr": 'Agent::"triage"'},
        {"type": "Agent", "id": "triage"},
    ],
)
@pytest.mark.parametrize("argument", ["path", "price", "owner", "any", "tags"])
def test_an_argument_never_speaks_for_the_engine(argument: str, value: Any) -> None:
    """Step 1 refuses such keys; were one ever to come here, it is an untyped value and nothing else."""
    paths = f'["{argument}", "{argument}.{next(iter(value))}"]'
    untyped = in_force(
        '@id("u") permit (principal, action == Action::"desk/read", resource) '
        f"when {{ context.untyped.containsAny({paths}) }};"
    )
    assert untyped.decide(request(args={"path": "x", argument: value})).verdict is ALLOW


def test_policy_sees_what_is_untyped() -> None:
    forbid = '@id("u") forbid (principal, action, resource) unless { context.untyped.isEmpty() };'
    policies = in_force(PERMIT, forbid)
    assert policies.decide(request(args={"path": "x", "price": 1.25})).verdict is ALLOW
    assert policies.decide(request(args={"path": "x", "price": 0.00001})).verdict is DENY


def test_every_fact_is_there_to_be_read() -> None:
    conditions = [
        'principal.name == "triage"',
        'principal.owner == "ada@corp.example"',
        'principal.model.name == "opus"',
        'principal.version == "1.0"',
        'resource.name == "desk"',
        'resource.owner == "bob@corp.example"',
        'context.args.path like "/*"',
        'context.args has owner.name && context.args.owner.name == "eve"',
        'context.args has price && context.args.price.greaterThan(decimal("1.2"))',
        'context.args has tags && context.args.tags.containsAny(["a", "z"])',
        "context.task.age_s == 60 && context.task.calls_left == 9",
        'context.task.requester == "eve@corp.example" && context.task.requester_proof == "authenticated"',
        "context.history.calls == 4 && context.history.reads == 3 && context.history.writes == 1",
        'context.history.privileged == 0 && context.history.tools.contains("desk/write")',
        'context.history.data_classes.contains("internal")',
        'context.tool.tier == "read" && context.tool.data_classes.contains("public") && context.tool.open_schema',
        'context.method == "tools/call" && context.environment == "prod" && context.boundary == "separate-user"',
        "context.time.epoch_s == 1767225600 && context.time.hour_utc == 0 && context.time.weekday == 4",
        'action in Action::"read" && !(action in Action::"write")',
    ]
    args = {"path": "/a", "owner": {"name": "eve"}, "price": 1.25, "tags": ["a"]}
    history: dict[str, Any] = {
        "calls": 4,
        "reads": 3,
        "writes": 1,
        "tools": ("desk/write",),
        "data_classes": ("internal",),
    }
    for condition in conditions:
        policies = in_force(f'permit (principal, action == Action::"desk/read", resource) when {{ {condition} }};')
        asked = request(args=args, open_schema=True, **history)
        asked = replace(asked, facts=replace(asked.facts, tool=replace(asked.facts.tool, data_classes=("public",))))
        assert policies.decide(asked).verdict is ALLOW, condition


def test_weekdays_are_iso() -> None:
    days = [TimeFacts.at(86_400_000 * day).weekday for day in range(4, 11)]
    assert days == [1, 2, 3, 4, 5, 6, 7]
    assert TimeFacts.at(86_399_999) == TimeFacts(epoch_s=86_399, hour_utc=23, weekday=4)


def test_a_call_is_in_the_group_of_its_own_tier_only() -> None:
    reads = in_force('permit (principal, action in Action::"read", resource);')
    assert reads.decide(request("desk/run", "read")).verdict is ALLOW
    assert reads.decide(request("desk/run", "privileged")).verdict is DENY


def test_reading_history_is_said() -> None:
    policies = in_force(
        PERMIT,
        '@id("w") forbid (principal, action == Action::"desk/write", resource) when { context.history.calls > 3 };',
    )
    assert policies.needs_history
    assert not policies.decide(request()).reads_history
    assert policies.decide(request("desk/write", "write")).reads_history


def test_the_basis_moves_with_what_the_decision_rests_on_and_with_nothing_else() -> None:
    policies = in_force(PERMIT)
    basis = policies.decide(request()).basis
    other = in_force(PERMIT, '@id("else") permit (principal, action == Action::"desk/write", resource);')
    same = [policies.decide(request(calls=5, purpose="x", args={"path": "/b"})), other.decide(request())]
    assert {decision.basis for decision in same} == {basis}
    wider = Known(
        actions=(ActionShape(name="desk/read", tiers=("read",), schema={"properties": {"path": {"type": "string"}}}),)
    )
    moved = [
        in_force(PERMIT.replace('"ok"', '"okay"')).decide(request()),
        in_force(PERMIT + "// and a forbid\n" + asks("boss")).decide(request()),
        in_force(PERMIT, known=wider).decide(request()),
        policies.decide(request(rows=("sha256:other",))),
        policies.decide(request(agent=replace(AGENT, version="2"))),
        policies.decide(request(connector=replace(CONNECTOR, owner="mallory@corp.example"))),
    ]
    assert basis not in {decision.basis for decision in moved}
    assert len({decision.basis for decision in moved}) == len(moved)


def test_the_engine_is_the_one_installed() -> None:
    assert f"cedarpy {version('cedarpy').rpartition('.')[0]}" == ENGINE


def test_reach_is_some_permit_whose_scope_fits() -> None:
    policies = in_force(
        'permit (principal == Agent::"triage", action == Action::"desk/read", resource) when { false };',
        'forbid (principal, action == Action::"desk/write", resource);',
        'permit (principal, action in Action::"privileged", resource == Connector::"desk");',
    )
    assert policies.reaches("triage", "desk/read", connector_name="desk")
    assert not policies.reaches("clerk", "desk/read", connector_name="desk")
    assert not policies.reaches("triage", "desk/write", connector_name="desk")
    assert policies.reaches("clerk", "desk/run", connector_name="desk")
    assert not policies.reaches("clerk", "shop/buy", connector_name="shop")


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert POLICY_SLICES_MAX > 3
    monkeypatch.setattr(check, "POLICY_SLICES_MAX", 3)
    policies = in_force(PERMIT)
    for number in range(5):
        assert policies.decide(request(agent_name=f"agent-{number}")).verdict is ALLOW
    assert len(policies._grounds) == 3
