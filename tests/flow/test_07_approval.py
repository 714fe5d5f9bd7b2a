"""Step 7: must a person say yes, and have they, to exactly this?"""

import pytest

from remit.answer import Refusal
from remit.approval import approved
from remit.decision import Decision, Verdict
from remit.ledger.receipt import Denial, Intent
from remit.reasons import Denied, Reason
from tests.world import World

TWO = """
    @id("all") permit (principal, action, resource);
    @id("first") @approval("owner") forbid (principal, action in Action::"write", resource)
    unless { context.approvals.contains("owner") };
    @id("second") @approval("change") forbid (principal, action == Action::"notes/add", resource)
    unless { context.approvals.contains("change") };
"""


@pytest.mark.holds("INV-04-NEEDED")
async def test_a_call_that_needs_a_yes_is_withheld_with_every_name_it_needs() -> None:
    world = await World.made(policy=TWO)
    task = await world.task(purpose="upkeep")

    said = [await world.call(task, "add") for _ in range(3)]

    first = said[0]
    assert isinstance(first, Refusal)
    assert (first.verdict, first.reason) == ("STEP_UP", Reason.APPROVAL_REQUIRED)
    assert first.approvals == ("change", "owner")
    assert world.server.got == []
    assert await world.bodies(Intent) == []
    [denial] = await world.bodies(Denial)
    assert (denial.verdict, denial.approvals) == ("STEP_UP", ("change", "owner"))
    assert world.store.counters(f"task/{task.id}/") == {}
    await world.holds()


def test_only_an_allow_passes() -> None:
    basis = {"policies": (), "policy_set": "", "basis": ""}
    allow = Decision(verdict=Verdict.ALLOW, **basis)  # type: ignore[arg-type]
    assert approved(allow) is allow
    for verdict in set(Verdict) - {Verdict.ALLOW}:
        with pytest.raises(Denied):
            approved(Decision(verdict=verdict, **basis))  # type: ignore[arg-type]


def test_a_plain_no_says_which_policies_or_that_none_permits() -> None:
    for policies, errors, reason, said in [
        (("a", "b"), (), Reason.POLICY_DENIED, "by `a`, `b`"),
        ((), (), Reason.POLICY_DENIED, "no policy permits it"),
        (("a",), ("overflow",), Reason.POLICY_ERROR, "a policy could not be evaluated"),
    ]:
        with pytest.raises(Denied) as no:
            approved(Decision(verdict=Verdict.DENY, policies=policies, errors=errors, policy_set="", basis=""))
        assert (no.value.reason, no.value.detail) == (reason, said)
