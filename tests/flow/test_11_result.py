"""Step 11: what may come back?"""

from typing import Any

import msgspec
import pytest

from remit.answer import Refusal, Released, ServerError, Withheld
from remit.call import Client
from remit.catalogue.model import Tool, ToolRow
from remit.forward.model import Outgoing, Reply
from remit.ledger.receipt import Outcome
from remit.limits import RESULT_BYTES_MAX, RESULT_CHECKED_BYTES_MAX
from remit.reasons import Reason
from remit.result import Sender, inspect
from tests.world import World, reply, tool


def answering(answer: Reply) -> Any:
    async def answers(outgoing: Outgoing) -> Reply:
        return answer

    return answers


GOOD: dict[str, tuple[Reply, str]] = {
    "a result that fits": (reply(content=[], structuredContent={"text": "a"}), "completed"),
    "the tool's own error, which need not fit": (reply(content=[], isError=True), "tool_error"),
    "the server's JSON-RPC error": (Reply(result=None, error=ServerError(-32602, "no")), "tool_error"),
}


@pytest.mark.parametrize("answer, ending", GOOD.values(), ids=GOOD.keys())
@pytest.mark.holds("INV-08")
async def test_what_passes_is_labelled(answer: Reply, ending: str) -> None:
    world = await World.made()
    world.server.answers = answering(answer)
    said = await world.call(await world.task())
    assert isinstance(said, Released)
    assert said.labels == ("untrusted",)
    assert said.error == answer.error
    [outcome] = await world.bodies(Outcome)
    assert (outcome.outcome, outcome.labels) == (ending, ("untrusted",))
    await world.holds()


BAD: dict[str, tuple[Reply, Reason]] = {
    "no structured content": (reply(content=[]), Reason.RESULT_SCHEMA),
    "structured content of another shape": (reply(structuredContent={"text": 1}), Reason.RESULT_SCHEMA),
    "structured content that is no object": (reply(structuredContent=[]), Reason.RESULT_SCHEMA),
    "nested deeper than is read": (
        Reply(result=msgspec.Raw(b'{"a":' * 5000 + b"1" + b"}" * 5000)),
        Reason.RESULT_SCHEMA,
    ),
    "not an object": (Reply(result=msgspec.Raw(b"[]")), Reason.RESULT_SCHEMA),
    "isError that is no boolean": (reply(isError="no"), Reason.RESULT_SCHEMA),
    "a request for no input": (reply(resultType="input_required"), Reason.RESULT_SCHEMA),
    "a request for input of no known form": (
        reply(resultType="input_required", inputRequests=[]),
        Reason.RESULT_SCHEMA,
    ),
    "a task of the extension": (reply(resultType="task"), Reason.RESULT_UNSUPPORTED),
    "too large to be checked": (
        reply(content=[], structuredContent={"text": "a" * RESULT_CHECKED_BYTES_MAX}),
        Reason.RESULT_TOO_LARGE,
    ),
    "too large to be read": (Reply(result=None), Reason.RESULT_TOO_LARGE),
    "too large to be passed on": (
        Reply(result=msgspec.Raw(b'{"a":"' + b"a" * RESULT_BYTES_MAX + b'"}')),
        Reason.RESULT_TOO_LARGE,
    ),
}


@pytest.mark.parametrize("answer, reason", BAD.values(), ids=BAD.keys())
@pytest.mark.holds("INPUT-SIZE")
async def test_what_may_not_pass_is_withheld_and_the_agent_hears_that_it_happened(
    answer: Reply, reason: Reason
) -> None:
    world = await World.made()
    world.server.answers = answering(answer)
    said = await world.call(await world.task())
    assert isinstance(said, Refusal)
    assert said.reason is reason
    [outcome] = await world.bodies(Outcome)
    assert (outcome.outcome, outcome.reason) == ("withheld", reason)
    assert outcome.labels == ()
    await world.holds()


async def test_a_tool_without_an_output_schema_may_answer_any_shape() -> None:
    world = await World.made()
    world.server.answers = answering(reply(content=[], structuredContent={"any": [1]}))
    assert isinstance(await world.call(await world.task(), "quiet"), Released)
    await world.holds()


SENDER = Sender("call", "sha256:d", "spiffe://world.test/agent/scout", Client(), 0)

BENT: dict[str, tuple[object, bytes]] = {
    "a key twice": ({"type": "object"}, b'{"structuredContent": {"text": "a"}, "structuredContent": {"text": "b"}}'),
    "a schema that is none": ({"type": "text"}, b'{"structuredContent": {"text": "a"}}'),
}


@pytest.mark.parametrize("schema, result", BENT.values(), ids=BENT.keys())
def test_what_cannot_be_checked_is_withheld(schema: object, result: bytes) -> None:
    contract = tool("notes", "read", outputSchema=schema)
    found = inspect(Reply(result=msgspec.Raw(result)), Tool(contract=contract, row=ToolRow()), sender=SENDER)
    assert isinstance(found, Withheld)
    assert found.reason is Reason.RESULT_SCHEMA
