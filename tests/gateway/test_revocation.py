"""Something is revoked while agents call without pause: nothing of it is sent after the acknowledgement.

Two oracles: the record, where no intent of what was revoked stands after the revocation; and the tool server's own log,
which stays as it was once everything on the way to it had arrived. How long the last call took to arrive after the
revocation was asked for is measured and printed, not judged: it is the machine's business too.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from remit.ledger.receipt import Intent, InventoryEvent, Outcome, TaskEvent
from tests.gateway.running import Agent, House, Upstream, a_house, talking

pytestmark = pytest.mark.slow

CALLERS = 12
AFTERWARDS = 20

# What is ended, and what its callers are told from then on.
ENDED = {"agent": "401", "connector": "schema.unknown", "task": "task.not_open", "suspended task": "task.not_open"}


def end(house: House, what: str, *, task: str) -> None:
    """Stop it, as a person does; acknowledged on return."""
    match what:
        case "agent":
            house.door.post("/v1/revocations", {"what": "agent", "name": "scout", "reason": "leak"})
        case "connector":
            house.door.post("/v1/revocations", {"what": "connector", "name": "desk", "reason": "leak"})
        case "task":
            house.door.post(f"/v1/tasks/{task}/revoke", {"reason": "leak"})
        case "suspended task":
            house.door.post(f"/v1/tasks/{task}/suspend", {})


class Traffic:
    """Callers that go on until they are told to stop. `refusals` count how often each was said since `mark`."""

    def __init__(self, agent: Agent, token: str) -> None:
        self._agent, self._token = agent, token
        self._stopped = False
        self.passed = 0
        self.refusals: dict[str, int] = {}
        self.running = [asyncio.ensure_future(self._caller(number)) for number in range(CALLERS)]

    async def _caller(self, number: int) -> None:
        while not self._stopped:
            answer = await self._agent.call("echo", {"n": number}, token=self._token)
            said = answer.reason if answer.status == 200 else str(answer.status)
            if said:
                self.refusals[said] = self.refusals.get(said, 0) + 1
                await asyncio.sleep(0.01)
            else:
                self.passed += 1

    async def stop(self) -> None:
        self._stopped = True
        await asyncio.gather(*self.running)


async def _until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not what():  # noqa: ASYNC110 - another process decides when
            await asyncio.sleep(0.005)


@pytest.mark.holds("INV-10", "INV-05-END", "IDENT-REVOKED")
@pytest.mark.parametrize("what", ENDED)
async def test_nothing_is_sent_after_a_revocation_is_acknowledged(own: tuple[House, Upstream], what: str) -> None:
    house, upstream = own
    task = house.open()
    async with talking(house) as agent:
        traffic = Traffic(agent, house.token(task=task))
        await _until(lambda: traffic.passed > 200)
        asked = time.monotonic_ns()
        await asyncio.to_thread(end, house, what, task=task)
        acknowledged = time.monotonic_ns()
        arrived = await asyncio.to_thread(upstream.settled)
        await _until(lambda: traffic.refusals.get(ENDED[what], 0) >= AFTERWARDS)
        await traffic.stop()
    assert upstream.settled() == arrived
    _print_latency(asked, acknowledged, arrived[-1].at)
    receipts = house.record().receipts
    intents = [receipt.seq for receipt in receipts if isinstance(receipt.body, Intent)]
    (revoked,) = [
        receipt.seq
        for receipt in receipts
        if (isinstance(receipt.body, InventoryEvent) and receipt.body.event == "revoked")
        or (isinstance(receipt.body, TaskEvent) and receipt.body.move in ("revoke", "suspend"))
    ]
    assert intents[-1] < revoked
    assert len(arrived) <= len(intents)


@pytest.fixture(params=["", "    stateless: true\n"], ids=["a session each", "one session for all"])
def unopened(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[House, Upstream]]:
    """A gateway that has no session with the tool server yet."""
    with a_house(tmp_path, desk=request.param) as made:
        yield made


@pytest.mark.holds("INV-10", "INV-05-END")
@pytest.mark.parametrize("what", ENDED)
async def test_a_call_that_waits_for_its_session_is_not_sent_once_it_is_revoked(
    unopened: tuple[House, Upstream], what: str
) -> None:
    house, upstream = unopened
    task = house.open()
    token = house.token(task=task)
    hold = upstream.directory / "hold"
    hold.touch()
    opened = len(upstream.seen())
    async with talking(house) as agent:
        waiting = asyncio.ensure_future(agent.call("echo", {"n": 1}, token=token))
        await _until(lambda: len(upstream.seen()) > opened)
        await asyncio.to_thread(end, house, what, task=task)
        hold.unlink()
        assert (await waiting).reason
    assert upstream.settled() == []
    house.stop()
    assert [outcome.outcome for outcome in house.record().bodies(Outcome)] == ["not_sent"]


def _print_latency(asked: int, acknowledged: int, last: int) -> None:
    said, sent = (acknowledged - asked) / 1e6, (last - asked) / 1e6
    print(f"acknowledged after {said:.1f} ms; the last call arrived {sent:+.1f} ms after it was asked for")
