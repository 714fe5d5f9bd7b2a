"""Calls that end later: bound to who made them, asked after without being calls, on record once when they end."""

import asyncio
from typing import Any

import msgspec
import pytest

from remit.answer import Accepted, Followed, Refusal, Released, ServerError
from remit.commit.model import Write, Written
from remit.errors import StoreFault, UpstreamFault
from remit.forward.model import Outgoing, Reply
from remit.ledger.receipt import Completion, Denial, Intent, Outcome
from remit.limits import OPERATION_LIFETIME_MAX_S
from remit.reasons import Reason
from tests.flow.following import FOLLOWS, UNKNOWN, Setting
from tests.jobs import DONE, Jobs
from tests.world import URL, World, reply


@pytest.mark.holds("OPERATION-BOUND")
async def test_an_accepted_call_has_that_outcome_and_goes_on_under_a_name_of_ours() -> None:
    setting = await Setting.made()

    said = await setting.get()

    assert isinstance(said, Followed)
    assert (said.operation, said.about.status, said.labels) == (setting.id, "working", ("untrusted",))
    assert setting.id not in setting.jobs.tasks
    (outcome,) = await setting.world.bodies(Outcome)
    assert (outcome.outcome, outcome.operation, outcome.labels) == ("accepted", setting.id, ("untrusted",))
    assert b"theirs-" not in b"".join([leaf async for _, leaf in setting.world.store.leaves(0, 1000)])
    committed, sent = setting.world.server.tended[-1]
    assert (sent.method, sent.operation, bytes(sent.arguments)) == ("tasks/get", "theirs-1", b"{}")
    assert (committed.agent, committed.task, committed.intent) == ("scout", setting.task.id, outcome.intent)
    await setting.world.holds()


async def test_a_server_hears_only_of_clients_that_follow_operations() -> None:
    setting = await Setting.made()
    said = await setting.world.call(setting.task, "read")
    assert isinstance(said, Released)
    assert [sent.client.operations for _, sent in setting.world.server.got] == [True, False]


async def test_a_task_made_for_a_client_that_does_not_follow_them_is_withheld() -> None:
    world, jobs = await World.made(), Jobs()

    async def stubborn(outgoing: Outgoing) -> Reply:
        return reply(**jobs.made())

    world.server.answers = stubborn
    said = await world.call(await world.task())
    assert isinstance(said, Refusal)
    assert said.reason is Reason.RESULT_UNSUPPORTED
    assert not world.store.rows("operation")


@pytest.mark.parametrize(
    "wrong",
    [
        {"taskId": 7},
        {"taskId": ""},
        {"taskId": "with a blank"},
        {"taskId": "x" * 257},
        {"status": "resting"},
        {"createdAt": "yesterday"},
        {"lastUpdatedAt": 5},
        {"ttlMs": 0},
        {"ttlMs": 1.5},
        {"pollIntervalMs": -1},
    ],
)
async def test_a_task_in_no_known_form_is_withheld(wrong: dict[str, Any]) -> None:
    world, jobs = await World.made(), Jobs()

    async def odd(outgoing: Outgoing) -> Reply:
        return reply(**(jobs.made() | wrong))

    world.server.answers = odd
    said = await world.call(await world.task(), speaks=FOLLOWS)
    assert isinstance(said, Refusal)
    assert said.reason is Reason.RESULT_SCHEMA
    (outcome,) = await world.bodies(Outcome)
    assert outcome.outcome == "withheld"


async def test_a_server_that_keeps_it_for_ever_is_followed_for_a_week() -> None:
    setting = await Setting.made(jobs=Jobs(ttl_ms=None))
    said = await setting.get()
    assert said.about.ttl_ms == OPERATION_LIFETIME_MAX_S * 1000


@pytest.mark.holds("OPERATION-BOUND")
@pytest.mark.parametrize("does", ["get", "update", "cancel"])
@pytest.mark.parametrize("whose", ["nobody", "agent", "task", "default", "connector", "forgotten"])
async def test_whatever_is_not_the_callers_own_answers_like_what_never_was(whose: str, does: str) -> None:
    setting = await Setting.made()
    world = setting.world
    task, name, more = setting.task, setting.id, {}
    match whose:
        case "nobody":
            name = "id999999"
        case "agent":
            other = world.live.view().declared.agents["rival"]
            assert other.tenant == "other"
            task, more = None, {"agent": "rival"}
        case "task":
            task = await world.task()
        case "default":
            task = None
        case "connector":
            more = {"connector": "vault", "audience": f"{URL}/mcp/vault"}
            more["token"] = world.token(audience=f"{URL}/mcp/vault")
        case "forgotten":
            world.now += setting.jobs.ttl_ms or 0
    answers = {"answers": {}} if does == "update" else {}

    said = await world.follow(task, name, does, **answers, **more)

    assert said == UNKNOWN
    assert not world.server.tended
    (denial,) = await world.bodies(Denial) if (await world.recorder.flush()) is None else ()
    assert denial.reason == Reason.CALL_OPERATION
    await world.holds()


@pytest.mark.holds("OPERATION-BOUND")
async def test_what_it_was_made_under_has_to_be_in_force_still() -> None:
    async def suspended(setting: Setting) -> None:
        await setting.world.move(setting.task, "suspend")

    async def revoked(setting: Setting) -> None:
        await setting.world.move(setting.task, "revoke")

    async def cut_off(setting: Setting) -> None:
        await setting.world.revoke("connector", "notes")

    async def changed(setting: Setting) -> None:
        await setting.world.drift_of("read")

    for act in (suspended, revoked, cut_off, changed):
        setting = await Setting.made()
        setting.jobs.completes()
        await act(setting)
        assert await setting.get() == UNKNOWN, act
        assert await setting.now("update", answers={}) == UNKNOWN
        assert not await setting.completions()
        assert not setting.jobs.gets
        await setting.world.holds()


async def test_a_default_task_s_operation_is_its_clients() -> None:
    world, jobs = await World.made(), Jobs()
    world.server.answers, world.server.tends = jobs.answers, jobs.tends
    accepted = await world.call(None, client="one", speaks=FOLLOWS)
    assert isinstance(accepted, Accepted)
    assert isinstance(await world.follow(None, accepted.operation, client="one"), Followed)
    assert await world.follow(None, accepted.operation, client="two") == UNKNOWN


@pytest.mark.holds("OPERATION-COMPLETION")
@pytest.mark.parametrize(
    "ends, outcome, status",
    [
        (lambda jobs: jobs.completes(), "completed", "completed"),
        (lambda jobs: jobs.completes({"content": [], "isError": True}), "tool_error", "completed"),
        (lambda jobs: jobs.fails(), "failed", "failed"),
        (lambda jobs: jobs.completes({"content": [], "structuredContent": {"text": 7}}), "withheld", "completed"),
        (lambda jobs: jobs.completes({"resultType": "task", **jobs.task()}), "withheld", "completed"),
        (lambda jobs: jobs.completes({"resultType": "input_required", "requestState": "s"}), "withheld", "completed"),
        (lambda jobs: jobs.stop("theirs-1"), "cancelled", "cancelled"),
    ],
)
async def test_how_it_ends_is_on_record_once_and_told_as_often_as_asked(ends: Any, outcome: str, status: str) -> None:
    setting = await Setting.made()
    ends(setting.jobs)

    first, second = await setting.get(), await setting.get()

    assert isinstance(first, Followed)
    assert (first.about.status, first.ended) == (second.about.status, second.ended)
    (completion,) = await setting.completions()
    (accepted,) = await setting.world.bodies(Outcome)
    assert (completion.outcome, completion.status) == (outcome, status)
    assert (completion.intent, completion.call, completion.operation) == (accepted.intent, accepted.call, setting.id)
    match outcome:
        case "withheld":
            assert isinstance(first.ended, Refusal)
        case "cancelled":
            assert first.ended is None
        case _:
            assert isinstance(first.ended, Released)
            assert first.ended.labels == completion.labels == ("untrusted",)
    await setting.world.holds()


@pytest.mark.holds("OPERATION-COMPLETION")
async def test_the_completion_is_durable_before_the_result_is_shown() -> None:
    setting = await Setting.made()
    setting.jobs.completes()

    async def broken(write: Write) -> Written:
        raise StoreFault("as the test wants it")

    setting.world.store.write = broken  # type: ignore[method-assign]
    said = await setting.get()
    assert isinstance(said, Refusal)
    assert said.reason in (Reason.OUTCOME_UNRECORDED, Reason.COMMIT_STORE)


@pytest.mark.holds("OPERATION-COMPLETION")
async def test_sixteen_who_ask_at_once_see_one_completion_and_ask_its_server_once() -> None:
    setting = await Setting.made()
    setting.jobs.completes()
    said = await asyncio.gather(*(setting.now() for _ in range(16)))
    assert all(isinstance(one.ended, Released) and bytes(one.ended.result) for one in said)
    assert len(await setting.completions()) == 1
    assert setting.jobs.gets == 1
    await setting.world.holds()


@pytest.mark.holds("OPERATION-COMPLETION")
async def test_two_processes_that_see_the_end_at_once_record_it_once() -> None:
    setting = await Setting.made()
    setting.jobs.completes()
    world, other = setting.world, type(setting.world.operations)(setting.world.ports)
    ask = world.ask(setting.task, method="tasks/get", params={"taskId": setting.id}, speaks=FOLLOWS)
    said = await asyncio.gather(setting.now(), other.answer(world.case(ask)))
    assert [isinstance(one, Followed) for one in said] == [True, True]
    assert len(await setting.completions()) == 1


@pytest.mark.parametrize("poll_ms, asked", [(None, 1), (500, 2), (10, 10), (10**9, 1)])
async def test_its_server_is_asked_no_more_often_than_it_wants(poll_ms: int | None, asked: int) -> None:
    setting = await Setting.made(jobs=Jobs(poll_ms=poll_ms))
    for _ in range(10):
        await setting.now()
        setting.world.now += 100
    assert setting.jobs.gets == asked


@pytest.mark.holds("OPERATION-COMPLETION")
async def test_a_result_that_became_another_one_is_not_given() -> None:
    setting = await Setting.made()
    setting.jobs.completes()
    await setting.get()
    setting.jobs.completes({**DONE, "structuredContent": {"text": "something else"}})
    said = await setting.get()
    assert isinstance(said.ended, Refusal)
    assert said.ended.reason is Reason.RESULT_SCHEMA
    assert len(await setting.completions()) == 1


@pytest.mark.parametrize("name", ["read", "quiet"])
async def test_results_are_kept_as_the_catalogue_says(name: str) -> None:
    setting = await Setting.made(name)
    setting.jobs.completes()
    await setting.get()
    (receipt,) = [one for one in await setting.world.receipts() if isinstance(one.body, Completion)]
    kept = {value.name for value in await setting.world.store.values(receipt.seq)}
    assert kept == ({"result"} if name == "read" else set())
    assert set(receipt.values) == {"result"}
    assert receipt.body.received == len(msgspec.json.encode(DONE))


async def test_a_budget_is_used_once_however_often_it_is_asked_after() -> None:
    world, jobs = await World.made(), Jobs()
    world.server.answers, world.server.tends = jobs.answers, jobs.tends
    task = await world.task(calls=1)
    accepted = await world.call(task, speaks=FOLLOWS)
    assert isinstance(accepted, Accepted)
    for _ in range(3):
        assert isinstance(await world.follow(task, accepted.operation, speaks=FOLLOWS), Followed)
    assert world.tasks.history(task).calls == 1
    assert len(await world.bodies(Intent)) == 1


async def test_an_operation_outlives_a_restart() -> None:
    setting = await Setting.made()
    await setting.world.restarted()
    setting.serve()
    setting.jobs.completes()
    said = await setting.get()
    assert isinstance(said.ended, Released)
    await setting.world.restarted()
    setting.serve()
    assert (await setting.get()).ended == said.ended
    assert len(await setting.completions()) == 1
    await setting.world.holds()


async def test_an_operation_its_server_forgot_has_ended_as_nobody_knows() -> None:
    setting = await Setting.made()
    setting.jobs.tasks.clear()
    assert [await setting.get(), await setting.get()] == [UNKNOWN, UNKNOWN]
    (completion,) = await setting.completions()
    assert completion.outcome == "unknown"
    assert setting.jobs.gets == 1


async def test_a_result_its_server_forgot_is_gone_and_the_record_stays() -> None:
    setting = await Setting.made()
    setting.jobs.completes()
    await setting.get()
    setting.jobs.tasks.clear()
    assert await setting.get() == UNKNOWN
    (completion,) = await setting.completions()
    assert completion.outcome == "completed"


@pytest.mark.parametrize(
    "says",
    [
        UpstreamFault("as the test wants it", sent=True),
        ServerError(-32000, "not now"),
        {"taskId": "another"},
        {"status": "completed"},
        {"status": "failed"},
        {"status": "input_required"},
        {"createdAt": "once"},
        {"status": 7},
    ],
    ids=str,
)
async def test_a_server_that_does_not_say_how_it_stands_is_asked_again_later(says: Any) -> None:
    setting = await Setting.made()

    async def odd(outgoing: Outgoing) -> Reply:
        if isinstance(says, UpstreamFault):
            raise says
        if isinstance(says, ServerError):
            return Reply(result=None, error=says)
        return reply(**(setting.jobs.task() | says))

    setting.world.server.tends = odd
    said = await setting.get()
    assert isinstance(said, Refusal)
    assert said.reason is Reason.UPSTREAM_OPERATION
    setting.serve()
    assert isinstance(await setting.get(), Followed)
    assert not await setting.completions()


async def test_a_result_larger_than_is_read_ends_it_withheld() -> None:
    setting = await Setting.made()

    async def large(outgoing: Outgoing) -> Reply:
        return Reply(result=None)

    setting.world.server.tends = large
    for _ in range(2):
        said = await setting.get()
        assert (said.about.status, said.ended.reason) == ("completed", Reason.RESULT_TOO_LARGE)
    (completion,) = await setting.completions()
    assert (completion.outcome, completion.status) == ("withheld", "")
