"""Step 2: who asks?"""

import asyncio

import pytest

from remit.answer import Refusal, Released
from remit.ledger.receipt import Denial, Intent
from remit.reasons import Reason
from tests.world import CATALOGUE, URL, World


@pytest.mark.holds("IDENT-REVOKED", "INV-10")
@pytest.mark.parametrize("what", ["agent", "connector", "key", "task"])
async def test_what_is_revoked_does_nothing_any_more(what: str) -> None:
    world = await World.made()
    task = await world.task()
    assert isinstance(await world.call(task), Released)

    if what == "task":
        await world.move(task, "revoke")
    else:
        await world.revoke(what, {"agent": "scout", "connector": "notes", "key": world.keys["scout"].public.kid}[what])
    said = await world.call(task)

    assert isinstance(said, Refusal)
    assert len(world.server.got) == 1
    await world.holds()


@pytest.mark.holds("INV-10")
async def test_a_revocation_is_in_force_for_a_call_that_was_decided_but_not_committed() -> None:
    world = await World.made()
    task = await world.task()
    write = world.store.write

    async def revoked_meanwhile(what: object) -> object:
        world.ports.store.write = write  # type: ignore[method-assign]
        await world.revoke("agent", "scout")
        return await write(what)  # type: ignore[arg-type]

    world.ports.store.write = revoked_meanwhile  # type: ignore[method-assign,assignment]
    said = await world.call(task)

    assert isinstance(said, Refusal)
    assert world.server.got == []
    assert await world.bodies(Intent) == []
    await world.holds()


async def test_a_revoked_agent_that_is_restored_works_again_but_its_revoked_task_does_not() -> None:
    world = await World.made()
    task = await world.task()
    await world.move(task, "revoke")
    await world.revoke("agent", "scout")
    await world.restore("agent", "scout")

    assert isinstance(await world.call(task), Refusal)
    assert isinstance(await world.call(await world.task()), Released)
    await world.holds()


@pytest.mark.holds("IDENT-AUDIENCE")
@pytest.mark.parametrize("audience", [f"{URL}/mcp", f"{URL}/mcp/vault", f"{URL}/mcp/notes/", f"{URL}/v1", "notes"])
async def test_a_token_is_for_one_endpoint(audience: str) -> None:
    world = await World.made()
    task = await world.task()
    said = await world.call(task, token=world.token(audience=audience))
    assert isinstance(said, Refusal)
    assert said.reason is Reason.IDENTITY_AUDIENCE
    await world.holds()


@pytest.mark.holds("IDENT-EXPIRED")
async def test_a_token_lives_for_minutes() -> None:
    world = await World.made()
    task, token = await world.task(), world.token()
    world.now += 11 * 60_000
    said = await world.call(task, token=token)
    assert isinstance(said, Refusal)
    assert said.reason is Reason.IDENTITY_EXPIRED
    await world.holds()


async def test_an_agent_cannot_sign_in_anothers_name() -> None:
    world = await World.made()
    world.keys["scout"] = world.keys["rival"]
    said = await world.call(await world.task())
    assert isinstance(said, Refusal)
    assert said.reason is Reason.IDENTITY_INVALID
    await world.holds()


@pytest.mark.holds("LIMIT-RATE")
async def test_one_agents_rate_does_not_touch_another() -> None:
    slow = CATALOGUE.replace("calls_per_second: 1000", "calls_per_second: 3")
    world = await World.made(slow)
    task = await world.task()

    said = [await world.call(task) for _ in range(5)]

    assert [isinstance(one, Released) for one in said] == [True, True, True, False, False]
    assert isinstance(said[-1], Refusal)
    assert said[-1].reason is Reason.IDENTITY_RATE
    assert isinstance(await world.call(None, agent="rival"), Refusal)
    assert {denial.reason for denial in await world.bodies(Denial)} == {Reason.IDENTITY_RATE, Reason.TASK_MISSING}
    world.now += 1000
    assert isinstance(await world.call(task), Released)
    await world.holds()


@pytest.mark.holds("LIMIT-FLIGHT")
async def test_calls_in_flight_are_bounded_and_counted_out_whatever_happens() -> None:
    world = await World.made(CATALOGUE.replace("in_flight: 100", "in_flight: 2"))
    task = await world.task()
    gate = asyncio.Event()
    done = world.server.answers

    async def held(outgoing):  # type: ignore[no-untyped-def]
        await gate.wait()
        return await done(outgoing)

    world.server.answers = held
    running = [asyncio.create_task(world.call(task)) for _ in range(3)]
    for _ in range(2):
        await world.server.arrived.acquire()
    gate.set()
    said = await asyncio.gather(*running)

    assert sorted(isinstance(one, Refusal) for one in said) == [False, False, True]
    assert isinstance(await world.call(task), Released)
    await world.holds()


@pytest.mark.holds("LIMIT-DENIALS")
async def test_identical_denials_become_one_counted_receipt() -> None:
    world = await World.made()
    task = await world.task()

    said = [await world.call(task, "read", arguments={"path": 1}) for _ in range(100)]
    other = await world.call(task, "read", arguments={"path": 2})
    world.now += 10_000
    await world.recorder.flush()

    assert len({one.receipt for one in said if isinstance(one, Refusal)}) == 1
    assert isinstance(other, Refusal)
    counts = [denial.count for denial in await world.bodies(Denial)]
    assert sorted(counts) == [1, 1, 99]
    await world.holds()


@pytest.mark.holds("LIMIT-DENIALS", "LIMIT-RATE")
async def test_beyond_its_rate_an_agent_cannot_vary_its_calls_into_a_receipt_each() -> None:
    world = await World.made(CATALOGUE.replace("calls_per_second: 1000", "calls_per_second: 3"))
    task = await world.task()

    for number in range(100):
        await world.call(task, arguments={"path": f"{number}"})
    world.now += 10_000
    await world.recorder.flush()

    denials = await world.bodies(Denial)
    assert [(denial.reason, denial.count) for denial in denials] == [(Reason.IDENTITY_RATE, n) for n in (1, 96)]
    await world.holds()
