"""Step 6: may this agent, for this task, do this, now?"""

import asyncio
import tracemalloc

import pytest

from remit.answer import Refusal, Released
from remit.edge.acts.policies import Files
from remit.errors import ConfigFault, NotPermitted
from remit.ledger.receipt import Denial, Intent, PolicyEvent
from remit.policy import STARTER
from remit.reasons import Reason
from tests.world import CATALOGUE, World

OPEN = '@id("all") permit (principal, action, resource);'


@pytest.mark.holds("INV-02-GROUND")
async def test_without_a_policy_nothing_passes() -> None:
    world = await World.made(policy=None)
    said = await world.call(await world.task())
    assert isinstance(said, Refusal)
    assert said.reason is Reason.POLICY_NONE
    assert world.server.got == []
    await world.holds()


@pytest.mark.holds("INV-02")
async def test_a_policy_that_cannot_be_evaluated_is_a_no_although_cedar_would_skip_it() -> None:
    policy = (
        OPEN
        + '@id("soon") forbid (principal, action, resource) when { context.history.calls * 9223372036854775807 < 0 };'
    )
    world = await World.made(policy=policy)
    task = await world.task()

    assert isinstance(await world.call(task), Released)
    assert isinstance(await world.call(task), Released)
    said = await world.call(task)

    assert isinstance(said, Refusal)
    assert said.reason is Reason.POLICY_ERROR
    await world.holds()


@pytest.mark.holds("INV-13")
async def test_sixty_four_calls_at_once_under_a_policy_of_three_reach_the_server_three_times() -> None:
    policy = OPEN + '@id("three") forbid (principal, action, resource) when { context.history.calls >= 3 };'
    world = await World.made(policy=policy)
    task = await world.task()

    said = await asyncio.gather(*(world.call(task, arguments={"path": str(n)}) for n in range(64)))

    assert sum(isinstance(one, Released) for one in said) == 3
    assert len(world.server.got) == 3
    await world.holds()


async def test_the_receipt_names_the_policies_the_set_and_the_basis() -> None:
    world = await World.made()
    await world.call(await world.task())
    [intent] = await world.bodies(Intent)
    assert intent.asked.policies == ("starter.reads",)
    assert intent.asked.policy_set == world.live.policies().digest
    assert intent.asked.basis.startswith("sha256:")
    assert await world.store.blob(intent.asked.policy_set) == world.live.policies().text.encode()
    await world.holds()


async def test_a_set_that_does_not_validate_replaces_nothing() -> None:
    world = await World.made()
    before = world.live.policies()
    with pytest.raises(ConfigFault, match=r"policy\.cedar:1"):
        await world.policies.apply(
            world.who(),
            Files(files={"policy.cedar": '@id("x") permit (principal, action == Action::"notes/reed", resource);'}),
        )
    assert world.live.policies() is before
    assert len(await world.bodies(PolicyEvent)) == 1
    await world.holds()


@pytest.mark.holds("INV-15-DOOR")
async def test_only_an_operator_applies_policies() -> None:
    world = await World.made()
    with pytest.raises(NotPermitted):
        await world.policies.apply(world.who("ben"), Files(files={"policy.cedar": OPEN}))
    await world.holds()


@pytest.mark.holds("INV-10")
async def test_a_stricter_set_is_in_force_for_a_call_that_was_decided_but_not_committed() -> None:
    world = await World.made(policy=OPEN)
    task = await world.task()
    write = world.store.write

    async def applied_meanwhile(what):  # type: ignore[no-untyped-def]
        world.ports.store.write = write  # type: ignore[method-assign]
        await world.policies.apply(world.who(), Files(files={"none.cedar": ""}))
        return await write(what)

    world.ports.store.write = applied_meanwhile  # type: ignore[method-assign]
    said = await world.call(task)

    assert isinstance(said, Refusal)
    assert world.server.got == []
    await world.holds()


async def test_the_applied_set_outlives_a_restart_and_files_do_not_matter() -> None:
    world = await World.made(policy=OPEN)
    task = await world.task(purpose="upkeep")
    await world.restarted()
    assert isinstance(await world.call(task, "wipe"), Released)
    await world.holds()


@pytest.mark.parametrize(
    "name, boundary, reason, approvals",
    [
        ("wipe", "separate-user", Reason.APPROVAL_REQUIRED, ("privileged-call",)),
        ("wipe", "same-user", Reason.POLICY_DENIED, ()),
    ],
)
@pytest.mark.holds("INV-15", "INV-04-NEEDED")
async def test_the_starter_set_asks_for_approval_or_forbids_where_the_boundary_is_weak(
    name: str, boundary: str, reason: Reason, approvals: tuple[str, ...]
) -> None:
    world = await World.made(CATALOGUE.replace("separate-user", boundary), policy=STARTER)
    said = await world.call(await world.task(purpose="upkeep"), name)
    assert isinstance(said, Refusal)
    assert (said.reason, said.approvals) == (reason, approvals)
    [denial] = await world.bodies(Denial)
    assert denial.asked.boundary == boundary
    assert world.server.got == []
    await world.holds()


async def test_environments_never_mix() -> None:
    world = await World.made()
    task = await world.task(purpose="upkeep")
    said = await world.call(task, params={"name": "read", "arguments": {"path": "a"}}, connector="vault")
    assert isinstance(said, Refusal)
    assert said.reason is Reason.TASK_ENVIRONMENT
    await world.holds()


async def test_what_is_remembered_of_decisions_does_not_grow_with_the_arguments() -> None:
    guard = """@id("no-tricks") forbid (principal, action == Action::"notes/add", resource)
    when { context.args has text && context.args.text like "*trick*" };"""
    world = await World.made(policy=STARTER + guard)
    task = await world.task(purpose="upkeep")
    tracemalloc.start()
    try:
        for number in range(8):
            await world.call(task, "add", arguments={"text": f"{number}" + "a" * 500_000})
        kept = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/remit/policy/*")])
    finally:
        tracemalloc.stop()
    assert sum(trace.size for trace in kept.traces) < 500_000
    await world.holds()


GUARDED = """
    @id("all") permit (principal, action, resource);
    @id("big") forbid (principal, action == Action::"notes/run", resource)
    when { context.args has amount && context.args.amount.greaterThan(decimal("100.0")) };
    @id("many") forbid (principal, action == Action::"notes/add", resource)
    when { context.args has times && context.args.times > 10 };
"""


@pytest.mark.holds("INV-02", "INPUT-NUMBER")
@pytest.mark.parametrize(
    "name, arguments",
    [
        ("run", {"dry": False, "amount": 1000}),
        ("run", {"dry": False, "amount": 1000.00001}),
        ("run", {"dry": False, "amount": 1e15 + 0.5}),
        ("run", {"dry": False, "amount": 1e21}),
        ("run", {"dry": False, "amount": -0.00001}),
        ("add", {"times": 11}),
        ("add", {"times": 1e21}),
        ("add", {"times": 1e300}),
    ],
)
async def test_a_guard_over_an_argument_is_not_evaded_by_a_value_that_has_no_type(
    name: str, arguments: dict[str, object]
) -> None:
    world = await World.made(policy=GUARDED)
    said = await world.call(await world.task(purpose="upkeep"), name, arguments=arguments)
    assert isinstance(said, Refusal)
    assert world.server.got == []
    await world.holds()


async def test_a_policy_that_asks_what_is_untyped_decides_about_it_itself() -> None:
    asks = GUARDED.replace(
        "when { context.args has amount &&", 'when { !context.untyped.contains("amount") && context.args has amount &&'
    )
    world = await World.made(policy=asks)
    said = await world.call(await world.task(purpose="upkeep"), "run", arguments={"dry": False, "amount": 0.00001})
    assert isinstance(said, Released)
    await world.holds()
