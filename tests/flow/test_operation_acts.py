"""What is done about calls that end later: their questions are answered, they are stopped, given up, forgotten."""

import asyncio
from typing import Any

import msgspec
import pytest

from remit.answer import Followed, Refusal, Released, ServerError
from remit.commit.model import Reserve, Write
from remit.edge.acts.policies import Files
from remit.forward.model import Outgoing, Reply
from remit.ledger.receipt import Denial, Intent, Outcome
from remit.limits import OPERATION_ARGUMENTS_BYTES_MAX, OPERATIONS_PER_AGENT_MAX
from remit.outcome import operations_of
from remit.reasons import Reason
from tests.flow.following import ASKED, FOLLOWS, QUESTION, YES, Setting
from tests.world import CATALOGUE, World, reply

ALL_BUT_ANSWERS = """
@id("all") permit(principal, action, resource);
@id("no-answers") forbid(principal, action == Action::"notes/add", resource)
when { context.method == "tasks/update" && context.args has path && context.args.path == "a" };
"""


@pytest.mark.holds("OPERATION-ANSWERS")
async def test_its_questions_reach_a_client_that_may_be_asked_and_the_answers_are_a_call() -> None:
    setting = await Setting.made("add", client=ASKED)
    setting.jobs.asks(one=QUESTION, two=QUESTION)

    said = await setting.get(speaks=ASKED)
    assert set(said.questions) == {"one", "two"}
    assert said.questions["one"].params == msgspec.Raw(
        msgspec.json.encode({**QUESTION["params"], "_meta": {"io.remit/labels": ["untrusted"]}})
    )
    acked = await setting.now("update", answers={"one": YES, "made up": YES}, speaks=ASKED)
    left = await setting.now(speaks=ASKED)

    assert isinstance(acked, Released)
    assert (bytes(acked.result), acked.error) == (b"{}", None)
    assert set(left.questions) == {"two"}
    assert setting.jobs.answered == [("theirs-1", {"one": YES})]
    first, second = await setting.world.bodies(Intent)
    assert (second.asked.method, second.asked.tier, second.answers) == ("tasks/update", "write", first.asked.call)
    assert [body.outcome for body in await setting.world.bodies(Outcome)] == ["accepted", "completed"]
    warrants = [warrant.digest for warrant, _ in setting.world.server.got]
    assert len(set(warrants)) == 2
    assert setting.world.tasks.history(setting.task).calls == 2
    await setting.world.holds()


@pytest.mark.holds("OPERATION-ANSWERS")
async def test_policy_decides_on_answers_with_the_arguments_of_the_call() -> None:
    setting = await Setting.made("add", client=ASKED)
    setting.jobs.asks(one=QUESTION)
    await setting.world.policies.apply(setting.world.who(), Files(files={"policy.cedar": ALL_BUT_ANSWERS}))
    said = await setting.now("update", answers={"one": YES}, speaks=ASKED)
    assert isinstance(said, Refusal)
    assert said.reason is Reason.POLICY_DENIED
    assert not setting.jobs.answered


@pytest.mark.parametrize(
    "name, path, then, answers, detail",
    [
        ("add", "a", lambda jobs: None, {"one": YES}, "it asks nothing"),
        ("add", "a", lambda jobs: jobs.asks(one=QUESTION), {"one": {"action": "perhaps"}}, "is no answer to"),
        ("quiet", "a", lambda jobs: jobs.asks(one=QUESTION), {"one": YES}, "not kept"),
        ("read", "a" * OPERATION_ARGUMENTS_BYTES_MAX, lambda jobs: jobs.asks(one=QUESTION), {"one": YES}, "not kept"),
    ],
    ids=["nothing asked", "no answer", "not kept", "too large to keep"],
)
@pytest.mark.holds("OPERATION-ANSWERS")
async def test_answers_nothing_can_be_decided_about_are_refused(
    name: str, path: str, then: Any, answers: Any, detail: str
) -> None:
    setting = await Setting.made()
    setting.id = (await setting.accepted(name, speaks=ASKED, arguments={"path": path})).operation
    then(setting.jobs)
    said = await setting.now("update", answers=answers, speaks=ASKED)
    assert isinstance(said, Refusal)
    assert said.reason is Reason.CALL_ANSWER
    assert detail in said.detail
    assert not setting.jobs.answered


async def test_one_that_has_ended_takes_no_answers() -> None:
    setting = await Setting.made("add", client=ASKED)
    setting.jobs.completes()
    await setting.get()
    said = await setting.now("update", answers={"one": YES}, speaks=ASKED)
    assert isinstance(said, Refusal)
    assert said.reason is Reason.CALL_ANSWER


@pytest.mark.parametrize("method", ["sampling/createMessage", "elicitation/create", "tools/call"])
async def test_what_may_not_be_asked_of_the_client_is_not(method: str) -> None:
    setting = await Setting.made("add", client=FOLLOWS if method == "elicitation/create" else ASKED)
    setting.jobs.asks(one={"method": method, "params": {}})
    said = await setting.get(speaks=FOLLOWS if method == "elicitation/create" else ASKED)
    assert isinstance(said, Refusal)
    assert said.reason is Reason.RESULT_UNSUPPORTED


async def test_answers_to_an_operation_go_by_no_other_way() -> None:
    world = await World.made()
    said = await world.call(await world.task(), method="tasks/update")
    assert isinstance(said, Refusal)
    assert said.reason is Reason.CALL_METHOD


@pytest.mark.holds("OPERATION-STOP")
async def test_stopping_is_told_to_the_server_and_its_end_recorded() -> None:
    setting = await Setting.made()
    said = [await setting.now("cancel"), await setting.now("cancel")]
    assert all(isinstance(one, Released) and bytes(one.result) == b"{}" for one in said)
    assert setting.jobs.stopped == ["theirs-1"]
    (completion,) = await setting.completions()
    assert (completion.outcome, completion.detail) == ("cancelled", "the agent asked for it")
    assert (await setting.get()).about.status == "cancelled"
    assert not await setting.world.bodies(Denial)
    await setting.world.holds()


@pytest.mark.holds("OPERATION-STOP")
@pytest.mark.parametrize("how", ["suspend", "revoke", "drift"])
async def test_stopping_is_allowed_whatever_else_is_not(how: str) -> None:
    setting = await Setting.made()
    if how == "drift":
        await setting.world.drift_of("read")
    else:
        await setting.world.move(setting.task, how)  # type: ignore[arg-type]
    said = await setting.now("cancel")
    assert isinstance(said, Released), said
    assert setting.jobs.stopped == ["theirs-1"]


async def test_a_server_that_goes_on_all_the_same_completes_it_later() -> None:
    setting = await Setting.made()

    async def deaf(outgoing: Outgoing) -> Reply:
        if outgoing.method == "tasks/cancel":
            return reply(resultType="complete")
        return await setting.jobs.tends(outgoing)

    setting.world.server.tends = deaf
    await setting.now("cancel")
    await setting.now("cancel")
    assert (await setting.get()).about.status == "working"
    setting.jobs.completes()
    assert isinstance((await setting.get()).ended, Released)
    (completion,) = await setting.completions()
    assert completion.outcome == "completed"


async def test_a_server_that_will_not_stop_it_is_named() -> None:
    setting = await Setting.made()

    async def unwilling(outgoing: Outgoing) -> Reply:
        return Reply(result=None, error=ServerError(-32000, "no"))

    setting.world.server.tends = unwilling
    said = await setting.now("cancel")
    assert isinstance(said, Refusal)
    assert (said.reason, said.detail) == (Reason.UPSTREAM_OPERATION, "error -32000")


@pytest.mark.holds("OPERATION-COMPLETION")
async def test_one_whose_time_is_over_is_forgotten_and_the_record_says_that_nobody_heard() -> None:
    setting = await Setting.made()
    counter = operations_of("scout")
    assert setting.world.store.counter(counter) == 1
    setting.world.now += setting.jobs.ttl_ms or 0
    for _ in range(3):
        await setting.world.sweep.round()
    (completion,) = await setting.completions()
    assert (completion.outcome, completion.status) == ("unknown", "")
    assert not setting.world.store.rows("operation")
    assert setting.world.store.counter(counter) == 0
    await setting.world.holds()


@pytest.mark.holds("OPERATION-STOP")
@pytest.mark.parametrize("what", ["task", "agent", "connector"])
async def test_what_nobody_may_follow_any_more_is_given_up_and_its_server_told_to_stop(what: str) -> None:
    setting = await Setting.made()
    if what == "task":
        await setting.world.move(setting.task, "complete")
    else:
        await setting.world.revoke(what, "scout" if what == "agent" else "notes")
    for _ in range(2):
        await setting.world.sweep.round()
    (completion,) = await setting.completions()
    assert completion.outcome == "unknown"
    assert what in completion.detail
    assert setting.jobs.stopped == ["theirs-1"]
    await setting.world.holds()


async def test_a_server_that_cannot_be_told_to_stop_is_on_record() -> None:
    setting = await Setting.made()
    setting.world.server.tends = setting.world.fails(sent=False)
    await setting.world.move(setting.task, "revoke")
    await setting.world.sweep.round()
    (completion,) = await setting.completions()
    assert "could not be told" in completion.detail


async def test_what_still_runs_is_left_alone() -> None:
    setting = await Setting.made()
    await setting.world.sweep.round()
    await setting.world.move(setting.task, "suspend")
    await setting.world.sweep.round()
    assert not await setting.completions()
    assert not setting.jobs.stopped


async def test_an_agent_with_as_many_as_it_may_have_is_answered_at_once() -> None:
    setting = await Setting.made()
    left = OPERATIONS_PER_AGENT_MAX - 1
    await setting.world.store.write(Write(reserves=(Reserve(counter=operations_of("scout"), amount=left),)))
    said = await setting.world.call(setting.task, "read", speaks=FOLLOWS)
    assert isinstance(said, Released)


async def test_a_client_that_leaves_while_it_asks_takes_nobody_else_s_answer() -> None:
    setting = await Setting.made()
    setting.jobs.completes()
    ask = setting.world.ask(setting.task, method="tasks/get", params={"taskId": setting.id}, speaks=FOLLOWS)
    gone = setting.world.case(ask)
    gone.cancel()
    said = await asyncio.gather(setting.world.operations.answer(gone), setting.now())
    assert isinstance(said[0], Refusal)
    assert isinstance(said[1], Followed)


async def test_who_asks_too_often_is_told_so() -> None:
    world = await World.made(CATALOGUE.replace("calls_per_second: 1000", "calls_per_second: 1"))
    task = await world.task()
    said = [await world.follow(task, "id1") for _ in range(5)]
    assert {one.reason for one in said if isinstance(one, Refusal)} == {Reason.CALL_OPERATION, Reason.IDENTITY_RATE}
