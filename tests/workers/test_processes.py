"""Real workers: `remit up --workers 2`, real connections, real kills."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from remit.ledger.receipt import Intent, InventoryEvent, Outcome
from tests.gateway.recorder import SLOW_S
from tests.gateway.running import RECORDER, UP, Agent, House, Upstream, a_house, left_of, recorded_by, talking, until

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
AGENTS = ("scout", "rival")
TWO = (*UP[:-1], "--workers", "2", "--home")
UNROUTED = (sys.executable, str(HERE / "unrouted.py"), *UP[3:-1], "--workers", "2", "--home")


@contextmanager
def two_workers(root: Path, command: tuple[str, ...] = TWO, **more: str) -> Iterator[tuple[House, Upstream]]:
    with a_house(root, command=command, **more) as made:
        yield made


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[House, Upstream]]:
    with two_workers(tmp_path) as made:
        yield made


def workers(house: House) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = house.door.get("/v1/status")["workers"]
    return found


def token_of(house: House, agent: str) -> str:
    return house.token(agent, task=house.open(agent))


@pytest.mark.holds("INV-13")
async def test_64_calls_that_two_processes_serve_under_a_budget_of_1_reach_the_upstream_once(tmp_path: Path) -> None:
    with two_workers(tmp_path, UNROUTED) as (house, upstream):
        rounds = 3
        for number in range(1, rounds + 1):
            token = house.token(task=house.open(calls=1))
            said = await asyncio.gather(*(_alone(house, token) for _ in range(64)))
            assert sorted(said) == ["", *["commit.budget"] * 63]
            assert len(upstream.settled()) == number
        # The outcome of a read is durable with the next group, a moment after its answer.
        until(lambda: house.record().report.open_intents == (), "a call has no outcome")


async def _alone(house: House, token: str) -> str:
    async with talking(house) as agent:
        return (await agent.call("echo", {"n": 1}, token=token)).reason


async def test_each_agent_is_served_by_its_own_worker_whoever_accepts(own: tuple[House, Upstream]) -> None:
    house, upstream = own
    tokens = {agent: token_of(house, agent) for agent in AGENTS}
    for _ in range(10):  # a connection each, of which the kernel gives some to either worker
        async with talking(house) as agent:
            # Then both agents on one connection, as behind a proxy.
            for name in (*AGENTS, *AGENTS):
                assert (await agent.call("echo", {"by": name}, token=tokens[name])).value == {"by": name}
    assert [worker["calls"] for worker in workers(house)] == [20, 20]
    # One session with the tool server per agent and task, so one worker opened it.
    assert sum(seen.method == "server/discover" for seen in upstream.seen()) <= 2 + 2 * len(AGENTS)


async def test_a_legacy_session_goes_on_whichever_worker_accepts(own: tuple[House, Upstream]) -> None:
    house, _ = own
    token = token_of(house, "scout")
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    session = ""
    for number in range(20):
        method, params = ("initialize", hello) if not number else ("tools/call", {"name": "echo", "arguments": {}})
        status, headers, _ = await asyncio.to_thread(_post, house, token, method, params, session)
        assert status == 200
        session = session or headers["mcp-session-id"]


@pytest.mark.holds("LIMIT-RATE")
async def test_a_request_hidden_behind_another_agents_is_not_served_beside_its_own_worker(
    own: tuple[House, Upstream],
) -> None:
    """Both in one packet: the router sees the first, so the second arrives where its agent's limits are not counted."""
    house, upstream = own
    tokens = {agent: token_of(house, agent) for agent in AGENTS}
    for first, second in (AGENTS, AGENTS[::-1]):
        requests = [_request(house, tokens[name], "tools/call", _call(name), "") for name in (first, second)]
        answer = await asyncio.to_thread(
            _exchanged, house, [requests[0].replace(b"close", b"keep-alive") + requests[1]]
        )
        assert [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]] == [400, 401]
    assert upstream.settled() == []


def _call(by: str) -> dict[str, Any]:
    return {"name": "echo", "arguments": {"by": by}}


def _post(house: House, token: str, method: str, params: Any, session: str) -> tuple[int, dict[str, str], bytes]:
    """One request on a connection of its own, the head cut in its middle."""
    request = _request(house, token, method, params, session)
    answer = _exchanged(house, [request[:50], request[50:300], request[300:]])
    said, _, rest = answer.partition(b"\r\n\r\n")
    status, *headers = said.decode().split("\r\n")
    return (
        int(status.split()[1]),
        {name.lower(): value for name, _, value in (line.partition(": ") for line in headers)},
        rest,
    )


def _request(house: House, token: str, method: str, params: Any, session: str) -> bytes:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    lines = [
        "POST /mcp/desk HTTP/1.1",
        f"host: 127.0.0.1:{house.port}",
        f"authorization: Bearer {token}",
        "content-type: application/json",
        "accept: application/json, text/event-stream",
        *([f"mcp-session-id: {session}"] if session else []),
        f"content-length: {len(body)}",
        "connection: close",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _exchanged(house: House, parts: list[bytes]) -> bytes:
    """Everything that is answered to these bytes, sent in so many pieces."""
    with socket.create_connection(("127.0.0.1", house.port), timeout=30) as sock:
        for part in parts:
            sock.sendall(part)
        return b"".join(iter(lambda: sock.recv(65536), b""))


class Load:
    """Agents that call without pause. `passed` and `refused` count by agent; `broken` are connections that broke."""

    def __init__(self, house: House, agent: Agent, tokens: dict[str, str]) -> None:
        self._house, self._agent = house, agent
        self._stopped = False
        self.passed = dict.fromkeys(tokens, 0)
        self.refused = dict.fromkeys(tokens, 0)
        self.broken = dict.fromkeys(tokens, 0)
        self.running = [asyncio.ensure_future(self._caller(*one)) for one in tokens.items() for _ in range(6)]

    async def _caller(self, name: str, token: str) -> None:
        while not self._stopped:
            try:
                answer = await self._agent.call("slow", {"by": name}, token=token)
            except (aiohttp.ClientError, OSError):
                self.broken[name] += 1
                await asyncio.sleep(0.02)
                continue
            passed = answer.status == 200 and not answer.reason
            (self.passed if passed else self.refused)[name] += 1

    async def until(self, name: str, more: int) -> None:
        """Return when so many more of the agent's calls have passed."""
        wanted = self.passed[name] + more
        async with asyncio.timeout(30):
            while self.passed[name] < wanted:  # noqa: ASYNC110 - other processes decide when
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self._stopped = True
        await asyncio.gather(*self.running)


@pytest.mark.holds("INV-10")
async def test_a_revocation_acknowledged_is_in_force_in_both_workers(own: tuple[House, Upstream]) -> None:
    house, upstream = own
    tokens = {agent: token_of(house, agent) for agent in AGENTS}
    async with talking(house) as agent:
        load = Load(house, agent, tokens)
        for name in AGENTS:
            await load.until(name, 10)
        revocation = {"what": "connector", "name": "desk", "reason": "leak"}
        await asyncio.to_thread(house.door.post, "/v1/revocations", revocation)
        arrived = await asyncio.to_thread(upstream.settled)
        refused = dict(load.refused)
        while any(load.refused[name] < refused[name] + 20 for name in AGENTS):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await load.stop()
    assert upstream.settled() == arrived
    receipts = house.record().receipts
    (revoked,) = [one.seq for one in receipts if isinstance(one.body, InventoryEvent) and one.body.event == "revoked"]
    assert max(one.seq for one in receipts if isinstance(one.body, Intent)) < revoked


async def test_a_killed_worker_takes_only_its_own_calls_with_it_and_comes_back(own: tuple[House, Upstream]) -> None:
    house, _ = own
    tokens = {agent: token_of(house, agent) for agent in AGENTS}
    async with talking(house) as agent:
        load = Load(house, agent, tokens)
        for name in AGENTS:
            await load.until(name, 6)
        victim = workers(house)[0]
        os.kill(victim["pid"], signal.SIGKILL)
        for name in AGENTS:
            await load.until(name, 12)
        await load.stop()
        now = await asyncio.to_thread(workers, house)
    assert [worker["restarts"] for worker in now] == [1, 0]
    assert now[0]["pid"] != victim["pid"]
    until(lambda: house.record().report.open_intents == (), "a call has no outcome")
    record = house.record()
    agents = {one.seq: one.body.asked.agent for one in record.receipts if isinstance(one.body, Intent)}
    unknown = [one.body for one in record.receipts if isinstance(one.body, Outcome) and one.body.outcome == "unknown"]
    assert unknown
    assert {agents[body.intent] for body in unknown} == {"scout"}
    assert all("worker" in body.detail for body in unknown)
    assert load.refused["rival"] == 0
    assert record.report.open_intents == ()


async def test_when_the_main_process_is_killed_nothing_is_left_and_the_next_start_recovers(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    command = [sys.executable, str(RECORDER), str(tools), "stdio"]
    shell = recorded_by("?", "shell").replace("url: ?", f"command: {json.dumps(command)}")
    with two_workers(tmp_path / "house", connectors=shell, tools='"desk/*", "shell/*"') as (house, _):
        house.pin("shell")
        tokens = {agent: token_of(house, agent) for agent in AGENTS}
        pids = [worker["pid"] for worker in workers(house)]
        async with talking(house) as agent:
            load = Load(house, agent, tokens)
            for name in AGENTS:
                await load.until(name, 6)
            in_shell = house.token(task=house.open(), connector="shell")
            assert (await agent.call("echo", {"n": 1}, token=in_shell, connector="shell")).value
            assert left_of(tools)
            note = house.checkpoint()
            house.kill()
            await asyncio.to_thread(until, lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "workers")
            await asyncio.to_thread(until, lambda: not left_of(tools), "tool servers")
            await load.stop()
        left = house.record(note)
        house.start(TWO)
        record = house.record(note, left.bundle.checkpoint)
        assert record.report.open_intents == ()
        assert len(left.report.open_intents) > 0
        house.stop()
        assert left_of(house.home.root) == []


async def test_a_worker_that_is_stopped_dead_does_not_hold_up_a_revocation(own: tuple[House, Upstream]) -> None:
    house, upstream = own
    token = token_of(house, "scout")
    async with talking(house) as agent:
        assert (await agent.call("echo", {"n": 1}, token=token)).value
        stuck = workers(house)[0]["pid"]
        os.kill(stuck, signal.SIGSTOP)
        calls = [asyncio.ensure_future(agent.call("echo", {"n": n}, token=token)) for n in range(3)]
        await asyncio.sleep(SLOW_S)
        revocation = {"what": "agent", "name": "scout", "reason": "leak"}
        await asyncio.to_thread(house.door.post, "/v1/revocations", revocation)
        assert stuck not in [worker["pid"] for worker in workers(house)]
        arrived = await asyncio.to_thread(upstream.settled)
        await asyncio.gather(*calls, return_exceptions=True)
    assert upstream.settled() == arrived


async def test_an_orderly_stop_lets_calls_end_and_counts_them(own: tuple[House, Upstream]) -> None:
    house, _ = own
    tokens = {agent: token_of(house, agent) for agent in AGENTS}
    async with talking(house) as agent:
        calls = [asyncio.ensure_future(agent.call("slow", {"by": name}, token=tokens[name])) for name in AGENTS * 4]
        await asyncio.sleep(SLOW_S / 2)
        assert await asyncio.to_thread(house.stop) == 0
        assert all(answer.value for answer in await asyncio.gather(*calls))
    assert house.record().report.open_intents == ()
    assert left_of(house.home.root) == []


async def test_a_worker_asked_to_end_lets_its_calls_end_and_the_next_takes_its_connections(
    own: tuple[House, Upstream],
) -> None:
    house, _ = own
    token = token_of(house, "scout")
    async with talking(house) as agent:
        running = [asyncio.ensure_future(agent.call("slow", {"n": n}, token=token)) for n in range(4)]
        await asyncio.sleep(SLOW_S / 2)
        os.kill(workers(house)[0]["pid"], signal.SIGTERM)
        await asyncio.sleep(SLOW_S / 3)
        meanwhile = asyncio.ensure_future(_through_any(house, token))
        assert all(answer.value is not None for answer in await asyncio.gather(*running))
        assert await meanwhile == {"n": 7}
    assert [worker["restarts"] for worker in workers(house)] == [1, 0]
    assert {outcome.outcome for outcome in house.record().bodies(Outcome)} == {"completed"}


async def _through_any(house: House, token: str) -> Any:
    """A call on a new connection, tried again as long as nobody accepts it."""
    while True:
        try:
            async with talking(house) as agent:
                return (await agent.call("echo", {"n": 7}, token=token)).value
        except aiohttp.ClientConnectionError:
            await asyncio.sleep(0.05)
