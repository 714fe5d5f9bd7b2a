"""On a line that calls of others share, what a server says of a call that was given up is taken for nobody's."""

import asyncio
import contextlib
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from remit.call import Client
from remit.edge.upstream.beside import Beside, ask_beside
from remit.edge.upstream.message import Message, Request
from remit.edge.upstream.pending import Pending
from remit.forward.model import NOBODY, Outgoing
from remit.limits import QUESTIONS_MAX

ABLE = Client(capabilities={"elicitation": {}}, log_level="")
LOG: dict[str, Any] = {"method": "notifications/message", "params": {"level": "info", "data": "what bob asked"}}
QUESTION: dict[str, Any] = {"id": "q", "method": "elicitation/create", "params": {"message": "bob, really?"}}


class Line:
    """A line, and what came of what the server said on it: `heard` of calls, `beside` of none, `told` the server."""

    def __init__(self, *, shared: bool) -> None:
        self.shared = shared
        self.told: list[Any] = []
        self.heard: list[str] = []
        self.beside: list[str] = []
        self.pending = Pending(
            tell=lambda said: self.told.append(msgspec.json.decode(said)),
            heard=lambda method, _: self.beside.append(method),
        )

    async def begun(self, client: Client = ABLE) -> tuple[int, "asyncio.Task[Any]"]:
        """A call on its way."""
        call = Outgoing(method="tools/call", name="t", arguments=Raw(b"{}"), meta={}, timeout_s=60, client=client)
        request = Request(
            method=call.method,
            params=b"{}",
            timeout_s=60,
            outgoing=call,
            told=lambda method, _: self.heard.append(method),
            shared=self.shared,
        )
        number, _ = self.pending.numbered(request)
        task = asyncio.ensure_future(self.pending.answer(number, request))
        await asyncio.sleep(0)
        return number, task

    async def given_up(self) -> int:
        number, task = await self.begun()
        await over(task)
        return number

    def says(self, **message: Any) -> None:
        said = msgspec.json.encode({"jsonrpc": "2.0", **message})
        self.pending.take(said, len(said))

    def asks(self) -> bool:
        """Whether a log message and a question are anybody's."""
        self.says(**LOG)
        self.says(**QUESTION)
        refused = [one for one in self.told if one.get("id") == "q"]
        assert bool(self.beside) == bool(refused) != bool(self.heard)
        return not refused


async def over(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.mark.holds("ASK-NOBODY")
@pytest.mark.parametrize("shared, taken", [(True, False), (False, True)])
async def test_what_may_be_about_a_call_that_was_given_up_is_nobodys_on_a_shared_line(
    shared: bool, taken: bool
) -> None:
    line = Line(shared=shared)
    await line.given_up()
    _, other = await line.begun()
    assert line.asks() is taken
    await over(other)


async def test_once_the_server_is_done_with_it_the_line_is_one_calls_again() -> None:
    line = Line(shared=True)
    line.says(id=await line.given_up(), result={})
    _, other = await line.begun()
    assert line.asks()
    await over(other)


@pytest.mark.holds("ASK-NOBODY")
async def test_a_call_that_answers_no_questions_counts_all_the_same() -> None:
    line = Line(shared=True)
    _, able = await line.begun()
    _, other = await line.begun(NOBODY)
    assert not line.asks()
    await over(able)
    await over(other)


@pytest.mark.holds("ASK-NOBODY")
@pytest.mark.parametrize("shared, most", [(True, 0), (False, QUESTIONS_MAX)])
async def test_a_question_beside_is_for_a_call_of_ones_own_session_and_not_without_end(shared: bool, most: int) -> None:
    call = Outgoing(method="tools/call", name="t", arguments=Raw(b"{}"), meta={}, timeout_s=60, client=ABLE)
    beside = Beside(None, {}, number=1)  # type: ignore[arg-type]  # nothing is said on its line
    beside.request = Request(method="", params=b"", timeout_s=60, outgoing=call, shared=shared)
    question = Message(jsonrpc="2.0", id=Raw(b"1"), method="elicitation/create")
    assert [ask_beside({1: beside}, question) for _ in range(QUESTIONS_MAX + 1)].count(True) == most
