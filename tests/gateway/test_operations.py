"""Calls that end later, through a running gateway, behind it a fake of a server with the tasks extension: there is no
real one.
"""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from remit.ledger.receipt import Completion, Intent, Outcome
from tests.gateway.running import UP, Agent, Answer, House, a_house, free_port, talking, until

pytestmark = pytest.mark.slow

FAKE = Path(__file__).parents[2] / "tools" / "conformance" / "tasks_server.py"
TASKS = "io.modelcontextprotocol/tasks"
FOLLOWS = {"extensions": {TASKS: {}}, "elicitation": {}}
ROW = """
  jobs:
    owner: op
    environment: dev
    url: http://127.0.0.1:{port}/mcp
    tools:
{tools}
"""
TOOLS = ("greet", "slow_compute", "failing_job", "protocol_error_job", "confirm_delete", "multi_input")


class Follower:
    """An agent that follows its operations, under one task."""

    def __init__(self, agent: Agent, token: str) -> None:
        self._agent, self._token = agent, token

    async def ask(self, method: str, params: dict[str, Any], *, declares: bool = True, **options: Any) -> Answer:
        able = {"io.modelcontextprotocol/clientCapabilities": FOLLOWS if declares else {}}
        named = {"Mcp-Name": params["taskId"]} if "taskId" in params else {}
        given = {"token": self._token, "connector": "jobs", "headers": named} | options
        return await self._agent.ask(method, params, meta=able, **given)

    async def starts(self, tool: str, **arguments: Any) -> Any:
        answer = await self.ask("tools/call", {"name": tool, "arguments": arguments})
        assert answer.body["result"]["resultType"] == "task", answer
        return answer.body["result"]

    async def stands(self, name: str, *statuses: str) -> Any:
        """How it stands, once it does so in one of these ways."""
        while True:
            found = (await self.ask("tasks/get", {"taskId": name})).body["result"]
            if not statuses or found["status"] in statuses:
                return found
            await asyncio.sleep(0.05)


@pytest.fixture(scope="module", params=[(), ("--workers", "2")], ids=["alone", "workers"])
def command(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """How the gateway is started."""
    return (*UP[:-1], *request.param, UP[-1])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, command: tuple[str, ...]) -> Iterator[House]:
    port = free_port()
    server = subprocess.Popen([sys.executable, str(FAKE), str(port)])
    try:
        until(lambda: _listens(port), "the fake server did not start")
        tools = "\n".join(f"      {tool}: {{tier: read, data: {{internal: []}}}}" for tool in TOOLS)
        row = ROW.format(port=port, tools=tools)
        where = tmp_path_factory.mktemp("jobs")
        with a_house(where, command=command, connectors=row, tools='"desk/*", "jobs/*"') as (made, _):
            made.pin("jobs")
            yield made
    finally:
        server.kill()
        server.wait()


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@asynccontextmanager
async def following(house: House, task: str, agent: str = "scout") -> AsyncIterator[Follower]:
    async with talking(house) as client:
        yield Follower(client, house.token(agent, task=task, connector="jobs"))


def recorded(house: House, kind: type, task: str) -> list[Any]:
    return [one.body for one in house.record().receipts if one.task == task and isinstance(one.body, kind)]


@pytest.mark.holds("OPERATION-COMPLETION")
async def test_an_operation_runs_to_its_end_under_a_name_of_ours(house: House) -> None:
    task = house.open()
    async with following(house, task) as agent:
        made = await agent.starts("slow_compute", seconds=0.3)
        ended = await agent.stands(made["taskId"], "completed")
        again = await agent.stands(made["taskId"])
    assert made["_meta"]["io.remit/labels"] == ["untrusted"]
    assert {"createdAt", "lastUpdatedAt", "ttlMs", "pollIntervalMs"} <= made.keys()
    assert "job-" not in str(made) + str(ended)
    assert (ended["taskId"], ended["resultType"]) == (made["taskId"], "complete")
    assert ended["result"]["content"] == [{"type": "text", "text": "computed"}]
    assert ended["result"]["_meta"]["io.remit/labels"] == ["untrusted"]
    assert again["result"] == ended["result"]
    (outcome,), (completion,) = (recorded(house, kind, task) for kind in (Outcome, Completion))
    assert (outcome.outcome, completion.outcome) == ("accepted", "completed")
    assert (completion.intent, completion.operation) == (outcome.intent, made["taskId"])


@pytest.mark.parametrize("tool, status", [("failing_job", "completed"), ("protocol_error_job", "failed")])
async def test_what_went_wrong_is_said_as_the_protocol_says_it(house: House, tool: str, status: str) -> None:
    async with following(house, house.open()) as agent:
        ended = await agent.stands((await agent.starts(tool))["taskId"], "completed", "failed")
    assert ended["status"] == status
    if status == "failed":
        assert (ended["error"]["code"], ended["error"]["message"]) == (-32603, "it broke")
        assert ended["error"]["data"]["io.remit/labels"] == ["untrusted"]
    else:
        assert ended["result"]["isError"]


@pytest.mark.holds("OPERATION-ANSWERS")
async def test_answers_are_calls_and_may_come_one_by_one(house: House) -> None:
    task = house.open()
    async with following(house, task) as agent:
        name = (await agent.starts("multi_input"))["taskId"]
        asks = await agent.stands(name, "input_required")
        assert asks["inputRequests"].keys() == {"first", "second"}
        for key in ("first", "second"):
            answers = {key: {"action": "accept", "content": {}}}
            acked = await agent.ask("tasks/update", {"taskId": name, "inputResponses": answers})
            assert acked.body["result"]["resultType"] == "complete"
            assert not acked.body["result"].keys() - {"resultType", "_meta"}
        ended = await agent.stands(name, "completed")
        late = await agent.ask("tasks/update", {"taskId": name, "inputResponses": answers})
    assert ended["result"]["content"][0]["text"] == "gone on"
    assert (late.status, late.body["error"]["code"]) == (400, -32602)
    first, *answers_to = recorded(house, Intent, task)
    assert [(one.asked.method, one.answers) for one in answers_to] == [("tasks/update", first.asked.call)] * 2


@pytest.mark.holds("OPERATION-STOP")
async def test_stopping_is_acknowledged_and_seen_by_asking(house: House) -> None:
    task = house.open()
    async with following(house, task) as agent:
        name = (await agent.starts("slow_compute", seconds=600))["taskId"]
        for _ in range(2):
            acked = await agent.ask("tasks/cancel", {"taskId": name})
            assert not acked.body["result"].keys() - {"resultType", "_meta"}
        assert (await agent.stands(name))["status"] == "cancelled"
    assert [one.outcome for one in recorded(house, Completion, task)] == ["cancelled"]


@pytest.mark.holds("OPERATION-STOP")
async def test_a_task_that_is_revoked_takes_its_operations_with_it(house: House) -> None:
    task = house.open()
    async with following(house, task) as agent:
        name = (await agent.starts("slow_compute", seconds=600))["taskId"]
        house.door.post(f"/v1/tasks/{task}/revoke", {"reason": "a test"})
        said = await agent.ask("tasks/get", {"taskId": name})
        unknown = await agent.ask("tasks/get", {"taskId": "00000000000000000000"})
    assert said.body == unknown.body
    assert said.body["error"]["code"] == -32602
    (completion,) = until(lambda: recorded(house, Completion, task), "it was not given up")
    assert completion.outcome == "unknown"
    assert "was told to stop it" in completion.detail


@pytest.mark.holds("OPERATION-BOUND")
async def test_anothers_operation_is_an_unknown_one_byte_for_byte(house: House) -> None:
    task = house.open()
    async with following(house, task) as agent, following(house, house.open("rival"), "rival") as rival:
        name = (await agent.starts("slow_compute", seconds=600))["taskId"]
        for method in ("tasks/get", "tasks/cancel", "tasks/update"):
            answers = {"inputResponses": {}} if method == "tasks/update" else {}
            theirs = await rival.ask(method, {"taskId": name, **answers})
            nobodys = await rival.ask(method, {"taskId": "0" * len(name), **answers})
            assert (theirs.status, theirs.body) == (nobodys.status, nobodys.body)
            assert theirs.body["error"]["code"] == -32602
        assert (await agent.stands(name))["status"] == "working"


@pytest.mark.parametrize(
    "method, params, code",
    [
        ("tasks/get", {}, -32602),
        ("tasks/get", {"taskId": 7}, -32020),
        ("tasks/get", {"taskId": "a", "more": 1}, -32602),
        ("tasks/get", {"taskId": "a" * 300}, -32602),
        ("tasks/update", {"taskId": "a"}, -32602),
        ("tasks/list", {}, -32601),
        ("tasks/result", {"taskId": "a"}, -32601),
    ],
)
async def test_what_is_no_request_about_an_operation_is_refused(
    house: House, method: str, params: dict[str, Any], code: int
) -> None:
    async with following(house, house.open()) as agent:
        headers = {"Mcp-Name": params["taskId"]} if isinstance(params.get("taskId"), str) else {}
        said = await agent.ask(method, params, headers=headers)
    assert (said.status, said.body["error"]["code"]) == (404 if code == -32601 else 400, code)


async def test_who_does_not_declare_the_extension_gets_no_task_and_follows_none(house: House) -> None:
    async with following(house, house.open()) as agent:
        at_once = await agent.ask("tools/call", {"name": "slow_compute", "arguments": {}}, declares=False)
        refused = await agent.ask("tasks/get", {"taskId": "a"}, declares=False)
    assert at_once.body["result"]["content"][0]["text"] == "at once"
    assert (refused.status, refused.body["error"]["code"]) == (400, -32021)
    assert TASKS in refused.body["error"]["data"]["requiredCapabilities"]["extensions"]


async def test_the_extension_is_advertised_where_the_server_has_it_and_to_modern_clients(house: House) -> None:
    async with following(house, house.open()) as agent, following(house, house.open()) as other:
        jobs = await agent.ask("server/discover", {})
        token = house.token(task=house.open(), connector="desk")
        desk = await other.ask("server/discover", {}, connector="desk", token=token)
    assert jobs.body["result"]["capabilities"]["extensions"] == {TASKS: {}}
    assert "extensions" not in desk.body["result"]["capabilities"]


async def test_an_operation_outlives_the_gateway(house: House, command: tuple[str, ...]) -> None:
    task = house.open()
    async with following(house, task) as agent:
        name = (await agent.starts("slow_compute", seconds=600))["taskId"]
    house.kill()
    house.start(command)
    house.looked()
    async with following(house, task) as agent:
        assert (await agent.stands(name))["status"] == "working"
        await agent.ask("tasks/cancel", {"taskId": name})
    assert [one.outcome for one in recorded(house, Completion, task)] == ["cancelled"]
    assert not house.record().report.open_intents
