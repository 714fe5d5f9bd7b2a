"""Step 12: what really happened?"""

import pytest

from remit.answer import Refusal, Released
from remit.commit.model import Write
from remit.edge.acts.gateway import recover
from remit.edge.acts.ledger import Erase, Records
from remit.errors import StoreFault
from remit.ledger.receipt import Intent, Outcome
from remit.reasons import WORDS, Reason
from tests.world import World


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


@pytest.mark.parametrize("name", ["read", "add"], ids=["sequenced", "durable"])
async def test_what_is_not_on_record_is_not_released(name: str) -> None:
    world = await World.made()
    task = await world.task(purpose="upkeep")
    done = world.server.answers

    def broken(write: Write) -> None:
        raise StoreFault("the disk is on fire")

    async def broken_too(write: Write) -> None:
        broken(write)

    async def breaks(outgoing):  # type: ignore[no-untyped-def]
        world.ports.store.write = broken_too  # type: ignore[method-assign,assignment]
        world.ports.store.enqueue = broken_too  # type: ignore[method-assign,assignment]
        return await done(outgoing)

    world.server.answers = breaks
    said = await world.call(task, name, arguments={"path": "a"})

    assert isinstance(said, Refusal)
    assert said.reason is Reason.OUTCOME_UNRECORDED
    assert "did take effect" in WORDS[said.reason].text


@pytest.mark.holds("INV-09")
async def test_a_call_cut_off_between_intent_and_outcome_is_closed_as_unknown_at_the_next_start() -> None:
    world = await World.made()
    task = await world.task()

    async def killed(outgoing):  # type: ignore[no-untyped-def]
        raise Killed

    world.server.answers = killed
    with pytest.raises(Killed):
        await world.carry(world.case(world.ask(task)))
    await world.restarted()

    assert await recover(world.store, world.store.open_intents()) == 1
    assert await recover(world.store, world.store.open_intents()) == 0

    [intent], [outcome] = await world.bodies(Intent), await world.bodies(Outcome)
    assert (outcome.call, outcome.outcome) == (intent.asked.call, "unknown")
    assert isinstance(await world.call(task), Released)
    await world.holds()


@pytest.mark.parametrize(
    "name, kept",
    [("read", {"arguments", "digest", "touched", "facts", "result"}), ("quiet", set())],
    ids=["full", "none"],
)
async def test_values_are_kept_beside_the_ledger_as_the_tool_says(name: str, kept: set[str]) -> None:
    world = await World.made()
    await world.call(await world.task(), name, arguments={"path": "a"})
    await world.settled()
    values = {
        value.name
        for receipt in await world.receipts()
        if isinstance(receipt.body, Intent | Outcome)
        for value in await world.store.values(receipt.seq)
    }
    assert values == kept
    assert b'"path":"a"' not in b"".join(leaf.data for leaf in world.memory.leaves)
    await world.holds()


async def test_values_can_be_erased_and_the_log_still_verifies() -> None:
    world = await World.made()
    await world.call(await world.task(), arguments={"path": "personal"})
    [intent] = [receipt for receipt in await world.receipts() if isinstance(receipt.body, Intent)]
    assert await world.store.values(intent.seq)

    await Records(world.store).erase(world.who(), Erase(receipts=(intent.seq,), reason="asked to"))

    assert await world.store.values(intent.seq) == ()
    assert (await world.holds()).values_erased > 0


@pytest.mark.holds("INV-07")
async def test_no_token_is_in_any_receipt_or_value() -> None:
    world = await World.made()
    task, token = await world.task(), world.token()
    await world.call(task, token=token)
    await world.call(task, "add", token=token)
    await world.call(task, token=token + "x")
    await world.settled()
    stored = b"".join(leaf.data for leaf in world.memory.leaves)
    stored += b"".join(value.data for values in world.memory.values.values() for value in values)
    assert token.encode() not in stored
    assert token.split(".")[2].encode() not in stored
    await world.holds()


@pytest.mark.holds("INV-07")
@pytest.mark.parametrize("name", ["read", "quiet"], ids=["kept", "not kept"])
async def test_nothing_in_a_leaf_lets_short_arguments_be_tried_out(name: str) -> None:
    world = await World.made()
    task = await world.task()
    await world.call(task, name, arguments={"path": "4711"})
    [(warrant, _)] = world.server.got
    await world.settled()
    leaves = b"".join(leaf.data for leaf in world.memory.leaves)
    assert warrant.digest.encode() not in leaves
    kept = [value.data for values in world.memory.values.values() for value in values if value.name == "digest"]
    assert kept == ([warrant.digest.encode()] if name == "read" else [])
    await world.holds()


async def test_erasing_an_ended_tasks_receipts_erases_its_text_everywhere() -> None:
    world = await World.made()
    task = await world.task(text="about a named person")
    await world.move(task, "complete")
    about = [receipt.seq for receipt in await world.receipts() if receipt.task == task.id]

    await Records(world.store).erase(world.who(), Erase(receipts=tuple(about), reason="asked to"))

    assert "named person" not in str(await world.tasks.see(world.who(), task.id))
    assert b"named person" not in b"".join(row.value for row in world.store.rows("task").values())
    await world.holds()
