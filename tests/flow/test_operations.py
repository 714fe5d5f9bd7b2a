"""Calls that end later: bound to who made them, asked after without being calls, on record once when they end."""

import asyncio
from typing import Any

import msgspec
import pytest

from remit.answer import Accepted, Followed, Refusal, Released, ServerError
from remit.call import Client
from remit.commit.model import Reserve, Write, Written
from remit.edge.acts.policies import Files
from remit.errors import StoreFault, UpstreamFault
from remit.forward.model import Outgoing, Reply
from remit.ledger.receipt import Completion, Denial, Intent, Outcome
from remit.limits import OPERATION_ARGUMENTS_BYTES_MAX, OPERATION_LIFETIME_MAX_S, OPERATIONS_PER_AGENT_MAX
from remit.outcome import operations_of
from remit.reasons import Reason
from remit.task.model import Task
from tests.jobs import DONE, Jobs
from tests.world import CATALOGUE, URL, World, reply

FOLLOWS = Client(operations=True)
ASKED = Client(operations=True, capabilities={"elicitation": {}})
QUESTION: dict[str, Any] = {"method": "elicitation/create", "params": {"message": "sure?", "requestedSchema": {}}}
YES = {"action": "accept", "content": {"confirm": True}}
ALL_BUT_ANSWERS = """
@id("all") permit(principal, action, resource);
@id("no-answers") forbid(principal, action == Action::"notes/add", resource)
when { context.method == "tasks/update" && context.args has path && context.args.path == "a" };
"""
UNKNOWN = Refusal(reason=Reason.CALL_OPERATION, detail="", verdict="DENY")


class Setting:
    """A world whose tool server makes tasks, and one call it accepted."""

    def __init__(self, world: World, task: Task, jobs: Jobs) -> None:
        self.world, self.task, self.jobs = world, task, jobs
        self.id = ""

    @classmethod
    async def made(cls, name: str = "read", *, jobs: Jobs | None = None, client: Client = FOLLOWS) -> "Setting":
        world = await World.made()
        setting = cls(world, await world.task(purpose="upkeep", tiers=("read", "write")), jobs or Jobs())
        setting.serve()
        setting.id = (await setting.accepted(name, speaks=client, arguments={"path": "a"})).operation
        return setting

    def serve(self) -> None:
        self.world.server.answers, self.world.server.tends = self.jobs.answers, self.jobs.tends

    async def accepted(self, name: str = "read", **more: Any) -> Accepted:
        said = await self.world.call(self.task, name, **({"speaks": FOLLOWS} | more))
        assert isinstance(said, Accepted), said
        return said

    async def get(self, **more: Any) -> Any:
        """How it stands, asked after its server may be asked again."""
        self.world.now += 60_000
        return await self.now(**more)

    async def now(self, does: str = "get", **more: Any) -> Any:
        return await self.world.follow(self.task, self.id, does, **({"speaks": FOLLOWS} | more))

    async def completions(self) -> list[Completion]:
        return await self.world.bodies(Completion)


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
