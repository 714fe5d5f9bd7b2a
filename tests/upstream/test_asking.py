"""A server of the older generation that asks in the middle of a call: its exchange is kept until somebody answers."""

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from remit.call import Client
from remit.edge.upstream import conversation
from remit.edge.upstream.message import Request
from remit.edge.upstream.pending import Pending
from remit.errors import UpstreamFault
from remit.forward.model import Outgoing, Reply
from remit.limits import QUESTIONS_MAX
from remit.reasons import Denied, Reason
from tests.upstream.simulated import Gateway

ABLE = Client(capabilities={"elicitation": {}})
YES = Raw(b'{"question":{"action":"accept","content":{"word":"fig"}}}')


@pytest.fixture
async def box(gateway: Gateway) -> Gateway:
    gateway.declare_stdio("box")
    await gateway.pin("box")
    return gateway


def said(reply: Reply) -> Any:
    return msgspec.json.decode(reply.result or b"{}").get("structuredContent")


async def asked(gateway: Gateway, tool: str = "ask", **options: Any) -> str:
    """Call a tool that asks; the name of the exchange that is kept."""
    reply = await gateway.call(f"box/{tool}", client=ABLE, **options)
    assert msgspec.json.decode(reply.result or b"{}") == {
        "resultType": "input_required",
        "inputRequests": {"question": {"method": "elicitation/create", "params": {"message": "which word?"}}},
    }
    assert reply.held
    return reply.held


async def answered(gateway: Gateway, held: str, answers: Raw = YES, *, tool: str = "ask", **options: Any) -> Reply:
    return await gateway.call(f"box/{tool}", client=ABLE, answers=answers, held=held, **options)


async def cancelled(gateway: Gateway, **options: Any) -> Any:
    return said(await gateway.call("box/cancelled", client=ABLE, **options))["cancelled"]


@pytest.mark.holds("ASK-RELAY")
async def test_an_answer_goes_to_the_exchange_that_asked(box: Gateway) -> None:
    held = await asked(box)
    answer = said(await answered(box, held))["answer"]
    assert answer == {
        "jsonrpc": "2.0",
        "id": answer["id"],
        "result": {"action": "accept", "content": {"word": "fig"}},
    }
    no = Raw(b'{"question":{"error":{"code":-1,"message":"no"}}}')
    assert said(await answered(box, await asked(box), no))["answer"]["error"] == {"code": -1, "message": "no"}


@pytest.mark.holds("ASK-BOUND")
async def test_an_exchange_is_taken_up_once(box: Gateway) -> None:
    held = await asked(box)
    await answered(box, held)
    with pytest.raises(Denied) as no:
        await answered(box, held)
    assert no.value.reason is Reason.CALL_ANSWER


@pytest.mark.holds("ASK-BOUND")
@pytest.mark.parametrize(
    "given",
    [{"held": "made up"}, {"answers": Raw(b"{}")}, {"answers": Raw(b'{"other":{"action":"cancel"}}')}],
    ids=["another name", "no answer", "an answer to something else"],
)
async def test_what_does_not_answer_it_leaves_the_exchange_as_it_is(box: Gateway, given: dict[str, Any]) -> None:
    held = await asked(box)
    with pytest.raises(Denied):
        await answered(box, given.get("held", held), given.get("answers", YES))
    assert said(await answered(box, held))["answer"]


@pytest.mark.holds("ASK-BOUND")
async def test_another_tasks_call_does_not_find_the_exchange(box: Gateway) -> None:
    held = await asked(box)
    with pytest.raises(Denied):
        await answered(box, held, who="ada/t2")
    with pytest.raises(Denied):
        await answered(box, held, who="bob/t1")


@pytest.mark.holds("ASK-CANCEL")
async def test_an_exchange_nobody_takes_up_in_time_is_over(box: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "ANSWER_WAIT_S", 0.05)
    held = await asked(box)
    async with asyncio.timeout(10):
        while not await cancelled(box):  # noqa: ASYNC110 - nothing but time brings it
            await asyncio.sleep(0.02)
    with pytest.raises(Denied):
        await answered(box, held)


@pytest.mark.holds("ASK-CANCEL")
async def test_an_exchange_that_is_abandoned_is_over_and_no_other(box: Gateway) -> None:
    first, second = await asked(box), await asked(box)
    box.sessions.abandon(first)
    box.sessions.abandon(first)
    box.sessions.abandon("")
    assert len(await cancelled(box)) == 1
    with pytest.raises(Denied):
        await answered(box, first)
    assert said(await answered(box, second))["answer"]


async def test_a_server_that_answers_while_it_is_asking_is_heard_when_it_is_answered(box: Gateway) -> None:
    held = await asked(box, "ask_and_end")
    assert said(await answered(box, held, tool="ask_and_end")) == {}


async def test_a_server_that_dies_while_it_is_asking_was_called(box: Gateway) -> None:
    held = await asked(box, "ask_and_die")
    with pytest.raises((UpstreamFault, Denied)):
        await answered(box, held, tool="ask_and_die")
    assert said(await answered(box, await asked(box)))["answer"]


async def test_ending_a_task_ends_what_is_kept_for_it(box: Gateway) -> None:
    held = await asked(box)
    await box.sessions.end(task="t1")
    with pytest.raises(Denied):
        await answered(box, held)


@pytest.mark.holds("INPUT-SIZE")
async def test_of_questions_without_end_so_many_are_kept() -> None:
    told: list[bytes] = []
    pending = Pending(tell=told.append, heard=lambda method, params: None)
    outgoing = Outgoing(method="tools/call", name="t", arguments=Raw(b"{}"), meta={}, timeout_s=9, client=ABLE)
    request = Request(method="tools/call", params=b"{}", timeout_s=9, outgoing=outgoing)
    number, _ = pending.numbered(request)
    waiting = asyncio.ensure_future(pending.answer(number, request))
    await asyncio.sleep(0)

    for question in range(500):
        line = b'{"jsonrpc":"2.0","id":"f%d","method":"elicitation/create"}' % question
        pending.take(line, len(line))
    assert len(told) == 500 - QUESTIONS_MAX
    assert all(b"-32601" in refusal for refusal in told)
    (await waiting).abandon()  # type: ignore[union-attr]
    assert len(pending) == 0


async def test_who_answers_nothing_is_asked_nothing(box: Gateway) -> None:
    reply = await box.call("box/ask")
    assert not reply.held
    assert said(reply)["answer"]["error"]["code"] == -32601


@pytest.mark.holds("ASK-NOBODY")
async def test_on_a_shared_line_a_question_that_could_be_two_calls_goes_to_nobody(gateway: Gateway) -> None:
    gateway.declare_stdio("box", stateless=True)
    await gateway.pin("box")
    other = await asked(gateway, who="ada/t1")
    reply = await gateway.call("box/ask", client=ABLE, who="bob/t2")
    assert not reply.held
    assert said(reply)["answer"]["error"]["code"] == -32601
    assert said(await answered(gateway, other, who="ada/t1"))["answer"]
    assert await asked(gateway, who="bob/t2")


@pytest.mark.holds("ASK-NOBODY")
async def test_on_a_line_of_its_own_a_question_is_the_latest_calls(box: Gateway) -> None:
    first, second = await asked(box), await asked(box)
    assert said(await answered(box, second))["answer"]
    assert said(await answered(box, first))["answer"]
