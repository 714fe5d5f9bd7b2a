"""Completing an argument of a prompt or a template: a governed call like any other."""

from typing import Any

import msgspec
import pytest

from remit.answer import Refusal, Released
from remit.call import Ask, Round, call_digest, decode, recalled
from remit.canonical import canonical
from remit.catalogue import contract_of
from remit.ledger.receipt import Intent
from remit.reasons import Reason
from tests.world import World, advertised, reply

PROMPT = {"type": "ref/prompt", "name": "sum-up"}
TEMPLATE = {"type": "ref/resource", "uri": "note://{id}"}


async def completed(params: dict[str, Any], **more: Any) -> tuple[World, Released | Refusal]:
    """A world in which `params` were to be completed, and what came of it."""
    world = await World.made()
    template = contract_of("notes", "template", name="note://{id}", body={"uriTemplate": "note://{id}", "name": "any"})
    await world.contracts.observe("notes", [*advertised()["notes"], template])
    await world.pin("notes")

    async def answers(outgoing: Any) -> Any:
        return reply(completion={"values": ["a", "b"]})

    world.server.answers = answers
    said = await world.call(await world.task(), method="completion/complete", params=params, **more)
    assert isinstance(said, Released | Refusal)
    await world.holds()
    return world, said


GIVEN: dict[str, tuple[dict[str, Any], str]] = {
    "the beginning of an argument": ({"ref": PROMPT, "argument": {"name": "of", "value": "a"}}, "prompt:sum-up"),
    "nothing of it yet": ({"ref": PROMPT, "argument": {"name": "of", "value": ""}}, "prompt:sum-up"),
    "others before it": (
        {"ref": PROMPT, "argument": {"name": "of", "value": ""}, "context": {"arguments": {}}},
        "prompt:sum-up",
    ),
    "a variable of a template": ({"ref": TEMPLATE, "argument": {"name": "id", "value": "1"}}, "resource:note://{id}"),
}


@pytest.mark.holds("INV-03")
@pytest.mark.parametrize("params, target", GIVEN.values(), ids=GIVEN.keys())
async def test_what_is_completed_is_governed_and_sent_as_it_was_decided(params: dict[str, Any], target: str) -> None:
    world, said = await completed(params)
    assert isinstance(said, Released), said
    assert said.labels == ("untrusted",)
    [(_, outgoing)] = world.server.got
    assert (outgoing.method, bytes(outgoing.arguments)) == ("completion/complete", canonical(params))
    [intent] = await world.bodies(Intent)
    assert intent.asked.method == "completion/complete"
    assert f"{intent.asked.connector}/{intent.asked.name}".endswith(target.partition(":")[2])


REFUSED: dict[str, tuple[dict[str, Any], Reason]] = {
    "an argument the prompt does not have": (
        {"ref": PROMPT, "argument": {"name": "to", "value": ""}},
        Reason.SCHEMA_ARGUMENTS,
    ),
    "an earlier argument it does not have": (
        {"ref": PROMPT, "argument": {"name": "of", "value": ""}, "context": {"arguments": {"to": "a"}}},
        Reason.SCHEMA_ARGUMENTS,
    ),
    "an earlier argument that is no text": (
        {"ref": PROMPT, "argument": {"name": "of", "value": ""}, "context": {"arguments": {"of2": 1}}},
        Reason.SCHEMA_ARGUMENTS,
    ),
    "a prompt nobody has": (
        {"ref": {"type": "ref/prompt", "name": "other"}, "argument": {"name": "of", "value": ""}},
        Reason.SCHEMA_UNKNOWN,
    ),
    "a template out of scope, which looks like none": (
        {"ref": {"type": "ref/resource", "uri": "secret://{id}"}, "argument": {"name": "id", "value": ""}},
        Reason.SCHEMA_UNKNOWN,
    ),
    "a reference to a tool": (
        {"ref": {"type": "ref/tool", "name": "read"}, "argument": {"name": "path", "value": ""}},
        Reason.CALL_MALFORMED,
    ),
    "no reference": ({"argument": {"name": "of", "value": ""}}, Reason.CALL_MALFORMED),
    "a reference without a name": (
        {"ref": {"type": "ref/prompt"}, "argument": {"name": "of", "value": ""}},
        Reason.CALL_NAME,
    ),
    "no argument": ({"ref": PROMPT}, Reason.CALL_MALFORMED),
    "an argument without a value": ({"ref": PROMPT, "argument": {"name": "of"}}, Reason.CALL_MALFORMED),
    "an argument that is no object": ({"ref": PROMPT, "argument": "of"}, Reason.CALL_MALFORMED),
    "a context that is no object": (
        {"ref": PROMPT, "argument": {"name": "of", "value": ""}, "context": []},
        Reason.CALL_MALFORMED,
    ),
    "more than a completion has": (
        {"ref": PROMPT, "argument": {"name": "of", "value": ""}, "inputResponses": {}},
        Reason.CALL_MALFORMED,
    ),
    "a Cedar escape": (
        {"ref": PROMPT, "argument": {"name": "of", "value": ""}, "context": {"arguments": {"__extn": "a"}}},
        Reason.CALL_ESCAPE,
    ),
}


@pytest.mark.parametrize("params, reason", REFUSED.values(), ids=REFUSED.keys())
async def test_what_cannot_be_completed_is_refused_and_never_sent(params: dict[str, Any], reason: Reason) -> None:
    world, said = await completed(params)
    assert isinstance(said, Refusal)
    assert said.reason is reason
    assert world.server.got == []


async def test_templates_are_completed_at_their_connectors_own_endpoint() -> None:
    _, said = await completed({"ref": TEMPLATE, "argument": {"name": "id", "value": ""}}, connector=None)
    assert isinstance(said, Refusal)
    assert said.reason is Reason.CALL_METHOD


async def test_at_the_aggregate_the_server_is_asked_by_its_own_name() -> None:
    url = "http://127.0.0.1:8700/mcp"
    params = {"ref": {"type": "ref/prompt", "name": "notes/sum-up"}, "argument": {"name": "of", "value": ""}}
    world = await World.made()
    said = await world.call(
        await world.task(),
        method="completion/complete",
        params=params,
        connector=None,
        audience=url,
        token=world.token(audience=url),
    )
    assert isinstance(said, Released), said
    [(_, outgoing)] = world.server.got
    assert msgspec.json.decode(outgoing.arguments)["ref"]["name"] == "sum-up"


RECALLED: dict[str, tuple[str, dict[str, Any]]] = {
    "a prompt's completion": ("completion/complete", {"ref": PROMPT, "argument": {"name": "of", "value": "a"}}),
    "a template's completion": ("completion/complete", {"ref": TEMPLATE, "argument": {"name": "id", "value": "1"}}),
    "a resource": ("resources/read", {"uri": "note://1"}),
    "a prompt": ("prompts/get", {"name": "sum-up", "arguments": {"of": "x"}}),
    "a tool": ("tools/call", {"name": "read", "arguments": {"path": "a"}}),
}


@pytest.mark.holds("LEDGER-EXPLAIN")
@pytest.mark.parametrize("method, params", RECALLED.values(), ids=RECALLED.keys())
def test_a_call_is_recalled_from_what_lies_beside_its_receipt(method: Any, params: dict[str, Any]) -> None:
    ask = Ask(method=method, params=params, token=None, audience="", connector="notes")
    call = decode(ask, "")
    again = recalled(method, "notes", name=call.name, kept={"arguments": bytes(call.canonical)})
    assert again == call


def test_answers_and_what_they_answer_are_recalled_too() -> None:
    about = Round(call="c", digest="d", principal="p", expires=0, asked={"a": "roots/list"}, questions="sha256:q")
    params = {"name": "read", "arguments": {"path": "a"}, "inputResponses": {"a": {"roots": []}}}
    call = decode(Ask(method="tools/call", params=params, token=None, audience="", connector="notes", round=about), "")
    kept = {"arguments": bytes(call.canonical), "answers": bytes(call.answers or b""), "questions": b"sha256:q"}
    again = recalled("tools/call", "notes", name="read", kept=kept)
    assert call_digest(again, task="t", contract="k") == call_digest(call, task="t", contract="k")
