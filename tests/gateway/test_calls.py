"""Calls through a running gateway: how many reach the tool server, under which task, and what travels with them."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.gateway.running import RECORDER, House, Upstream, a_house, recorded_by, seen_in, talking

pytestmark = pytest.mark.slow


@pytest.mark.holds("INV-13")
async def test_64_concurrent_calls_under_a_budget_of_1_reach_the_tool_server_once(
    running: tuple[House, Upstream],
) -> None:
    house, upstream = running
    before = len(upstream.settled())
    task = house.open(purpose="work", calls=1)
    token = house.token(task=task)
    async with talking(house) as agent:
        answers = await asyncio.gather(*(agent.call("add", {"n": n}, token=token) for n in range(64)))
    assert sorted(answer.reason for answer in answers) == ["", *["commit.budget"] * 63]
    assert len(upstream.settled()) == before + 1


@pytest.mark.holds("TASK-PURPOSE")
async def test_of_two_tasks_of_one_agent_the_purpose_decides(running: tuple[House, Upstream]) -> None:
    house, upstream = running
    before = len(upstream.settled())
    looking, working = (house.token(task=house.open(purpose=purpose)) for purpose in ("look", "work"))
    async with talking(house) as agent:
        assert (await agent.call("echo", {"n": 1}, token=looking)).value == {"n": 1}
        assert (await agent.call("add", {"n": 2}, token=working)).value == {"n": 2}
        refused = await agent.call("add", {"n": 3}, token=looking)
    assert refused.reason != ""
    assert refused.decision["verdict"] == "DENY"
    assert [one.arguments["n"] for one in upstream.settled()[before:]] == [1, 2]


@pytest.mark.holds("IDENT-PASS", "INV-03-ALLOW", "INV-07")
async def test_nothing_of_the_callers_headers_reaches_the_tool_server(running: tuple[House, Upstream]) -> None:
    house, upstream = running
    token = house.token(task=house.open())
    before = len(upstream.seen())
    given = {
        "Cookie": "session=smuggled",
        "X-Api-Key": "smuggled",
        "X-Forwarded-For": "203.0.113.9",
        "Forwarded": "for=203.0.113.9",
        "Proxy-Authorization": "Basic smuggled",
        "Mcp-Session-Id": "smuggled",
        "Baggage": "smuggled=1",
        "User-Agent": "smuggled",
    }
    async with talking(house) as agent:
        meta = {"vendor.example/secret": "smuggled", "progressToken": "p-1"}
        answer = await agent.call("echo", {"n": 1}, token=token, headers=given, meta=meta)
    assert answer.value == {"n": 1}
    upstream.settled()
    everything = json.dumps(upstream.seen()[before:])
    for secret in ("smuggled", "203.0.113.9", token, token.rpartition(".")[2], "uthorization", "ookie"):
        assert secret not in everything
    (call,) = [one for one in upstream.seen()[before:] if one.method == "tools/call"]
    assert {name.lower() for name, _ in call.headers} == {
        "accept",
        "accept-encoding",
        "content-length",
        "content-type",
        "host",
        "mcp-method",
        "mcp-name",
        "mcp-protocol-version",
        "user-agent",
    }
    assert call.raw == b'{"n":1}'


@pytest.mark.holds("WIRE-STDIO", "IDENT-PASS", "INV-07")
async def test_a_stdio_server_has_the_listed_environment_and_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOWN", "yes")
    monkeypatch.setenv("HIDDEN", "not-for-you")
    where = tmp_path / "stdio"
    where.mkdir()
    row = recorded_by("http://127.0.0.1:9", "pipe").replace(
        "url: http://127.0.0.1:9", f"command: [{sys.executable}, {RECORDER}, {where}, stdio]\n    env: [SHOWN]"
    )
    with a_house(tmp_path, connectors=row, tools='"desk/*", "pipe/*"') as (house, _):
        house.pin("pipe")
        token = house.token(task=house.open(), connector="pipe")
        async with talking(house) as agent:
            assert (await agent.call("echo", {"n": 7}, token=token, connector="pipe")).value == {"n": 7}
        environment = json.loads((where / "environment").read_text())
        assert {name for name in environment if name != "LC_CTYPE"} == {"SHOWN"}
        assert token not in json.dumps(seen_in(where))


@pytest.mark.holds("INV-13", "INV-15-DOOR")
async def test_a_step_token_is_good_for_its_task_and_its_one_call(running: tuple[House, Upstream]) -> None:
    house, upstream = running
    before = len(upstream.settled())
    step = house.open(calls=1, tools=["desk/echo"], token=True)
    other = house.open()
    async with talking(house) as agent:

        async def call(tool: str, **options: object) -> str:
            return (await agent.call(tool, {"n": 1}, token=step["token"], connector=None, **options)).reason

        assert await call("desk/echo", headers={"Remit-Task": other}) == "task.conflict"
        assert await call("desk/slow") == "schema.unknown"
        assert await call("desk/echo") == ""
        assert await call("desk/echo") == "commit.budget"
        elsewhere = await agent.call("echo", {"n": 1}, token=step["token"])
    assert elsewhere.status == 401
    assert len(upstream.settled()) == before + 1


@pytest.mark.holds("INV-05-END")
@pytest.mark.parametrize("move", ["suspend", "complete", "revoke"])
async def test_a_task_that_is_no_longer_open_lets_nothing_through(running: tuple[House, Upstream], move: str) -> None:
    house, upstream = running
    task = house.open()
    token = house.token(task=task)
    async with talking(house) as agent:
        assert (await agent.call("echo", {"n": 1}, token=token)).reason == ""
        before = len(upstream.settled())
        house.door.post(f"/v1/tasks/{task}/{move}", {"reason": "enough"})
        assert (await agent.call("echo", {"n": 1}, token=token)).reason == "task.not_open"
    assert len(upstream.settled()) == before


@pytest.mark.holds("INV-12")
async def test_a_task_is_its_agents_own(running: tuple[House, Upstream]) -> None:
    house, upstream = running
    before = len(upstream.settled())
    async with talking(house) as agent:
        answer = await agent.call("echo", {"n": 1}, token=house.token("rival", task=house.open("scout")))
        nonesuch = await agent.call("echo", {"n": 1}, token=house.token("rival", task="nonesuch"))
    assert answer.reason == nonesuch.reason == "task.unknown"
    assert answer.body == nonesuch.body
    assert len(upstream.settled()) == before
