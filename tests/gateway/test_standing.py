"""A standing token at a real gateway: it works until its revocation is acknowledged, and not once after that."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remit.ledger.receipt import Intent, InventoryEvent
from tests.gateway.running import House, Upstream, a_house, agent_row, talking

pytestmark = pytest.mark.slow

CALLERS = 6


@pytest.fixture
def house(tmp_path: Path) -> Iterator[tuple[House, Upstream]]:
    """Its agents have a default task, since a standing token names none."""
    agents = agent_row("scout", template="{purpose: look}") + agent_row("rival", template="{purpose: look}")
    with a_house(tmp_path, agents=agents) as made:
        yield made


def issue(house: House, agent: str = "scout", connector: str | None = "desk") -> dict[str, Any]:
    asked = {"days": 30, "reason": "an editor", "connector": connector}
    answer: dict[str, Any] = house.door.post(f"/v1/agents/{agent}/standing-tokens", asked)
    return answer


def revoke(house: House, jti: str) -> None:
    house.door.post("/v1/revocations", {"what": "token", "name": jti, "reason": "lost"})


@pytest.mark.holds("IDENT-STANDING", "INV-10")
async def test_after_its_revocation_no_call_of_it_passes(house: tuple[House, Upstream]) -> None:
    own, upstream = house
    token, other = issue(own), issue(own)
    statuses: list[int] = []
    ended = False

    async def caller(number: int) -> None:
        while not ended or len(statuses) < CALLERS:
            answer = await agent.call("echo", {"n": number}, token=token["token"])
            statuses.append(answer.status)

    async with talking(own) as agent:
        callers = [asyncio.ensure_future(caller(number)) for number in range(CALLERS)]
        while statuses.count(200) < 50:  # noqa: ASYNC110 - the callers decide when
            await asyncio.sleep(0.005)
        await asyncio.to_thread(revoke, own, token["jti"])
        arrived = await asyncio.to_thread(upstream.settled)
        ended = True
        await asyncio.gather(*callers)
        assert (await agent.call("echo", {"n": 0}, token=token["token"])).status == 401
        assert await asyncio.to_thread(upstream.settled) == arrived
        # The agent's other proofs are not touched by it.
        assert (await agent.call("echo", {"n": 0}, token=other["token"])).status == 200
        assert (await agent.call("echo", {"n": 0}, token=own.token())).status == 200
    own.stop()
    receipts = own.record().receipts
    [revoked] = [one.seq for one in receipts if isinstance(one.body, InventoryEvent) and one.body.event == "revoked"]
    later = [one.seq for one in receipts if isinstance(one.body, Intent) and one.seq > revoked]
    assert len(later) == 2


async def test_it_opens_its_endpoint_and_no_other_for_its_agent_alone(house: tuple[House, Upstream]) -> None:
    own, _ = house
    token, wide = issue(own)["token"], issue(own, connector=None)["token"]
    async with talking(own) as agent:
        assert (await agent.call("echo", {}, token=token)).status == 200
        assert (await agent.call("desk/echo", {}, token=token, connector=None)).status == 401
        assert (await agent.call("desk/echo", {}, token=wide, connector=None)).status == 200
        assert (await agent.call("echo", {}, token=wide)).status == 401
        task = own.open("rival")
        other = await agent.call("echo", {}, token=token, headers={"Remit-Task": task})
        assert (other.status, other.reason) == (200, "task.unknown")


async def test_it_is_known_again_after_a_restart_and_so_is_its_end(house: tuple[House, Upstream]) -> None:
    own, _ = house
    kept, ended = issue(own), issue(own)
    revoke(own, ended["jti"])
    own.stop()
    own.start()
    assert [one["jti"] for one in own.door.get("/v1/status")["standing"]] == [kept["jti"]]
    async with talking(own) as agent:
        assert (await agent.call("echo", {}, token=kept["token"])).status == 200
        assert (await agent.call("echo", {}, token=ended["token"])).status == 401
