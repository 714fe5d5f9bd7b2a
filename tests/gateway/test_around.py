"""What happens around a call, between real ends: the official SDK's server and client in each generation, over HTTP and
stdio, with a running gateway between them.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from mcp import Client, StdioServerParameters, types
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from remit.ledger.receipt import Intent, Outcome
from tests.gateway.running import PATIENCE_S, House, a_house, free_port, talking, until

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")]

ASKER = Path(__file__).with_name("asker.py")
OLD_CLIENT = Path(__file__).with_name("old_client.py")
TOOLS = ("ask", "ask_all", "ask_twice", "ask_both", "impatient", "ask_beside", "tell", "hang", "let_go")
ERAS = ("legacy", "2026-07-28")
LINES = ("legacy-http", "modern-http", "legacy-stdio", "modern-stdio")
ROW = """
  {name}:
    owner: op
    environment: dev
    {at}
    may_ask: [elicitation, sampling, roots]
    tools:
{tools}
"""


class Place(NamedTuple):
    house: House
    where: Path

    def log(self, line: str) -> list[str]:
        """What happened at a server."""
        file = self.where / f"{line}.log"
        return file.read_text().splitlines() if file.exists() else []

    def outcomes(self, task: str) -> list[Outcome]:
        """The outcomes of a task's calls, in the order the calls were made, once all are durable."""

        def found() -> list[Outcome]:
            receipts = self.house.record().receipts
            mine = [one.seq for one in receipts if one.task == task and isinstance(one.body, Intent)]
            outcomes = {one.body.intent: one.body for one in receipts if isinstance(one.body, Outcome)}
            return [outcomes[seq] for seq in mine] if outcomes.keys() >= {*mine} else []

        whole: list[Outcome] = until(found, "outcomes are missing")
        return whole

    def intents(self, task: str) -> list[Intent]:
        return [one.body for one in self.house.record().receipts if one.task == task and isinstance(one.body, Intent)]


def _row(name: str, at: str) -> str:
    tools = "\n".join(f"      {tool}: {{tier: read, data: {{internal: []}}}}" for tool in TOOLS)
    return ROW.format(name=name, at=at, tools=tools)


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A gateway with four such servers behind it."""
    where = tmp_path_factory.mktemp("around")
    ports = {era: free_port() for era in ("legacy", "modern")}
    servers = [
        subprocess.Popen([sys.executable, str(ASKER), str(where), era, str(port)]) for era, port in ports.items()
    ]
    rows = "".join(_row(f"{era}-http", f"url: http://127.0.0.1:{port}/mcp") for era, port in ports.items())
    rows += "".join(
        _row(f"{era}-stdio", f'command: ["{sys.executable}", "{ASKER}", "{where}", "{era}"]') for era in ports
    )
    tools = ", ".join(f'"{line}/*"' for line in LINES)
    try:
        for port in ports.values():
            until(lambda port=port: _listens(port), "a tool server did not start")
        with a_house(where / "house", connectors=rows, tools=tools) as (house, _):
            house.pin(*LINES)
            yield Place(house, where)
    finally:
        for server in servers:
            server.kill()
            server.wait()


@pytest.fixture(autouse=True)
def tidy(place: Place) -> Iterator[None]:
    """A task that is over keeps no process."""
    yield
    for task in place.house.door.get("/v1/tasks")["tasks"]:
        if task["state"] == "open":
            place.house.door.post(f"/v1/tasks/{task['id']}/complete", {})


class Ends:
    """What a client answers, in order, and what it heard."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.logged: list[tuple[str, Any]] = []
        self.progress: list[tuple[float, float | None, str | None]] = []
        self.moving = asyncio.Event()

    async def elicited(self, context: Any, params: Any) -> Any:
        self.asked.append(params.message)
        self.moving.set()
        answer = self.answers.pop(0)
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            return types.ElicitResult(action="cancel")
        return answer

    async def sampled(self, context: Any, params: Any) -> Any:
        said = types.TextContent(type="text", text="plum")
        return types.CreateMessageResult(role="assistant", content=said, model="m")

    async def rooted(self, context: Any) -> Any:
        return types.ListRootsResult(roots=[types.Root(uri="file:///home")])

    async def logs(self, params: Any) -> None:
        self.logged.append((params.level, params.data))

    async def progresses(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append((progress, total, message))
        self.moving.set()


def yes(word: str) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"word": word})


NO = types.ElicitResult(action="decline")


@asynccontextmanager
async def connected(place: Place, line: str, ends: Ends, *, mode: str, task: str, **more: Any) -> AsyncIterator[Client]:
    token = place.house.token(task=task, connector=line)
    url = f"{place.house.url}/mcp/{line}"
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_S) as http,
        Client(
            streamable_http_client(url, http_client=http),
            mode=mode,  # type: ignore[arg-type]
            elicitation_callback=ends.elicited,
            sampling_callback=ends.sampled,
            list_roots_callback=ends.rooted,
            logging_callback=ends.logs,
            **more,
        ) as client,
    ):
        yield client


async def said(client: Client, tool: str, ends: Ends | None = None) -> str:
    result = await client.call_tool(tool, {}, progress_callback=ends.progresses if ends else None)
    return str(result.content[0].text)


async def happened(what: Callable[[], bool]) -> None:
    """Wait until something is true; a test that waits in vain fails."""
    async with asyncio.timeout(PATIENCE_S):
        while not what():  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.02)


@pytest.mark.holds("ASK-RELAY")
@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("line", LINES)
async def test_every_question_and_answer_passes_between_any_two_eras(place: Place, line: str, mode: str) -> None:
    task = place.house.open()
    ends = Ends(yes("fig"), NO, yes("one"), yes("two"), yes("left"), yes("right"), yes("fig"))
    async with connected(place, line, ends, mode=mode, task=task) as client:
        assert await said(client, "ask") == "accept fig"
        assert await said(client, "ask") == "decline -"
        assert await said(client, "ask_twice") == "accept one, accept two"
        both = await said(client, "ask_both")
        assert await said(client, "ask_all") == "accept fig | m plum | file:///home"
    # Two questions at once come in either order.
    assert sorted(both.split(" | ")) == ["accept left", "accept right"]
    assert ends.asked[:4] == ["which word?", "which word?", "first?", "second?"]
    intents = place.intents(task)
    assert [one.answers for one in intents[:3]] == ["", intents[0].asked.call, ""]
    outcomes = [one.outcome for one in place.outcomes(task)]
    assert outcomes[:4] == ["input_required", "completed"] * 2
    assert outcomes[-1] == "completed"


@pytest.mark.holds("ASK-RELAY")
@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("line", ["legacy-http", "legacy-stdio"])
async def test_a_question_beside_the_call_it_is_about_passes_where_there_is_but_one(
    place: Place, line: str, mode: str
) -> None:
    task, ends = place.house.open(), Ends()
    async with connected(place, line, ends, mode=mode, task=task) as client:
        assert await said(client, "ask_beside", ends) == "file:///home"
    assert ends.progress == [(1, 1, "asked")]
    outcomes = await asyncio.to_thread(place.outcomes, task)
    assert [(one.outcome, one.notes) for one in outcomes] == [("input_required", 0), ("completed", 1)]


@pytest.mark.holds("NOTE-ASKED", "NOTE-RECORD")
@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("line", LINES)
async def test_progress_and_log_messages_pass_as_they_were_asked_for(place: Place, line: str, mode: str) -> None:
    task, ends = place.house.open(), Ends()
    more = {"log_level": "info"} if mode != "legacy" else {}
    async with connected(place, line, ends, mode=mode, task=task, **more) as client:
        if mode == "legacy":
            await client.set_logging_level("info")
        assert await said(client, "tell", ends) == "told"
    assert ends.progress == [(1, 2, "step 1"), (2, 2, "step 2")]
    assert ends.logged == [("warning", {"careful": True})]
    [outcome] = place.outcomes(task)
    assert outcome.notes == 3
    assert outcome.notes_digest.startswith("sha256:")


@pytest.mark.holds("ASK-CANCEL")
@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("line", LINES)
async def test_a_client_that_gives_up_ends_its_call_at_the_server(place: Place, line: str, mode: str) -> None:
    task, ends = place.house.open(), Ends()
    before = place.log(line).count("cancelled hang")
    async with connected(place, line, ends, mode=mode, task=task) as client:
        running = asyncio.create_task(client.call_tool("hang", {}, progress_callback=ends.progresses))
        await asyncio.wait_for(ends.moving.wait(), PATIENCE_S)
        running.cancel()
        await asyncio.wait([running])
        await happened(lambda: place.log(line).count("cancelled hang") > before)
        [outcome] = await asyncio.to_thread(place.outcomes, task)
    assert (outcome.outcome, outcome.notes) == ("cancelled_unknown", 1)


@pytest.mark.holds("ASK-CANCEL")
@pytest.mark.parametrize("line", ["legacy-http", "legacy-stdio"])
async def test_a_client_that_gives_up_while_it_is_asked_ends_its_call_at_the_server(place: Place, line: str) -> None:
    task, ends = place.house.open(), Ends(asyncio.Event())
    before = place.log(line).count("cancelled ask")
    async with connected(place, line, ends, mode="legacy", task=task) as client:
        running = asyncio.create_task(client.call_tool("ask", {}))
        await asyncio.wait_for(ends.moving.wait(), PATIENCE_S)
        running.cancel()
        await asyncio.wait([running])
        await happened(lambda: place.log(line).count("cancelled ask") > before)
        [outcome] = await asyncio.to_thread(place.outcomes, task)
    assert outcome.outcome == "input_required"


@pytest.mark.holds("ASK-CANCEL")
@pytest.mark.parametrize("line", ["legacy-http", "legacy-stdio"])
async def test_a_client_that_goes_away_while_it_is_asked_ends_its_call_at_the_server(place: Place, line: str) -> None:
    task, ends = place.house.open(), Ends(asyncio.Event())
    before = place.log(line).count("cancelled ask")

    async def leaves() -> None:
        async with connected(place, line, ends, mode="legacy", task=task) as client:
            await client.call_tool("ask", {})

    running = asyncio.create_task(leaves())
    await asyncio.wait_for(ends.moving.wait(), PATIENCE_S)
    running.cancel()
    await asyncio.wait([running])
    await happened(lambda: place.log(line).count("cancelled ask") > before)


@pytest.mark.parametrize("line", ["legacy-http", "legacy-stdio"])
async def test_a_server_that_answers_while_its_question_is_open_is_heard_once_that_was_answered(
    place: Place, line: str
) -> None:
    task, wait = place.house.open(), asyncio.Event()
    ends = Ends(wait)
    async with connected(place, line, ends, mode="legacy", task=task) as client:
        running = asyncio.create_task(said(client, "impatient"))
        await asyncio.wait_for(ends.moving.wait(), PATIENCE_S)
        await asyncio.sleep(0.5)  # the server answers meanwhile
        wait.set()
        assert await running == "never mind"


@pytest.mark.holds("INV-01-ONCE")
async def test_a_stream_that_was_let_go_is_taken_up_where_it_was_and_nothing_is_sent_twice(place: Place) -> None:
    task, ends = place.house.open(), Ends()
    async with connected(place, "legacy-http", ends, mode="2026-07-28", task=task) as client:
        assert await said(client, "let_go", ends) == "said all the same"
    assert ends.progress == [(1, 2, "before"), (2, 2, "after")]
    assert place.log("legacy-http").count("called let_go") == 1
    [outcome] = await asyncio.to_thread(place.outcomes, task)
    assert (outcome.outcome, outcome.notes) == ("completed", 2)


@pytest.mark.holds("ASK-RELAY")
@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("line", ["legacy-stdio", "modern-http"])
async def test_a_desktop_client_is_asked_and_told_through_the_bridge(place: Place, line: str, mode: str) -> None:
    task, ends = place.house.open(), Ends(yes("fig"))
    profile = str(place.house.home.profile("scout"))
    named = ("--agent", "scout", "--task", task, "--connector", line, "--profile", profile)
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "remit.edge.cli", "connect", *named], env=dict(os.environ)
    )
    async with Client(
        stdio_client(command),
        mode=mode,  # type: ignore[arg-type]
        elicitation_callback=ends.elicited,
        logging_callback=ends.logs,
    ) as client:
        assert await said(client, "ask") == "accept fig"
        assert await said(client, "tell", ends) == "told"
    assert [step for step, _, _ in ends.progress] == [1, 2]


@pytest.mark.holds("ASK-BOUND")
async def test_after_a_restart_the_questions_of_before_can_no_longer_be_answered(place: Place) -> None:
    token = place.house.token(task=place.house.open(), connector="modern-http")
    able = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}
    given = {"name": "ask", "arguments": {}}
    async with talking(place.house) as agent:
        asked = await agent.ask("tools/call", given, token=token, connector="modern-http", meta=able)
    assert asked.body["result"]["resultType"] == "input_required"
    answers = {"inputResponses": {"a": {"action": "accept", "content": {"word": "fig"}}}}
    retry = {**given, **answers, "requestState": asked.body["result"]["requestState"]}

    await asyncio.to_thread(place.house.stop)
    await asyncio.to_thread(place.house.start)

    before = len(place.log("modern-http"))
    async with talking(place.house) as agent:
        refused = await agent.ask("tools/call", retry, token=token, connector="modern-http", meta=able)
    assert refused.status == 400
    assert refused.body["error"]["message"] == "`requestState` is not one of this gateway"
    assert len(place.log("modern-http")) == before


@pytest.mark.real
@pytest.mark.holds("ASK-RELAY")
@pytest.mark.parametrize("line", LINES)
async def test_the_older_sdks_client_is_asked_and_told_too(place: Place, line: str) -> None:
    python = os.environ.get("REMIT_MCP130")
    if not python:
        pytest.skip("no client 1.30: set REMIT_MCP130 to the Python of an environment with `mcp==1.30.*`")
    token = place.house.token(task=place.house.open(), connector=line)
    process = await asyncio.create_subprocess_exec(
        *(python, str(OLD_CLIENT), f"{place.house.url}/mcp/{line}", token), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert json.loads(output) == {
        "asked": ["which word?", "first?", "second?", "which word?"],
        "ask": "accept word-1",
        "ask_twice": "accept word-2, accept word-3",
        "ask_all": "accept word-4 | m plum | file:///home",
        "tell": "told",
        "progress": [[1, 2, "step 1"], [2, 2, "step 2"]],
        "logged": [["warning", {"careful": True}]],
    }
