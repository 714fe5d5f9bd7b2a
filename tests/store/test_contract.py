"""The contract of `commit/facts.py`, sentence by sentence, against every driver."""

import asyncio

import msgspec
import pytest

from remit.canonical import digest
from remit.commit.model import Put, Reserve, Row, Write
from remit.edge.store import writer
from remit.edge.store.driver import POINTS
from remit.errors import CallerFault, Conflict, StoreFault
from remit.ledger.checkpoint import read, verify as verify_note
from remit.ledger.merkle import leaf_hash
from remit.ledger.receipt import Receipt
from remit.limits import CLOCK_REGRESSION_MS, DISK_ALARM_BYTES, DISK_RESERVE_BYTES, GROUP_COMMIT_MAX
from remit.reasons import Denied, Reason, Restart
from tests.ledger.story import denial, erasure, intent, key, noise, outcome
from tests.store.world import Struck, World


def call(name: str, task: str = "t1", most: int | None = None) -> Write:
    return Write(
        drafts=(intent(name, task, arguments=b"{}"),),
        reserves=(Reserve(counter=f"task/{task}/calls", most=most),),
        expect_epoch=0,
    )


async def test_a_new_store_is_an_empty_ledger_under_a_checkpoint(world: World) -> None:
    async with world.opened() as store:
        assert verify_note(await store.checkpoint(), [key(world.signer)]).size == 0
        assert (store.epoch(), store.counters(""), store.rows("task"), store.open_intents()) == (0, {}, {}, ())
        assert await store.row("task", "x") is None
        assert await store.leaf(0) is None
        assert await store.blob(digest(b"")) is None
        assert await store.values(0) == ()
        assert (await world.verified(store)).receipts == 0


async def test_a_write_happens_whole(world: World) -> None:
    async with world.opened() as store:
        written = await store.write(
            Write(
                drafts=(noise(), intent("c1", "t1", arguments=b'{"a":1}')),
                puts=(Put(kind="task", key="t1", value=b"{}", expect=0), Put(kind="pin", key="p", value=b"1")),
                reserves=(Reserve(counter="task/t1/calls", most=5),),
                blobs={digest(b"policy"): b"policy"},
                expect_epoch=0,
                raise_epoch=True,
            )
        )
        assert (written.seqs, written.epoch, store.epoch()) == ((0, 1), 1, 1)
        row = await store.row("task", "t1")
        assert row is not None
        assert row == store.rows("task")["t1"] == Row(value=b"{}", version=row.version)
        assert store.counters("task/t1/") == {"task/t1/calls": 1}
        assert store.counter("task/t1/calls") == 1
        assert await store.blob(digest(b"policy")) == b"policy"
        assert await store.blobs() == (digest(b"policy"),)
        (value,) = await store.values(1)
        assert (value.name, value.data) == ("arguments", b'{"a":1}')
        leaf = await store.leaf(1)
        assert leaf is not None
        assert msgspec.json.decode(leaf, type=Receipt).values["arguments"] == digest(value.salt + value.data)
        assert await store.leaf_hashes(1, 2) == leaf_hash(leaf)
        assert (await world.verified(store)).receipts == 2


@pytest.mark.parametrize(
    "refused, error",
    [
        (Write(drafts=(noise(),), expect_epoch=7), Restart),
        (Write(drafts=(noise(),), expect_counters={"task/t1/calls": 9}), Restart),
        (Write(drafts=(noise(),), puts=(Put(kind="task", key="t1", value=b"", expect=9),)), Conflict),
        (call("c2", most=1), Denied),
        (Write(drafts=(noise(), outcome("c1", "t1", 77))), CallerFault),
    ],
    ids=["epoch", "counters", "row", "budget", "outcome"],
)
async def test_a_refused_write_leaves_nothing(world: World, refused: Write, error: type[Exception]) -> None:
    async with world.opened() as store:
        await store.write(call("c1"))
        before = await store.checkpoint()
        with pytest.raises(error):
            await store.write(refused)
        with pytest.raises(error):
            await store.enqueue(refused)
        assert await store.checkpoint() == before
        assert store.counters("") == {"task/t1/calls": 1}
        assert (await store.write(Write(drafts=(noise(),)))).seqs == (1,)
        assert (await world.verified(store)).receipts == 2


async def test_64_concurrent_reservations_under_a_limit_of_1_succeed_once(world: World) -> None:
    async with world.opened() as store:
        answers = await asyncio.gather(*(store.write(call(f"c{n}", most=1)) for n in range(64)), return_exceptions=True)
        denied = [answer for answer in answers if isinstance(answer, Denied)]
        assert len(denied) == 63
        assert {answer.reason for answer in denied} == {Reason.COMMIT_BUDGET}
        assert (await world.verified(store)).receipts == 1
        assert store.counter("task/t1/calls") == 1


async def test_64_concurrent_decisions_on_one_history_restart_all_but_one(world: World) -> None:
    async with world.opened() as store:
        seen = store.counters("task/t1/")
        decided = msgspec.structs.replace(call("c"), expect_counters={"task/t1/calls": 0, **seen})
        answers = await asyncio.gather(*(store.write(decided) for _ in range(64)), return_exceptions=True)
        assert sum(isinstance(answer, Restart) for answer in answers) == 63


async def test_a_revocation_acknowledged_stops_every_decision_made_before_it(world: World) -> None:
    async with world.opened() as store:
        epoch = store.epoch()
        await store.write(Write(drafts=(noise(),), raise_epoch=True))
        with pytest.raises(Restart):
            await store.write(msgspec.structs.replace(call("c1"), expect_epoch=epoch))
        await store.write(msgspec.structs.replace(call("c1"), expect_epoch=store.epoch()))


async def test_a_write_that_returned_survives_and_so_does_everything_enqueued_before_it(world: World) -> None:
    async with world.opened() as store:
        await store.enqueue(Write(drafts=(noise(),), reserves=(Reserve(counter="n"),)))
        await store.enqueue(Write(puts=(Put(kind="task", key="gone", value=b"1"),)))
        await store.write(Write(puts=(Put(kind="task", key="kept", value=b"2"),), raise_epoch=True))
        await store.write(call("c1") if store.epoch() == 0 else msgspec.structs.replace(call("c1"), expect_epoch=1))
        await store.write(Write(puts=(Put(kind="task", key="gone", value=None),), blobs={digest(b"b"): b"b"}))
        versions, leaves = store.rows("task"), [row async for row in store.leaves(0, 9)]
        checkpoint = await store.checkpoint()
    async with world.opened() as store:
        assert store.rows("task") == versions
        assert versions.keys() == {"kept"}
        assert (store.epoch(), store.counters("")) == (1, {"n": 1, "task/t1/calls": 1})
        assert [row async for row in store.leaves(0, 9)] == leaves
        assert await store.checkpoint() == checkpoint
        assert [found[0] for found in store.open_intents()] == [1]
        written = await store.write(Write(drafts=(outcome("c1", "t1", 1), noise()), blobs={digest(b"b"): b"b"}))
        assert written.seqs == (2, 3)
        assert (await world.verified(store, (checkpoint,))).open_intents == ()


async def test_what_is_enqueued_becomes_durable_by_itself_and_at_close(world: World) -> None:
    store = await world.open()
    assert (await store.enqueue(Write(drafts=(noise(), noise())))).seqs == (0, 1)
    while await store.leaf(1) is None:  # noqa: ASYNC110  the store tells nobody of what is only enqueued
        await asyncio.sleep(0.001)
    await store.enqueue(Write(drafts=(noise(),)))
    await store.close()
    await store.close()
    async with world.opened() as again:
        assert (await world.verified(again)).receipts == 3


async def test_a_caller_who_stops_waiting_does_not_undo_the_write(world: World) -> None:
    async with world.opened() as store:
        waiting = asyncio.create_task(store.write(call("c1")))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await store.write(Write())
        assert (await world.verified(store)).open_intents == (0,)


async def test_more_writes_than_a_group_holds_all_return_in_order(world: World) -> None:
    async with world.opened() as store:
        writes = [Write(drafts=(denial(f"c{n}", f"t{n % 3}"),)) for n in range(2 * GROUP_COMMIT_MAX + 7)]
        written = await asyncio.gather(*map(store.write, writes))
        assert [w.seqs for w in written] == [(n,) for n in range(len(writes))]
        found = [seq async for seq, _ in store.leaves(3, 1000, task="t1")]
        assert found == list(range(4, 1000, 3))
        assert [seq async for seq, _ in store.leaves(5, 5)] == []
        report = await world.verified(store)
        assert (report.receipts, report.tasks) == (len(writes), 3)


async def test_open_intents_are_those_without_an_outcome_also_after_a_restart(world: World) -> None:
    async with world.opened() as store:
        for n in range(4):
            await store.write(call(f"c{n}", task=f"t{n}"))
        await store.write(Write(drafts=(outcome("c2", "t2", 2),)))
        await store.enqueue(Write(drafts=(outcome("c0", "t0", 0),)))
        await store.write(Write(drafts=(intent("c9", "t9"), outcome("c9", "t9", 5 + 1))))
    async with world.opened() as store:
        found = store.open_intents()
        assert [(seq, body.asked.call, task) for seq, body, task in found] == [(1, "c1", "t1"), (3, "c3", "t3")]
        assert (await world.verified(store)).open_intents == (1, 3)


@pytest.mark.holds("LEDGER-ERASE")
async def test_erased_values_are_gone_and_the_ledger_still_verifies(world: World) -> None:
    async with world.opened() as store:
        await store.write(Write(drafts=(intent("c1", "t1", arguments=b"THE-SECRET", facts=b"{}"),)))
        await store.write(Write(drafts=(intent("c2", "t1", arguments=b"kept"),)))
        await store.write(Write(drafts=(erasure(0),)))
        assert await store.values(0) == ()
        assert len(await store.values(1)) == 1
        report = await world.verified(store)
        assert (report.values_erased, report.values_checked, report.values_missing) == (2, 1, 0)
        if world.driver == "sqlite":
            for file in world.directory.glob("remit.db*"):
                assert b"THE-SECRET" not in file.read_bytes()


@pytest.mark.holds("INV-14")
async def test_time_never_runs_back(world: World) -> None:
    async with world.opened() as store:
        high = world.at
        await store.write(call("c1"))
    world.at = high - CLOCK_REGRESSION_MS - 1
    async with world.opened() as store:
        with pytest.raises(Denied) as refused:
            await store.write(call("c2"))
        assert refused.value.reason is Reason.CLOCK_REGRESSED
        await store.write(Write(drafts=(outcome("c1", "t1", 0),)))
        world.at = high - CLOCK_REGRESSION_MS
        await store.write(call("c3"))
        times = {msgspec.json.decode(leaf, type=Receipt).at async for _, leaf in store.leaves(0, 9)}
        assert times == {high}
        await world.verified(store)


@pytest.mark.holds("INV-02-GROUND")
async def test_below_the_disk_reserve_nothing_passes_until_there_is_room(world: World) -> None:
    async with world.opened() as store:
        await store.write(call("c1"))
        world.free = DISK_RESERVE_BYTES - 1
        await store.write(call("c2"))  # looked up at most once a second
        world.at += 1000
        for _ in range(2):
            with pytest.raises(Denied) as refused:
                await store.write(call("c3"))
            assert refused.value.reason is Reason.COMMIT_DISK
        with pytest.raises(Denied):
            await store.enqueue(Write(drafts=(noise(),)))
        assert len(world.alarms) == 1
        assert world.alarms[0][0] == "disk"
        await store.write(Write(puts=(Put(kind="revoked", key="agent/a", value=b"{}"),)))
        world.free = DISK_RESERVE_BYTES
        world.at += 1000
        await store.write(call("c3"))
        world.free = DISK_ALARM_BYTES
        world.at += 1000
        await store.write(call("c4"))
        world.free = DISK_ALARM_BYTES - 1
        world.at += 1000
        await store.write(call("c5"))
        assert len(world.alarms) == 2
        assert (await world.verified(store)).receipts == 5


async def test_a_disk_that_cannot_be_looked_at_has_no_room(world: World) -> None:
    def gone() -> int:
        raise OSError("gone")

    async with world.opened() as store:
        store._disk._free = gone
        with pytest.raises(Denied) as refused:
            await store.write(call("c1"))
        assert refused.value.reason is Reason.COMMIT_DISK


async def test_a_second_opener_is_told_so_and_can_open_afterwards(world: World) -> None:
    async with world.opened() as store:
        with pytest.raises(StoreFault, match=r"is open|runs already"):
            await world.open()
        await store.write(call("c1"))
    async with world.opened() as store:
        assert (await world.verified(store)).receipts == 1


@pytest.mark.holds("INV-02-GROUND", "INV-09")
@pytest.mark.parametrize("point", POINTS)
async def test_when_a_group_fails_the_store_is_failed_and_opening_it_reads_what_is_really_there(
    world: World, point: str
) -> None:
    store = await world.open()
    await store.write(call("c1"))
    earlier = await store.checkpoint()
    world.strike_at = point
    answers = await asyncio.gather(store.write(call("c2")), store.write(call("c3")), return_exceptions=True)
    assert all(isinstance(answer, StoreFault) for answer in answers)
    assert isinstance(answers[0].__cause__, Struck)
    world.strike_at = ""
    for attempt in (store.epoch, lambda: store.counters(""), lambda: store.rows("task"), lambda: store.counter("n")):
        with pytest.raises(StoreFault, match="failed"):
            attempt()
    with pytest.raises(StoreFault):
        await store.enqueue(Write())
    for asking in (store.write(Write()), store.row("task", "x"), store.leaf(0), store.checkpoint()):
        with pytest.raises(StoreFault, match="failed"):
            await asking
    await store.close()
    async with world.opened() as again:
        # The last point strikes after the commit: the first group failed, but persisted.
        there = [seq for seq, _, _ in again.open_intents()]
        assert there in ([0, 1], [0, 1, 2]) if point == "committed" else there == [0]
        assert again.counter("task/t1/calls") == len(there)
        assert (await again.write(call("c9"))).seqs == (len(there),)
        await world.verified(again, (earlier,))


async def test_a_fault_nobody_waited_for_is_told_at_close(world: World) -> None:
    store = await world.open()
    world.strike_at = "begin"
    await store.enqueue(Write(drafts=(noise(),)))
    with pytest.raises(StoreFault):
        await store.close()
    world.strike_at = ""
    async with world.opened() as again:
        assert (await world.verified(again)).receipts == 0


async def test_a_closed_store_answers_nothing(world: World) -> None:
    store = await world.open()
    await store.close()
    with pytest.raises(StoreFault, match="closed"):
        await store.write(Write())
    with pytest.raises(StoreFault, match="closed"):
        store.epoch()


async def test_each_group_passes_every_point_in_order(world: World) -> None:
    async with world.opened() as store:
        await store.write(call("c1"))
        await store.write(call("c2"))
    assert world.points == [*POINTS, *POINTS]


async def test_checkpoints_are_kept_now_and_then_and_each_is_a_beginning_of_the_ledger(world: World) -> None:
    async with world.opened() as store:
        for n in range(6):
            await store.write(call(f"c{n}"))
            world.at += writer.MILESTONE_MS // 2
        sizes = [read(note).checkpoint.size for note in await store.checkpoints()]
        assert sizes == [1, 3, 5]
        assert (await world.verified(store)).checkpoints == 3
