"""The scope index and the pruned context decide, explain and err as the whole set over the whole context does."""

from typing import Any

import cedarpy
import pytest
from cedarpy import pst
from hypothesis import given, settings, strategies as st
from msgspec import json

from remit.decision import Verdict
from remit.limits import POLICY_ANSWERS_MAX
from remit.policy.check import Policies, _failures as failures, evaluated, said
from remit.policy.context import asked_of, context_of, entities_of
from remit.policy.ground import Ground, Said
from remit.policy.index import Index
from remit.policy.model import ActionShape, Known, Request
from remit.policy.reads import Path, pruned, reads, tree
from remit.policy.source import Policy, policies
from remit.policy.typed import typed
from tests.policy.world import FILE, request

AGENTS, CONNECTORS = ["triage", "clerk"], ["desk", "shop"]
ACTIONS = ["desk/read", "desk/write", "desk/run"]
TIERS = ["read", "write", "privileged"]


def uid(kind: str, names: list[str]) -> st.SearchStrategy[str]:
    return st.sampled_from(names).map(lambda name: f'{kind}::"{name}"')


def party(variable: str, kind: str, names: list[str]) -> st.SearchStrategy[str]:
    other = st.sampled_from(['Agent::"desk"', 'Connector::"triage"', 'Team::"triage"'])
    one = st.one_of(uid(kind, names), other)
    return st.one_of(
        st.just(variable),
        one.map(lambda it: f"{variable} == {it}"),
        one.map(lambda it: f"{variable} in {it}"),
        st.sampled_from(["Agent", "Connector", "Team"]).map(lambda it: f"{variable} is {it}"),
        one.map(lambda it: f"{variable} is {kind} in {it}"),
        one.map(lambda it: f"{variable} is Team in {it}"),
    )


ANY_ACTION = uid("Action", [*ACTIONS, *TIERS])
ACTION = st.one_of(
    st.just("action"),
    ANY_ACTION.map(lambda it: f"action == {it}"),
    ANY_ACTION.map(lambda it: f"action in {it}"),
    st.lists(ANY_ACTION, max_size=3).map(lambda them: f"action in [{', '.join(them)}]"),
)
CONDITION = st.sampled_from(
    [
        "true",
        "false",
        'context.task.purpose == "triage"',
        'context.args.path == "/a"',
        "context.args.size > 3",
        "context.args has size && context.args.size > 3",
        "context.args has owner.name",
        "context has args.size",
        'context.args.owner.name == "eve"',
        'context.args == {"path": "/a"}',
        '{x: context.args}.x.path == "/a"',
        "(if context.args has size then context.args else context.task).age_s > 5",
        "[context.history.calls, 3].contains(3)",
        'context.task.purpose like "tri*"',
        "context.untyped.isEmpty()",
        "context.nothing.at.all",
        "context.history.calls + 9223372036854775807 > 0",
        'principal.name == "triage"',
        'resource.tenant == principal.tenant && action in Action::"read"',
        'principal is Agent && resource is Connector in Connector::"desk"',
        '!context.history.tools.contains("desk/read")',
    ]
)
CLAUSE = st.tuples(st.sampled_from(["when", "unless"]), CONDITION).map(lambda pair: f"{pair[0]} {{ {pair[1]} }}")
APPROVED = '@approval("boss") forbid ({}) {} unless {{ context.approvals.contains("boss") }};'


@st.composite
def sets(draw: st.DrawFn) -> tuple[Policy, ...]:
    texts = []
    for number in range(draw(st.integers(0, 6))):
        scope = ", ".join(
            (draw(party("principal", "Agent", AGENTS)), draw(ACTION), draw(party("resource", "Connector", CONNECTORS)))
        )
        clauses = " ".join(draw(st.lists(CLAUSE, max_size=2)))
        kind = draw(st.sampled_from(["permit ({}) {};", "forbid ({}) {};", APPROVED]))
        texts.append(f'@id("p{number}") ' + kind.format(scope, clauses))
    return policies({"p": "\n".join(texts)})


@st.composite
def requests(draw: st.DrawFn) -> Request:
    args: dict[str, Any] = draw(
        st.sampled_from([{"path": "/a"}, {"path": "/b", "size": 5}, {}, {"owner": {"name": "eve"}, "other": 1}])
    )
    return request(
        draw(st.sampled_from(ACTIONS)),
        draw(st.sampled_from(TIERS)),
        args=args,
        agent_name=draw(st.sampled_from(AGENTS)),
        connector_name=draw(st.sampled_from(CONNECTORS)),
        purpose=draw(st.sampled_from(["triage", "other"])),
        calls=draw(st.integers(0, 4)),
    )


def sliced(found: tuple[Policy, ...], asked: Request) -> tuple[Policy, ...]:
    return Index(found).matching(asked.agent_name, asked.connector_name, action=asked.action, tier=asked.tier)


@pytest.mark.holds("POLICY-INDEX")
@settings(max_examples=300)
@given(sets(), requests())
def test_the_index_leaves_out_only_what_cannot_speak(found: tuple[Policy, ...], asked: Request) -> None:
    record = typed(FILE)
    whole = evaluated(Ground.of(asked, found, arguments_type=b""), asked, context=context_of(asked, record))
    part = evaluated(
        Ground.of(asked, sliced(found, asked), arguments_type=b""), asked, context=context_of(asked, record)
    )
    assert part == whole


@settings(max_examples=300)
@given(sets(), requests())
def test_asking_in_parts_of_what_they_read_changes_nothing(found: tuple[Policy, ...], asked: Request) -> None:
    """Against the bare engine: all policies at once, the whole context, no approvals."""
    whole = context_of(asked, typed(FILE))
    trees = {policy.id: policy.tree for policy in found}
    handle = cedarpy.PolicySet.from_pst(pst.PolicySet(templates={}, static_policies=trees, template_links=()))
    result = cedarpy.is_authorized(asked_of(asked, json.encode(whole)), handle, entities_of(asked))
    ground = Ground.of(asked, sliced(found, asked), arguments_type=b"")
    expected = Said(result.allowed, frozenset(result.diagnostics.reasons), failures(result))
    assert said(ground, asked, context=whole) == expected


@settings(max_examples=200)
@given(sets(), st.lists(requests(), min_size=2, max_size=8))
def test_an_answer_that_is_remembered_is_the_one_the_engine_would_give(
    found: tuple[Policy, ...], asked: list[Request]
) -> None:
    known = Known(actions=tuple(ActionShape(name=name, tiers=tuple(TIERS), schema=FILE) for name in ACTIONS))
    remembering = Policies(found, known)
    for one in [*asked, *asked]:
        assert remembering.decide(one) == Policies(found, known).decide(one)


def test_the_index_keeps_apart_what_is_scoped_apart() -> None:
    texts = [f'@id("p{n}") permit (principal == Agent::"a{n}", action, resource);' for n in range(100)]
    index = Index(policies({"p": "\n".join(texts)}))
    assert [policy.id for policy in index.matching("a7", "desk", action="desk/read", tier="read")] == ["p7"]
    assert index.matching("A7", "desk", action="desk/read", tier="read") == ()


PATHS: list[tuple[str, set[Path]]] = [
    ("context.task.purpose == principal.owner", {("context", "task", "purpose"), ("principal", "owner")}),
    ('context["args"]["a b"] == 1', {("context", "args", "a b")}),
    ("context has task.purpose", {("context", "task"), ("context", "task", "purpose")}),
    ("context.args == {}", {("context", "args")}),
    ("{x: context.task}.x.purpose == 1", {("context", "task")}),
    ("{x: 1} has x", set()),
    ("(if true then context.a else context.b).c", {("context", "a"), ("context", "b")}),
    ("(if true then context.a else context.b) has c", {("context", "a"), ("context", "b")}),
    ('context.a like "x*" || context.b.contains(context.c)', {("context", "a"), ("context", "b"), ("context", "c")}),
    ("[context.a, 3].contains(-context.b)", {("context", "a"), ("context", "b")}),
    ("resource in context.a && context.b is Agent", {("resource",), ("context", "a"), ("context", "b")}),
]


@pytest.mark.parametrize("condition,paths", PATHS)
def test_what_a_condition_reads(condition: str, paths: set[Path]) -> None:
    (tree,) = cedarpy.policies_to_pst(
        f"permit (principal, action, resource) when {{ {condition} }};"
    ).static_policies.values()
    assert reads(tree.clauses) == paths


def test_pruning_keeps_a_record_whose_member_is_asked_for() -> None:
    value = {"args": {"a": 1}, "task": {"purpose": "x", "age_s": 1}, "method": "m"}
    assert pruned(value, tree([("args", "b"), ("task",), ("none", "c"), ("method", "deeper")])) == {
        "args": {},
        "task": {"purpose": "x", "age_s": 1},
        "method": "m",
    }
    assert pruned(value, tree([("method",), ()])) == value
    assert pruned(value, tree([])) == {}


def test_answers_remembered_are_bounded_and_stay_right() -> None:
    text = 'permit(principal, action, resource) when { context.args.path like "/ok*" };'
    known = Known(actions=tuple(ActionShape(name=name, tiers=tuple(TIERS), schema=FILE) for name in ACTIONS))
    found = Policies(policies({"p": f'@id("ok") {text}'}), known)
    for number in range(POLICY_ANSWERS_MAX + 10):
        path = f"/{'ok' if number % 2 else 'no'}/{number}"
        decided = found.decide(request("desk/read", "read", args={"path": path}))
        assert decided.verdict is (Verdict.ALLOW if number % 2 else Verdict.DENY)
