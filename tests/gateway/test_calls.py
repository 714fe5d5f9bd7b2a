"""Calls through a running gateway: how many reach the tool server, under which task, and what travels with them."""

import asyncio

import pytest

from tests.gateway.running import House, Upstream, talking

pytestmark = pytest.mark.slow


@pytest.mark.holds("INV-13")
async def test_64_concurrent_calls_under_a_budget_of_1_reach_the_tool_server_once(
    running: tuple[House, Upstream],
) -> None:
    house, upstream = running
    before = len(upstream.calls())
    task = house.open(purpose="work", calls=1)
    token = house.token(task=task)
    async with talking(house) as agent:
        answers = await asyncio.gather(*(agent.call("add", {"n": n}, token=token) for n in range(64)))
    assert sorted(answer.reason for answer in answers) == ["", *["commit.budget"] * 63]
    assert len(upstream.settled()) == before + 1
