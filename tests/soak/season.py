"""A season in a gateway's life: tool servers of every temper, clients of every kind, and people who change the rules.

Everything is a real process or a real connection. What is drawn is drawn from one seed; what the machine makes of it in
time is its own.
"""

import asyncio
import contextlib
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from remit.errors import RemitError
from remit.policy.starter import STARTER
from tests.gateway.running import House, agent_row
from tests.soak.clients import Crowd, Roster
from tests.soak.watching import Sample, Watch

AGENTS: Final = ("scout", "rival", "guest")
CONNECTORS: Final = ("sound", "common", "quits", "hangs", "babbles", "resets")
_HTTP: Final = ("sound", "common", "resets")
_TROUBLED: Final = Path(__file__).with_name("troubled.py")
_TASKS_EACH: Final = 3
_CLIENTS: Final = 96
_POLICY_S: Final = 4.0
_TASK_S: Final = 3.0
_REVOKE_S: Final = 20.0
_REVOKED_S: Final = 1.5
SAMPLE_S: Final = 2.0
_OTHER_SET: Final = """
@id("soak.no-negative-numbers")
forbid (principal, action in Action::"write", resource) when { context.args has n && context.args.n < 0 };
"""
# The record keeps which `n` a call touched, and neither arguments nor results: it has to fit into memory at the end.
_TOOLS: Final = "".join(
    f"      {name}: {{tier: {tier}, data: {{internal: [/n]}}, keep: redacted, timeout_s: 2}}\n"
    for name, tier in (("echo", "read"), ("add", "write"), ("big", "read"))
)


class Servers:
    """The tool servers of a run: those over HTTP run here, those over stdio are the gateway's to start."""

    def __init__(self, where: Path, seed: int) -> None:
        self._where = where
        self._seed = seed
        self._running: list[subprocess.Popen[str]] = []

    def rows(self) -> str:
        """Their rows of the catalogue; those over HTTP are started for it."""
        return "".join(f"  {name}:\n    owner: op\n    environment: dev\n{self._row(name)}" for name in CONNECTORS)

    def arrived(self) -> Iterator[int]:
        for name in CONNECTORS:
            yield from map(int, (self._where / name / "arrived").read_text().split())

    def stop(self) -> None:
        for process in self._running:
            process.kill()
            process.communicate()

    def _row(self, temper: str) -> str:
        directory = self._where / temper
        directory.mkdir(parents=True)
        command = [sys.executable, str(_TROUBLED), temper, str(directory), str(self._seed)]
        if temper not in _HTTP:
            return f"    command: {command}\n    tools:\n{_TOOLS}"
        process = subprocess.Popen([*command, "http"], stdout=subprocess.PIPE, text=True)
        self._running.append(process)
        assert process.stdout is not None
        shared = "    stateless: true\n" if temper == "common" else ""
        return f"    url: http://127.0.0.1:{int(process.stdout.readline())}/mcp\n{shared}    tools:\n{_TOOLS}"


class Season:
    """One run over one house."""

    def __init__(self, house: House, servers: Servers, *, seed: int) -> None:
        self.house = house
        self.servers = servers
        self.tasks_opened = 0
        self.faults: list[str] = []
        self._chance = random.Random(f"people {seed}")
        self._whole = asyncio.Lock()  # held while everybody is who they are: nobody opens tasks for a revoked agent
        self._roster = Roster(house, CONNECTORS)
        self.crowd = Crowd(self._roster, house.port, chance=random.Random(f"clients {seed}"))
        assert house.process is not None
        self.watch = Watch(house.process.pid)

    async def live(self, *, seconds: float, rate: float) -> None:
        """Have clients act `rate` times a second for so long, while people interfere; then let everybody go home."""
        for agent in AGENTS:
            for _ in range(_TASKS_EACH):
                await self._open(agent)
        over = asyncio.get_running_loop().time() + seconds
        people = [
            asyncio.ensure_future(self._every(period, act))
            for period, act in (
                (_POLICY_S, self._policy()),
                (_TASK_S, self._swap),
                (_REVOKE_S, self._revocation),
                (SAMPLE_S, self._sample),
            )
        ]
        await self._acts(over, rate)
        async with self._whole:
            for one in people:
                one.cancel()
        ended = await asyncio.gather(*people, return_exceptions=True)
        self.faults += [f"people broke off: {e!r}" for e in ended if isinstance(e, Exception)]
        self.crowd.close()
        for task in list(self._roster.tasks):
            await self._end(task)

    async def settled(self, fits: Callable[[Sample], bool], *, seconds: float = 90) -> Sample:
        """The first sample that fits, or the last of so many seconds."""
        found = self.watch.look()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not fits(found):
                    await asyncio.sleep(0.5)
                    found = self.watch.look()
        return found

    async def _acts(self, over: float, rate: float) -> None:
        loop, free = asyncio.get_running_loop(), asyncio.Semaphore(_CLIENTS)
        due = loop.time()
        async with asyncio.TaskGroup() as clients:
            while loop.time() < over:
                # Who cannot keep up skips what is overdue: the load is a pace, not a debt.
                due = max(due + 1 / rate, loop.time() - 1)
                await asyncio.sleep(max(0, due - loop.time()))
                await free.acquire()
                clients.create_task(self.crowd.act()).add_done_callback(lambda _: free.release())

    async def _every(self, seconds: float, act: Callable[[], object]) -> None:
        while True:
            await asyncio.sleep(seconds * self._chance.uniform(0.7, 1.3))
            try:
                await act()
            except RemitError as e:
                self.faults.append(f"a person was told: {e.message}")

    def _policy(self) -> Callable[[], object]:
        sets = [{"starter.cedar": STARTER}, {"starter.cedar": STARTER, "more.cedar": _OTHER_SET}]

        async def act() -> None:
            sets.reverse()
            await self._post("/v1/policy/apply", {"files": sets[0]})

        return act

    async def _swap(self) -> None:
        """End one task under whoever uses it, and open another."""
        async with self._whole:
            task = self._chance.choice(self._roster.tasks)
            await self._end(task)
            await self._open(task[0])

    async def _revocation(self) -> None:
        guest = {"what": "agent", "name": "guest", "reason": "soak"}
        async with self._whole:
            await self._post("/v1/revocations", guest)
            await asyncio.sleep(_REVOKED_S)
            await self._post("/v1/restorations", guest)

    async def _sample(self) -> None:
        self.watch.look()

    async def _open(self, agent: str) -> None:
        spec = {"agent": agent, "purpose": "work", "calls": 100_000, "minutes": 120}
        opened = await self._post("/v1/tasks", spec)
        self._roster.tasks.append((agent, opened["task"]["id"]))
        self.tasks_opened += 1

    async def _end(self, task: tuple[str, str]) -> None:
        self._roster.forget(task)
        move = self._chance.choice(["complete", "revoke"])
        await self._post(f"/v1/tasks/{task[1]}/{move}", {"reason": "soak"})

    async def _post(self, path: str, body: dict[str, object]) -> dict[str, dict[str, str]]:
        return await asyncio.to_thread(self.house.door.post, path, body)


@contextmanager
def a_season(where: Path, seed: int) -> Iterator[Season]:
    """A house with all tool servers pinned and all agents enrolled, ready to begin."""
    servers, house = Servers(where / "servers", seed), None
    try:
        tools = ", ".join(f'"{name}/*"' for name in CONNECTORS)
        rows = "".join(agent_row(name) for name in AGENTS)
        house = House(where / "home", connectors=servers.rows(), tools=tools, agents=rows)
        house.start()
        house.pin(*CONNECTORS)
        house.enrol(*AGENTS)
        yield Season(house, servers, seed=seed)
    finally:
        if house is not None:
            with contextlib.suppress(Exception):
                house.kill()
        servers.stop()
