"""Two workers over one sequencer: what is exact in one process is exact in two."""

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from remit.answer import Refusal, Released
from remit.commit.model import Put, Reserve, Write
from remit.edge.acts.inventory import Inventory, Revocation
from remit.edge.acts.live import Live
from remit.edge.acts.policies import Files, PolicySets
from remit.edge.acts.tasks import Given, Tasks
from remit.edge.workers.replica import Replica
from remit.edge.workers.wire import HEAD, VERSION
from remit.errors import CallerFault, Conflict, StoreFault
from remit.flow import answer
from remit.ledger.receipt import Draft, Intent, Noise, Outcome
from remit.policy import STARTER
from remit.reasons import Denied, Reason, Restart
from remit.task.model import Task
from tests.workers.crewed import WORKERS, Crewed, Member
from tests.world import advertised, reply, tool

NOBODY = '@id("nobody") forbid (principal, action, resource);'


@pytest.fixture
async def crewed() -> AsyncIterator[Crewed]:
    made = await Crewed.made()
    yield made
    await made.close()


async def call(
    crewed: Crewed, member: Member, task: Task | None, name: str = "read", /, **more: Any
) -> Released | Refusal:
    return await answer(crewed.world.case(crewed.world.ask(task, name, **more)), member.ports)


@pytest.mark.holds("INV-13")
async def test_64_calls_through_two_workers_under_a_budget_of_1_reach_the_upstream_once(crewed: Crewed) -> None:
    world = crewed.world
    for _ in range(10):
        task, before = await world.task(calls=1), len(world.server.got)
        await crewed.crew.settle()
        said = await asyncio.gather(*(call(crewed, crewed.members[n % 2], task) for n in range(64)))
        assert len(world.server.got) == before + 1
        assert Counter(type(one) for one in said) == {Released: 1, Refusal: 63}
        assert {one.reason for one in said if isinstance(one, Refusal)} <= {Reason.COMMIT_BUDGET}
        await world.move(task, "complete")
    await world.holds()


async def test_two_workers_open_one_default_task_for_one_client(crewed: Crewed) -> None:
    said = await asyncio.gather(*(call(crewed, member, None, client="one") for member in crewed.members))
    assert all(isinstance(one, Released) for one in said)
    assert len({warrant.task for warrant, _ in crewed.world.server.got}) == 1


@pytest.mark.holds("INV-10")
@pytest.mark.parametrize("what", ["agent", "connector", "task"])
async def test_what_was_revoked_commits_in_no_worker_once_it_is_acknowledged(crewed: Crewed, what: str) -> None:
    world = crewed.world
    task = await world.task(calls=100)
    await crewed.crew.settle()
    stopped = asyncio.Event()

    async def caller(member: Member) -> None:
        while not stopped.is_set():
            await call(crewed, member, task)
            await asyncio.sleep(0)

    callers = [asyncio.ensure_future(caller(member)) for member in crewed.members for _ in range(8)]
    for _ in range(32):
        await world.server.arrived.acquire()
    live = _shared(crewed)
    if what == "task":
        acts = Tasks(live, world.server, now=world._clock, new_id=world._id)
        await acts.move(world.who(), task.id, move="revoke", given=Given())
    else:
        name = {"agent": "scout", "connector": "notes"}[what]
        revocation = Revocation(what=what, name=name, reason="leak")  # type: ignore[arg-type]
        await Inventory(live, world.server, now=world._clock).revoke(world.who(), revocation)
    acknowledged = world.store.readable().epoch
    # Taken over by both when it is acknowledged: they decide anew, not only commit no more.
    assert [member.replica.epoch() for member in crewed.members] == [acknowledged] * 2
    size = len(await world.receipts())
    for _ in range(50):
        await asyncio.sleep(0)
    stopped.set()
    await asyncio.gather(*callers)
    assert not [one for one in (await world.receipts())[size:] if isinstance(one.body, Intent)]
    await world.holds()


async def test_a_policy_set_holds_in_every_worker_when_it_is_acknowledged(crewed: Crewed) -> None:
    world, policies = crewed.world, PolicySets(_shared(crewed))
    task = await world.task()
    for text, passes in ((NOBODY, False), (STARTER, True)) * 5:
        applied = await policies.apply(world.who(), Files(files={"policy.cedar": text}))
        assert {member.live.applied().digest for member in crewed.members} == {applied.digest}
        said = await asyncio.gather(*(call(crewed, member, task) for member in crewed.members))
        assert [isinstance(one, Released) for one in said] == [passes] * 2


async def test_a_task_is_there_for_every_worker_when_its_opening_is_acknowledged(crewed: Crewed) -> None:
    tasks = Tasks(_shared(crewed), crewed.world.server, now=crewed.world._clock, new_id=crewed.world._id)
    crewed.world.tasks = tasks
    for _ in range(5):
        task = await crewed.world.task()
        assert all([isinstance(await call(crewed, member, task), Released) for member in crewed.members])


async def test_a_worker_tells_of_a_tool_server_only_what_is_new(crewed: Crewed) -> None:
    world, (one, other) = crewed.world, crewed.members
    contracts = advertised()["notes"]
    await one.replica.observe("notes", contracts)
    assert crewed.observed == []
    changed = [tool("notes", "read", description="now it mails"), *contracts[1:]]
    await one.replica.observe("notes", changed)
    assert crewed.observed == ["notes"]
    task = await world.task()
    await crewed.crew.settle()
    for member in (one, other):
        said = await call(crewed, member, task)
        assert isinstance(said, Refusal)
        assert said.reason is Reason.SCHEMA_QUARANTINED


@pytest.mark.parametrize(
    "write, error, says",
    [
        (Write(reserves=(Reserve(counter="n", amount=2, most=1),)), Denied, "commit.budget: `n` would be 2 of 1"),
        (Write(expect_epoch=10**6), Restart, "the revocation epoch is"),
        (Write(expect_counters={"n": 7}), Restart, "the counter `n` is 0, not 7"),
        (Write(puts=(Put(kind="task", key="x", value=b"", expect=9),)), Conflict, "was changed by somebody else"),
        (Write(blobs={"sha256:00": b""}), CallerFault, "a blob does not have the digest"),
    ],
)
async def test_what_the_sequencer_raises_is_raised_in_the_worker(
    crewed: Crewed, write: Write, error: type[Exception], says: str
) -> None:
    replica = crewed.members[0].replica
    for asking in (replica.write, replica.enqueue):
        with pytest.raises(error, match=says):
            await asking(write)


async def test_after_a_refusal_the_replica_holds_what_it_was_refused_for(crewed: Crewed) -> None:
    one, other = (member.replica for member in crewed.members)
    for n in range(50):
        await other.enqueue(Write(puts=(Put(kind="x", key="k", value=str(n).encode()),), raise_epoch=True))
        with pytest.raises(Restart):
            await one.write(Write(expect_epoch=n - 1))
        assert (await one.row("x", "k")).value == str(n).encode()  # type: ignore[union-attr]
        assert one.epoch() == crewed.world.store.epoch()


_KEYS = st.sampled_from(["a", "b", "c"])
_WRITES = st.lists(
    st.builds(
        Write,
        puts=st.lists(
            st.builds(Put, kind=st.sampled_from(["client", "x"]), key=_KEYS, value=st.none() | st.binary(max_size=3)),
            max_size=3,
        ).map(tuple),
        reserves=st.lists(
            st.builds(Reserve, counter=_KEYS.map("task/{}/calls".format), amount=st.integers(-2, 2), most=st.just(3)),
            max_size=3,
        ).map(tuple),
        raise_epoch=st.booleans(),
        drafts=st.just((Draft(body=Noise(counts={"x": 1}, first=1, last=2)),)) | st.just(()),
    ),
    max_size=12,
)


@given(writes=_WRITES, chance=st.randoms())
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_replica_ends_as_the_state_is_whoever_writes(writes: list[Write], chance: Any) -> None:
    async def story() -> None:
        crewed = await Crewed.made()
        stores = [crewed.world.store, *(member.replica for member in crewed.members)]
        asked = [
            chance.choice([store.write, store.enqueue])(write) for write in writes for store in [chance.choice(stores)]
        ]
        await asyncio.gather(*asked, return_exceptions=True)
        await crewed.crew.settle()
        await crewed.join(WORKERS)
        await crewed.crew.settle()
        there = _normal(crewed.world.store)
        assert all(_normal(member.replica) == there for member in crewed.members)
        await crewed.world.holds()
        await crewed.close()

    asyncio.run(story())


async def test_calls_of_a_worker_that_ended_are_unknown_and_others_go_on(crewed: Crewed) -> None:
    world, (one, other) = crewed.world, crewed.members
    task = await world.task(purpose="upkeep")
    await crewed.crew.settle()
    held = asyncio.Event()

    async def never(outgoing: Any) -> Any:
        if outgoing.name == "quiet":
            await held.wait()
        return reply(content=[], structuredContent={"text": "done"})

    world.server.answers = never
    hanging = [asyncio.ensure_future(call(crewed, one, task, "quiet")) for _ in range(3)]
    for _ in hanging:
        await world.server.arrived.acquire()
    one.line.close()
    await one.desk.silent.wait()
    await one.desk.finish()
    ended = await world.bodies(Outcome)
    assert [(body.outcome, body.detail) for body in ended] == [("unknown", "the worker ended")] * 3
    assert world.store.open_intents() == ()
    assert isinstance(await call(crewed, other, task), Released)
    held.set()
    assert all(isinstance(said, Refusal) for said in await asyncio.gather(*hanging))
    with pytest.raises(StoreFault, match="main process is gone"):
        one.replica.epoch()
    again = await crewed.join(0)
    assert isinstance(await call(crewed, again, task), Released)
    await world.holds()


@pytest.mark.parametrize(
    "junk",
    [
        HEAD.pack(VERSION + 1, 0),
        HEAD.pack(VERSION, 2**31),
        HEAD.pack(VERSION, 1) + b"\xc1",
        HEAD.pack(VERSION, 3) + msgspec.msgpack.encode(["x"]),
        struct.pack(">BI", VERSION, 9) + msgspec.msgpack.encode(["Launch", 1]),
        HEAD.pack(VERSION, 9) + b"\x93\xa6Submit\x01",
    ],
)
async def test_a_worker_that_says_what_cannot_be_read_is_not_listened_to_any_more(crewed: Crewed, junk: bytes) -> None:
    one, other = crewed.members
    one.line._channel.send_framed(junk)
    await one.desk.silent.wait()
    with pytest.raises(StoreFault):
        await one.replica.write(Write())
    assert await other.replica.write(Write())


async def test_a_worker_that_cannot_take_over_a_change_ends(crewed: Crewed) -> None:
    one = crewed.members[0]
    await crewed.world.store.write(Write(puts=(Put(kind="agent_key", key="k", value=b"not a key"),)))
    await one.desk.silent.wait()
    assert one.line.lost.is_set()


async def test_a_default_task_a_worker_uses_is_not_idle_for_the_main_process(crewed: Crewed) -> None:
    world = crewed.world
    assert isinstance(await call(crewed, crewed.members[0], None), Released)
    for _ in range(4):
        world.now += 6 * 60_000
        assert isinstance(await call(crewed, crewed.members[0], None), Released)
        await world.tasks.expire()
    assert len({warrant.task for warrant, _ in world.server.got}) == 1


def _shared(crewed: Crewed) -> Live:
    """What is in force as the main process's acts have it."""
    live = crewed.world.live
    live.store = crewed.store
    return live


def _normal(store: Any) -> Any:
    moved = (store._state if isinstance(store, Replica) else store).readable()
    return dict(moved.rows), dict(moved.counters), moved.epoch
