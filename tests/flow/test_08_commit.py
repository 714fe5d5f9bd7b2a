"""Step 8: may it be written down, and is there still enough?"""

import asyncio

import pytest

from remit.answer import Refusal, Released
from remit.errors import StoreFault
from remit.forward.model import Outgoing, Reply
from remit.ledger.receipt import Intent, Outcome
from remit.reasons import Reason
from tests.world import World


@pytest.mark.holds("INV-13")
async def test_sixty_four_calls_at_once_under_a_budget_of_one_reach_the_server_once() -> None:
    world = await World.made()
    task = await world.task(calls=1)

    said = await asyncio.gather(*(world.call(task, arguments={"path": str(n)}) for n in range(64)))

    assert sum(isinstance(one, Released) for one in said) == 1
    assert {one.reason for one in said if isinstance(one, Refusal)} == {Reason.COMMIT_BUDGET}
    assert len(world.server.got) == 1
    assert len(await world.bodies(Intent)) == 1
    await world.holds()


async def test_a_budget_of_one_tool_leaves_the_others_alone() -> None:
    world = await World.made()
    task = await world.task(per_tool={"notes/read": 2})
    said = [await world.call(task) for _ in range(3)]
    assert [isinstance(one, Released) for one in said] == [True, True, False]
    assert isinstance(await world.call(task, "quiet"), Released)
    await world.holds()


@pytest.mark.holds("INV-01", "INV-02-GROUND")
async def test_what_cannot_be_recorded_is_not_sent() -> None:
    world = await World.made()
    task = await world.task()

    async def broken(write: object) -> None:
        raise StoreFault("the disk is on fire")

    world.ports.store.write = broken  # type: ignore[method-assign,assignment]
    said = await world.call(task)

    assert isinstance(said, Refusal)
    assert said.reason is Reason.COMMIT_STORE
    assert world.server.got == []


@pytest.mark.holds("LIMIT-DISK", "INV-02-GROUND")
async def test_below_the_disk_reserve_nothing_passes_and_above_it_again() -> None:
    world = await World.made()
    task = await world.task()
    world.free = 0
    world.now += 2000
    said = await world.call(task)
    assert isinstance(said, Refusal)
    assert said.reason in (Reason.COMMIT_DISK, Reason.COMMIT_STORE)
    assert world.server.got == []
    await world.revoke("agent", "rival")

    world.free = 10**12
    world.now += 2000
    assert isinstance(await world.call(task), Released)
    await world.holds()


@pytest.mark.holds("INV-14")
async def test_a_clock_that_went_back_stops_everything_until_it_is_right_again() -> None:
    world = await World.made()
    task = await world.task()
    await world.call(task)
    world.now -= 5_001

    said = await world.call(task)
    assert isinstance(said, Refusal)
    assert said.reason is Reason.CLOCK_REGRESSED
    await world.restarted()
    again = await world.call(task)
    assert isinstance(again, Refusal)
    assert again.reason is Reason.CLOCK_REGRESSED
    assert len(world.memory.leaves) > 0
    world.now += 5_001
    assert isinstance(await world.call(task), Released)
    await world.holds()


@pytest.mark.holds("INV-13-RETURN")
@pytest.mark.parametrize("sent", [False, True])
async def test_budget_comes_back_for_a_call_certainly_not_sent_and_for_no_other(sent: bool) -> None:
    world = await World.made()
    task = await world.task(calls=1)
    done = world.server.answers
    world.server.answers = world.fails(sent=sent)

    first = await world.call(task)
    world.server.answers = done
    second = await world.call(task)

    assert isinstance(first, Refusal)
    assert isinstance(second, Refusal if sent else Released)
    outcomes = [outcome.outcome for outcome in await world.bodies(Outcome)]
    assert outcomes[0] == ("unknown" if sent else "not_sent")
    await world.holds()


@pytest.mark.holds("INV-01-ONCE")
async def test_remit_sends_nothing_twice_and_marks_an_agents_repeat() -> None:
    world = await World.made()
    task = await world.task()
    done = world.server.answers
    world.server.answers = world.fails(sent=True)
    await world.call(task)
    assert len(world.server.got) == 1

    world.server.answers = done
    await world.call(task)
    await world.call(task, arguments={"path": "b"})

    first, repeat, other = await world.bodies(Intent)
    assert first.retry_of == ""
    assert repeat.retry_of == first.asked.call
    assert other.retry_of == ""
    await world.holds()


@pytest.mark.holds("INV-05")
async def test_each_call_has_a_warrant_of_its_own() -> None:
    world = await World.made()
    task = await world.task()
    await asyncio.gather(*(world.call(task) for _ in range(5)))
    warrants = [warrant for warrant, _ in world.server.got]
    assert len({warrant.intent for warrant in warrants}) == len({warrant.call for warrant in warrants}) == 5
    await world.holds()


async def test_calls_that_wait_for_the_server_hold_nobody_up() -> None:
    world = await World.made()
    task = await world.task()
    gate = asyncio.Event()
    done = world.server.answers

    async def held(outgoing: Outgoing) -> Reply:
        if b"slow" in bytes(outgoing.arguments):
            await gate.wait()
        return await done(outgoing)

    world.server.answers = held
    slow = asyncio.create_task(world.call(task, arguments={"path": "slow"}))
    assert isinstance(await world.call(task), Released)
    gate.set()
    assert isinstance(await slow, Released)
    await world.holds()
