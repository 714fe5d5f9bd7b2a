"""The starter set, case by case."""

from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from remit.decision import Verdict
from remit.policy import STARTER
from tests.policy.world import AGENT, CONNECTOR, KNOWN, in_force, request

ALLOW, DENY, STEP_UP = Verdict.ALLOW, Verdict.DENY, Verdict.STEP_UP
POLICIES = in_force(STARTER, known=KNOWN)
AGENTS = {"ours": AGENT, "staging": replace(AGENT, environment="staging"), "theirs": replace(AGENT, tenant="other")}
CONNECTORS = {
    "ours": CONNECTOR,
    "staging": replace(CONNECTOR, environment="staging"),
    "theirs": replace(CONNECTOR, tenant="other"),
}


@dataclass
class Case:
    """Who asks for what, under which task and boundary; the verdict and the policies that determine it."""

    tier: str
    verdict: Verdict
    policies: str
    agent: str = "ours"
    connector: str = "ours"
    task: Any = None
    boundary: str = "separate-user"


TEMPLATE, STAGING, THEIRS = {"origin": "template"}, {"environment": "staging"}, {"tenant": "other"}
CASES = [
    Case("read", ALLOW, "reads"),
    Case("write", ALLOW, "writes"),
    Case("privileged", STEP_UP, "privileged-approval"),
    Case("read", ALLOW, "reads", boundary="same-user"),
    Case("write", ALLOW, "writes", boundary="same-user"),
    Case("privileged", DENY, "privileged-approval same-user", boundary="same-user"),
    Case("privileged", STEP_UP, "privileged-approval", boundary="separate-host"),
    Case("read", ALLOW, "reads", task=TEMPLATE),
    Case("write", DENY, "template-tasks-read-only", task=TEMPLATE),
    Case("privileged", DENY, "privileged-approval template-tasks-read-only", task=TEMPLATE),
    Case("write", DENY, "template-tasks-read-only", task={"origin": "unheard-of"}),
    Case("read", DENY, "environment", agent="staging"),
    Case("read", DENY, "environment", connector="staging"),
    Case("read", DENY, "environment", task=STAGING),
    Case("read", DENY, "environment", agent="staging", connector="ours", task=STAGING),
    Case("read", ALLOW, "reads", agent="staging", connector="staging", task=STAGING),
    Case("read", DENY, "tenant", agent="theirs"),
    Case("write", DENY, "tenant", connector="theirs"),
    Case("read", DENY, "tenant", task=THEIRS),
    Case("read", ALLOW, "reads", agent="theirs", connector="theirs", task=THEIRS),
    Case("privileged", DENY, "environment privileged-approval", agent="staging"),
    Case("write", ALLOW, "writes", task={"requester_proof": "asserted"}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_case(case: Case) -> None:
    asked = request("desk/run", case.tier, agent=AGENTS[case.agent], connector=CONNECTORS[case.connector])
    task = replace(asked.facts.task, **(case.task or {}))
    asked = replace(asked, facts=replace(asked.facts, task=task, boundary=case.boundary))
    decision = POLICIES.decide(asked)
    assert decision.verdict is case.verdict
    assert decision.policies == tuple(f"starter.{name}" for name in case.policies.split())
    assert decision.errors == ()
    assert decision.approvals == (("privileged-call",) if case.verdict is STEP_UP else ())


def test_everybody_reaches_everything_and_history_is_not_read() -> None:
    assert POLICIES.reaches("anybody", "shop/buy", connector_name="shop")
    assert not POLICIES.needs_history


def test_a_permit_added_later_reaches_past_no_forbid() -> None:
    wider = in_force(STARTER + '\n@id("more") permit (principal, action, resource);')
    asked = request("desk/run", "privileged")
    assert wider.decide(asked).verdict is STEP_UP
    assert wider.decide(replace(asked, facts=replace(asked.facts, boundary="same-user"))).verdict is DENY
