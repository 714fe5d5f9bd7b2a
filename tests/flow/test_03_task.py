"""Step 3: for what purpose, and is that still open?"""

import asyncio
from typing import Any

import pytest

from remit.answer import Refusal, Released
from remit.errors import CallerFault, NotPermitted
from remit.ledger.receipt import Denial, TaskEvent
from remit.reasons import Denied, Reason
from remit.task.model import State
from tests.world import CATALOGUE, World


async def test_the_same_call_passes_in_one_task_and_not_in_the_other_because_of_its_purpose() -> None:
    world = await World.made()
    look, mend = await world.task(purpose="triage"), await world.task(purpose="upkeep")

    refused = await world.call(look, "add", arguments={"path": "a", "text": "b"})
    passed = await world.call(mend, "add", arguments={"path": "a", "text": "b"})

    assert isinstance(refused, Refusal)
    assert isinstance(passed, Released)
    await world.holds()


@pytest.mark.holds("INV-12-TENANT")
async def test_another_agents_task_answers_like_one_that_does_not_exist() -> None:
    world = await World.made()
    task = await world.task()

    others = await world.call(task, agent="rival")
    nobodys = await world.call(None, agent="rival", task="id999999")

    assert others == nobodys == Refusal(reason=Reason.TASK_UNKNOWN, detail="", verdict="DENY")
    assert all(receipt.task != task.id for receipt in await world.receipts() if isinstance(receipt.body, Denial))
    await world.holds()


@pytest.mark.holds("INV-12")
async def test_out_of_reach_and_not_there_cannot_be_told_apart() -> None:
    world = await World.made()
    task = await world.task(tools=("notes/read",))

    unknown = await world.call(task, params={"name": "no-such", "arguments": {}})
    beyond = await world.call(task, "add")
    elsewhere = await world.call(task, params={"name": "read", "arguments": {}}, connector="vault")
    nowhere = await world.call(task, params={"name": "read", "arguments": {}}, connector="no-such")

    assert unknown == beyond == elsewhere == nowhere
    assert isinstance(unknown, Refusal)
    assert unknown.reason is Reason.SCHEMA_UNKNOWN
    assert {denial.reason for denial in await world.bodies(Denial)} == {Reason.TASK_SCOPE}
    await world.holds()


@pytest.mark.holds("INV-12", "INV-12-TENANT")
@pytest.mark.parametrize("when", ["no task", "expired", "revoked"])
async def test_without_a_live_task_a_connector_that_exists_answers_like_one_that_does_not(when: str) -> None:
    world = await World.made()
    task = await world.task(agent="scout", minutes=1)
    if when == "expired":
        world.now += 60_000
    if when == "revoked":
        await world.move(task, "revoke")
    named = None if when == "no task" else task
    agent = "rival" if when == "no task" else "scout"

    there, not_there = [
        await world.call(named, agent=agent, connector=name, params={"name": "read", "arguments": {"path": "a"}})
        for name in ("vault", "no-such")
    ]

    assert isinstance(there, Refusal)
    assert isinstance(not_there, Refusal)
    assert (there.reason, there.detail) == (not_there.reason, not_there.detail)
    await world.holds()


@pytest.mark.holds("INV-12")
async def test_what_no_permit_reaches_is_not_there_and_the_record_says_why() -> None:
    world = await World.made(policy='@id("one") permit (principal, action == Action::"notes/read", resource);')
    task = await world.task(purpose="upkeep")

    hidden = await world.call(task, "add", arguments={"text": 1})
    unknown = await world.call(task, params={"name": "no-such", "arguments": {}})

    assert hidden == unknown
    assert [denial.reason for denial in await world.bodies(Denial)] == [Reason.POLICY_REACH, Reason.POLICY_REACH]
    assert isinstance(await world.call(task), Released)
    await world.holds()


@pytest.mark.parametrize(
    "name, arguments, spec, reason",
    [
        ("read", {"path": "b"}, {"arguments": {"notes/read": {"properties": {"path": {"const": "a"}}}}}, "arguments"),
        ("run", {"dry": False}, {}, "arguments"),
        ("run", {}, {}, "arguments"),
        ("quiet", {}, {"data_classes": ("public",)}, "data_class"),
    ],
    ids=["a constraint", "a tier by argument", "no tier said", "a data class"],
)
async def test_what_the_scope_reaches_but_not_like_this_says_why(
    name: str, arguments: dict[str, Any], spec: dict[str, Any], reason: str
) -> None:
    world = await World.made()
    said = await world.call(await world.task(**spec), name, arguments=arguments)
    assert isinstance(said, Refusal)
    assert said.reason == f"task.{reason}"
    assert world.server.got == []
    await world.holds()


@pytest.mark.parametrize(
    "spec",
    [
        {"tools": ("vault/read",)},
        {"tools": ("*",)},
        {"tiers": ("read", "write")},
        {"data_classes": ("secret",)},
        {"environment": "prod"},
        {"tenant": "other"},
        {"calls": 101},
        {"minutes": 100_000},
        {"per_tool": {"vault/read": 1}},
    ],
    ids=lambda spec: next(iter(spec)),
)
async def test_no_task_is_wider_than_its_purpose(spec: dict[str, Any]) -> None:
    world = await World.made()
    with pytest.raises(CallerFault):
        await world.task(**spec)
    assert await world.bodies(TaskEvent) == []
    await world.holds()


@pytest.mark.parametrize(
    "move, state",
    [("suspend", State.SUSPENDED), ("complete", State.COMPLETED), ("revoke", State.REVOKED)],
)
@pytest.mark.holds("INV-05-END")
async def test_a_task_that_is_not_open_passes_nothing_and_its_sessions_end(move: Any, state: State) -> None:
    world = await World.made()
    task = await world.task()
    await world.call(task)

    assert (await world.move(task, move)).state is state
    said = await world.call(task)

    assert isinstance(said, Refusal)
    assert said.reason is Reason.TASK_NOT_OPEN
    [moved] = [receipt.seq for receipt in await world.receipts() if receipt.task == task.id][-2:-1]
    assert world.server.ended == [(task.id, moved)]
    await world.holds()


async def test_a_suspended_task_resumes_by_an_operator_only() -> None:
    world = await World.made()
    task = await world.task(by="ben")
    await world.move(task, "suspend", by="ben")
    with pytest.raises(NotPermitted):
        await world.move(task, "resume", by="ben")
    await world.move(task, "resume")
    assert isinstance(await world.call(task), Released)
    await world.holds()


async def test_an_expired_task_passes_nothing_whether_or_not_that_is_recorded_and_can_be_renewed() -> None:
    world = await World.made()
    task = await world.task(minutes=1)
    world.now += 60_000

    before = await world.call(task)
    await world.tasks.expire()
    after = await world.call(task)
    await world.move(task, "renew")

    assert isinstance(before, Refusal)
    assert isinstance(after, Refusal)
    assert before.reason is after.reason is Reason.TASK_EXPIRED
    assert isinstance(await world.call(task), Released)
    assert [event.move for event in await world.bodies(TaskEvent)] == ["open", "expire", "renew"]
    await world.holds()


@pytest.mark.holds("LIMIT-TASKS")
async def test_open_tasks_of_an_agent_are_bounded_also_at_once() -> None:
    world = await World.made()

    made = await asyncio.gather(*(world.task() for _ in range(8)), return_exceptions=True)

    assert sum(isinstance(one, Denied) and one.reason is Reason.TASK_LIMIT for one in made) == 3
    opened = [one for one in made if not isinstance(one, BaseException)]
    await world.move(opened[0], "complete")
    await world.task()
    await world.holds()


async def test_a_client_that_names_no_task_gets_its_own_default_task_which_reads_only() -> None:
    world = await World.made()

    first = await world.call(None, client="desk-1")
    again = await world.call(None, client="desk-1")
    other = await world.call(None, client="desk-2")
    write = await world.call(None, "add", client="desk-1")

    assert all(isinstance(one, Released) for one in (first, again, other))
    assert isinstance(write, Refusal)
    opened = await world.bodies(TaskEvent)
    assert [(event.origin, event.actor.kind) for event in opened] == [("template", "gateway")] * 2
    await world.holds()


async def test_a_default_task_once_revoked_never_opens_again_for_that_client() -> None:
    world = await World.made()
    await world.call(None, client="desk")
    [task] = world.tasks.listed(world.who())
    await world.move(task, "revoke")

    world.now += 24 * 3_600_000
    said = await world.call(None, client="desk")

    assert isinstance(said, Refusal)
    assert said.reason is Reason.TASK_NOT_OPEN
    await world.holds()


async def test_an_idle_default_task_expires_and_the_next_call_opens_another() -> None:
    world = await World.made()
    await world.call(None, client="desk")
    world.now += 9 * 60_000
    await world.call(None, client="desk")
    world.now += 9 * 60_000
    await world.call(None, client="desk")
    assert len(await world.bodies(TaskEvent)) == 1

    world.now += 10 * 60_000
    await world.call(None, client="desk")

    assert [event.move for event in await world.bodies(TaskEvent)].count("open") == 2
    await world.holds()


async def test_eight_first_calls_of_one_client_open_one_default_task() -> None:
    world = await World.made()
    said = await asyncio.gather(*(world.call(None, client="desk") for _ in range(5)))
    assert all(isinstance(one, Released) for one in said)
    assert len(await world.bodies(TaskEvent)) == 1
    await world.holds()


async def test_an_agent_without_a_template_needs_a_task() -> None:
    world = await World.made()
    said = await world.call(None, agent="rival")
    assert isinstance(said, Refusal)
    assert said.reason is Reason.TASK_MISSING
    await world.holds()


async def test_a_token_for_one_task_and_a_header_for_another_is_a_no() -> None:
    world = await World.made()
    one, two = await world.task(), await world.task()
    token = world.token(task=one.id)

    both = await world.call(two, token=token)
    claim = await world.call(None, token=token)
    same = await world.call(one, token=token)

    assert isinstance(both, Refusal)
    assert both.reason is Reason.TASK_CONFLICT
    assert isinstance(claim, Released)
    assert isinstance(same, Released)
    await world.holds()


async def test_the_requester_is_proven_or_said_to_be_asserted() -> None:
    world = await World.made()
    await world.task()
    await world.task(requester="somebody@elsewhere.test")
    proofs = [(event.requester, event.requester_proof) for event in await world.bodies(TaskEvent)]
    assert proofs == [("person/ada", "authenticated"), ("somebody@elsewhere.test", "asserted")]
    await world.holds()


async def test_lists_show_what_is_in_reach_and_nothing_else() -> None:
    world = await World.made()
    narrow, wide = await world.task(tools=("notes/read",)), await world.task(purpose="upkeep")

    assert await world.listed(narrow) == ("notes/read",)
    assert await world.listed(wide) == ("notes/add", "notes/quiet", "notes/read", "notes/run", "notes/wipe")
    assert await world.listed(wide, connector=None) == (*await world.listed(wide), "vault/read")
    assert isinstance(await world.listed(None, agent="rival"), Refusal)
    await world.drift_of("read")
    assert await world.listed(narrow) == ()
    await world.holds()


@pytest.mark.holds("LIMIT-TASKS")
async def test_renewing_expired_tasks_does_not_open_more_than_the_agent_may_have() -> None:
    world = await World.made()
    expired = await world.task(minutes=1)
    world.now += 60_000
    await world.tasks.expire()
    for _ in range(5):
        await world.task()

    with pytest.raises(Denied) as no:
        await world.move(expired, "renew")

    assert no.value.reason is Reason.TASK_LIMIT
    await world.holds()


@pytest.mark.holds("TASK-TABLE")
@pytest.mark.parametrize("recorded", [True, False])
async def test_a_requester_does_not_lift_a_suspension_by_letting_the_task_expire(recorded: bool) -> None:
    world = await World.made()
    task = await world.task(by="ben", minutes=1)
    await world.move(task, "suspend")
    world.now += 60_000
    if recorded:
        await world.tasks.expire()

    assert (await world.move(task, "renew", by="ben")).state is State.SUSPENDED
    assert isinstance(await world.call(task), Refusal)

    await world.move(task, "resume")
    assert isinstance(await world.call(task), Released)
    await world.holds()


@pytest.mark.parametrize("client", ["desk", "another desk", ""])
async def test_after_a_default_task_was_revoked_no_other_name_of_the_client_gets_one(client: str) -> None:
    world = await World.made()
    await world.call(None, client="desk")
    [task] = world.tasks.listed(world.who())
    await world.move(task, "revoke")

    said = await world.call(None, client=client)
    assert isinstance(said, Refusal)
    assert said.reason is Reason.TASK_NOT_OPEN
    assert isinstance(await world.call(await world.task()), Released)

    await world.restore("agent", "scout")
    assert isinstance(await world.call(None, client="a new desk"), Released)
    await world.holds()


async def test_a_constraint_with_definitions_can_be_narrowed() -> None:
    schema = '{properties: {path: {$ref: "#/$defs/s"}}, $defs: {s: {pattern: "^/ok/"}}}'
    constrained = f"    calls: 100\n    arguments: {{notes/read: {schema}}}\n"
    world = await World.made(CATALOGUE.replace("    calls: 100\n", constrained, 1))
    narrow = {"properties": {"path": {"$ref": "#/$defs/s"}}, "$defs": {"s": {"maxLength": 6}}}
    task = await world.task(arguments={"notes/read": narrow})

    said = [await world.call(task, arguments={"path": path}) for path in ("/ok/x", "/no/x", "/ok/too-long")]

    assert [isinstance(one, Released) for one in said] == [True, False, False]
    await world.holds()


async def test_a_revoked_agent_is_told_from_one_that_is_not_there() -> None:
    world = await World.made()
    await world.revoke("agent", "scout")
    with pytest.raises(CallerFault, match="agent `scout` is revoked") as refused:
        await world.task()
    assert refused.value.advice == "`remit agent restore scout --reason …`"
    with pytest.raises(CallerFault, match="there is no agent `nobody`"):
        await world.task(agent="nobody")
