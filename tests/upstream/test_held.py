"""Exchanges that wait for an answer are bounded: whoever asks on and on gives up what was asked first."""

import msgspec
import pytest
from msgspec import Raw

from remit.catalogue import contract_of
from remit.edge.upstream.conversation import HELD_MAX, Conversation, Server
from remit.edge.upstream.message import Answer, Message, Request
from remit.edge.upstream.wire import Held
from remit.forward.model import Outgoing, Reply
from remit.reasons import Denied, Reason

CONTRACT = contract_of("web", "tool", name="t", body={"name": "t", "inputSchema": {"type": "object"}})


class Waiting:
    """An exchange that waits for an answer."""

    question = Message(jsonrpc="2.0", id=Raw(b"1"), method="elicitation/create")

    def __init__(self) -> None:
        self.given_up = False

    async def answered(self, answer: Raw, request: Request) -> Answer | Held:
        return Answer(result=Raw(b"{}"))

    def abandon(self) -> None:
        self.given_up = True


class Asks:
    """A line to a server that asks whenever it is called."""

    def __init__(self) -> None:
        self.alive = True
        self.waiting: list[Waiting] = []

    async def exchange(self, request: Request) -> Held:
        self.waiting.append(Waiting())
        return self.waiting[-1]

    async def close(self) -> None:
        pass


async def called(conversation: Conversation, *, held: str = "") -> Reply:
    answers = Raw(b'{"question":{"action":"cancel"}}') if held else None
    sent = Outgoing(
        method="tools/call", name="t", arguments=Raw(b"{}"), meta={}, timeout_s=10, answers=answers, held=held
    )
    return await conversation.call(sent, CONTRACT, told=lambda method, params: None)


@pytest.mark.holds("ASK-BOUND")
async def test_so_many_exchanges_wait_and_no_more() -> None:
    wire = Asks()
    conversation = Conversation(wire, Server(revision="2025-11-25"))  # type: ignore[arg-type]  # a line of a few words
    asked = [await called(conversation) for _ in range(HELD_MAX + 2)]
    assert [one.given_up for one in wire.waiting] == [True] * 2 + [False] * HELD_MAX

    with pytest.raises(Denied) as no:
        await called(conversation, held=asked[0].held)
    assert no.value.reason is Reason.CALL_ANSWER
    assert msgspec.json.decode((await called(conversation, held=asked[2].held)).result or b"") == {}

    await conversation.close()
    assert [one.given_up for one in wire.waiting] == [True] * 2 + [False] + [True] * (HELD_MAX - 1)
