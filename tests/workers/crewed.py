"""Two workers without their processes: the small world of `tests/world.py` keeps the store, each worker has its own
replica, view, policies and ports at the other end of a real line.
"""

import asyncio
import socket
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Self

import msgspec

from remit.canonical import digest
from remit.catalogue import load
from remit.catalogue.model import Contract
from remit.edge.acts.gateway import recover
from remit.edge.acts.live import Live
from remit.edge.acts.tasks import Tasks
from remit.edge.denials import Recorder
from remit.edge.keys.authenticator import Standing, TokenAuthenticator
from remit.edge.keys.jwks import KeyDirectory
from remit.edge.limiter import Limiter
from remit.edge.recent import Recent
from remit.edge.workers.crew import Crew, Shared
from remit.edge.workers.desk import Desk, Main
from remit.edge.workers.line import Line
from remit.edge.workers.replica import Replica
from remit.edge.workers.wire import Welcome
from tests.world import CATALOGUE, URL, World

WORKERS = 2


class Member:
    """One worker: its end of the line and what it serves calls with."""

    def __init__(self, crewed: "Crewed", line: Line, replica: Replica, desk: Desk) -> None:
        world = crewed.world
        self.line, self.replica, self.desk = line, replica, desk
        self.live = Live(replica, load(CATALOGUE, "remit.yaml"), digest=digest(CATALOGUE.encode()))
        replica.changed = self.live.changed
        self.tasks = Tasks(self.live, world.server, now=world._clock, new_id=world._id)
        self.recorder = Recorder(replica, world._clock)
        standing = Standing(view=self.live.view, epoch=replica.epoch, now_ms=world._clock)
        self.ports = msgspec.structs.replace(
            world.ports,
            store=replica,
            authenticator=TokenAuthenticator(standing, KeyDirectory(None, world._clock), token_keys={}),
            admission=Limiter(),
            tasks=self.tasks,
            denials=self.recorder,
            view=self.live.view,
            policies=self.live.policies,
            recent=Recent(),
        )


class Crewed:
    """Make one with `made`. `crew` is the main process's, `observed` what workers told it of tool servers."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.members: list[Member] = []
        self.observed: list[str] = []
        self.crew = Crew(world.store, WORKERS + 1)
        self.store = Shared(world.store, self.crew)
        self.main = Main(
            store=world.store,
            welcome=self._welcome,
            observe=self._observe,
            used=world.tasks.heard_of,
            closed=self._closed,
        )

    @classmethod
    async def made(cls, **world: str) -> Self:
        crewed = cls(await World.made(**world))
        for index in range(WORKERS):
            await crewed.join(index)
        return crewed

    async def join(self, index: int) -> Member:
        """A worker takes its place."""
        ours, theirs = socket.socketpair()
        desk, line = Desk(self.main, index), Line()
        await desk.open(ours)
        self.crew._posts[index].worker = SimpleNamespace(desk=desk, settle=desk.settle, pid=1)  # type: ignore[assignment]
        _, replica = await line.join(theirs)
        member = Member(self, line, replica, desk)
        line.end = self.world.server.end
        line.ready()
        self.members[index : index + 1] = [member]
        return member

    async def close(self) -> None:
        for member in self.members:
            member.line.close()
            await member.desk.silent.wait()
            await member.desk.finish()
        await self.world.store.close()
        await asyncio.sleep(0)

    def _welcome(self, index: int) -> Welcome:
        moved = self.world.store.readable()
        key = self.world.keys["scout"].public
        return Welcome(moved=moved, catalogue=CATALOGUE, url=URL, index=index, workers=WORKERS, token_key=key)

    async def _observe(self, connector: str, contracts: Sequence[Contract]) -> None:
        self.observed.append(connector)
        await self.world.contracts.observe(connector, contracts)

    async def _closed(self, intents: frozenset[int]) -> None:
        left = tuple(one for one in self.world.store.open_intents() if one.seq in intents)
        await recover(self.world.store, left, why="the worker ended")
