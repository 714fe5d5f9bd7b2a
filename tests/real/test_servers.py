"""Published servers behind a real gateway, through published clients: what comes back is what the server said.

Each request is made twice: through the gateway, and to the same server directly, each with a copy of the data of its
own. The answers are compared whole; what has to be refused is refused, and the server is not asked. The ledger says the
same of each, and verifies.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from remit.ledger.receipt import Denial, Intent, Outcome
from tests.real.clients import OLD_PYTHON, Place, directly, through
from tests.real.servers import MISSING, NPM_SERVERS, PYPI, SERVERS, Side, Step

pytestmark = [pytest.mark.slow, pytest.mark.real]

# How an agent reaches the gateway: over which transport, with which client in which generation.
MODES = ("auto", "legacy", "2026-07-28", "1.30")
CLIENTS = tuple(f"{transport}-{mode}" for transport in ("http", "bridge") for mode in MODES)


def _marked(name: str) -> Any:
    return pytest.param(name, marks=[pytest.mark.skip(reason=MISSING[name])] if name in MISSING else [])


@pytest.mark.holds("WIRE-REAL", "WIRE-REVISIONS", "WIRE-UPSTREAM", "INV-03", "INV-08", "INPUT-SCHEMA")
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("connector", [_marked(name) for name in (*PYPI, *NPM_SERVERS)])
async def test_a_published_server_says_through_the_gateway_what_it_says_directly(
    place: Place, connector: str, client: str
) -> None:
    if client.endswith("1.30") and not OLD_PYTHON:
        pytest.skip("no client 1.30: set REMIT_MCP130 to the Python of an environment with `mcp==1.30.*`")
    who = client.replace(".", "")
    steps = SERVERS[connector].steps
    passing = [step for step in steps if not step.refused]
    told = await directly(place, connector, [step.by(who, place.direct) for step in passing])
    task = place.house.open(purpose="work")
    heard = await through(place, connector, client, task=task, steps=[step.by(who, place.via) for step in steps])
    place.house.door.post(f"/v1/tasks/{task}/complete", {})
    contracts = {tool["name"]: _contract(tool, place.direct) for tool in told.tools}
    listed = {tool["name"]: _contract(tool, place.via) for tool in heard.tools}
    assert listed == {name: contracts[name] for name in listed}
    assert {step.name for step in passing if step.kind == "tool"} <= listed.keys()
    answers = iter(told.answers)
    for step, answer in zip(steps, heard.answers, strict=True):
        _compare(step, answer, place, answers)
    recorded, revisions = _recorded(place, task)
    assert recorded == [_expected(step, place.via) for step in steps]
    # A server of both generations is spoken to in the client's own.
    keeps_a_session = client.endswith(("legacy", "1.30"))
    newest = SERVERS[connector].revision
    assert revisions == {min(newest, "2025-11-25") if keeps_a_session else newest}


def _compare(step: Step, answer: dict[str, Any], place: Place, direct: Iterator[dict[str, Any]]) -> None:
    if step.refused:
        assert answer["isError"], step
        assert answer["_meta"]["io.remit/decision"]["reason"] == step.refused
        assert answer["content"][0]["text"].startswith("Refused: ")
    else:
        assert _said(answer, place.via) == _said(next(direct), place.direct)
        meta = answer["error"]["data"] if "error" in answer else answer["_meta"]
        assert meta["io.remit/labels"] == ["untrusted"]


def _said(answer: dict[str, Any], side: Side) -> Any:
    """What an answer says, wherever its data lies: without what each protocol generation wraps around it."""
    kept = {key: answer[key] for key in ("content", "structuredContent", "contents", "messages") if key in answer}
    wrong = answer.get("error", {})
    told = [kept, answer.get("isError", False), wrong.get("code"), wrong.get("message")]
    return json.loads(json.dumps(told).replace(str(side.here), "HERE"))


def _contract(tool: dict[str, Any], side: Side) -> Any:
    kept = {key: tool[key] for key in ("name", "title", "description", "inputSchema") if key in tool}
    return json.loads(json.dumps(kept).replace(str(side.here), "HERE"))


def _recorded(place: Place, task: str) -> tuple[list[tuple[str, str]], set[str]]:
    """What the verified ledger says of each call of a task: its name, and how it ended or why it was refused; and the
    protocol revisions its servers answered in.
    """
    found: dict[str, tuple[str, str]] = {}
    revisions = set()
    for receipt in place.house.record().receipts:
        match receipt.body:
            case Intent(asked=asked) | Denial(asked=asked) if receipt.task == task:
                found[asked.call] = asked.name, getattr(receipt.body, "reason", "")
            case Outcome(call=call, outcome=outcome, upstream=upstream) if receipt.task == task:
                found[call] = found[call][0], outcome
                revisions.add(upstream.split()[-1])
    return list(found.values()), revisions


def _expected(step: Step, side: Side) -> tuple[str, str]:
    """What is shown as unknown stands in the record as what it is: out of the task's scope."""
    shown = "task.scope" if step.refused == "schema.unknown" else step.refused
    return side.fill(step.name), step.recorded or shown or "completed"
