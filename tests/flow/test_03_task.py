"""Step 3: for what purpose, and is that still open?"""

import pytest

from remit.answer import Refusal, Released
from remit.ledger.receipt import Denial
from remit.reasons import Reason
from tests.world import World


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

    assert isinstance(others, Refusal)
    assert isinstance(nobodys, Refusal)
    assert others == nobodys == Refusal(reason=Reason.TASK_UNKNOWN, detail="", verdict="DENY")
    assert all(receipt.task != task.id for receipt in await world.receipts() if isinstance(receipt.body, Denial))
    await world.holds()
