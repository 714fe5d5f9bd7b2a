"""Agents that call without pause until the gateway is gone, and know what they asked for and what they were told."""

import asyncio
import random
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import aiohttp

from remit.canonical import canonical
from tests.gateway.running import Agent, House, talking

CALLERS = 8
# So that some calls are the same as earlier ones: their digests must not be met more often than they were recorded.
NUMBERS = 400


class Asked(NamedTuple):
    """One call as it was asked: under which task, of which tool, with which canonical bytes."""

    task: str
    tool: str
    arguments: bytes

    @property
    def hash(self) -> str:
        return sha256(self.arguments).hexdigest()


class Load:
    """`asked` is everything ever sent to a gateway, `told` what came back as a result."""

    def __init__(self, house: House, chance: random.Random) -> None:
        self._house = house
        self._chance = chance
        self.asked: list[Asked] = []
        self.told: list[Asked] = []

    async def run(self, tasks: Mapping[str, str]) -> None:
        """Call under these tasks (id to the agent's token) until the gateway no longer answers."""
        async with talking(self._house) as agent:
            await asyncio.gather(*(self._caller(agent, tasks) for _ in range(CALLERS)))

    async def _caller(self, agent: Agent, tasks: Mapping[str, str]) -> None:
        try:
            while True:
                task, token = self._chance.choice(list(tasks.items()))
                tool = self._chance.choice(["echo", "add"])
                await self._call(agent, tool, task=task, token=token)
        except (aiohttp.ClientError, OSError):
            return

    async def _call(self, agent: Agent, tool: str, *, task: str, token: str) -> None:
        given: dict[str, Any] = {"n": self._chance.randrange(NUMBERS), "by": task}
        asked = Asked(task, tool, canonical(given))
        self.asked.append(asked)
        answer = await agent.call(tool, given, token=token)
        if answer.reason:
            assert answer.reason == "commit.budget"
        else:
            assert answer.value == given
            self.told.append(asked)
