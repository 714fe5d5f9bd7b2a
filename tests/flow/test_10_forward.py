"""Step 10: what exactly goes out?"""

import asyncio

import pytest

from remit.answer import Refusal, Released
from remit.errors import Conflict
from remit.forward.model import Outgoing, Reply
from remit.ledger.receipt import Outcome
from remit.reasons import Denied, Reason
from tests.world import World


@pytest.mark.holds("INV-03")
async def test_the_bytes_sent_are_the_bytes_decided_whatever_the_caller_wrote() -> None:
    world = await World.made()
    task = await world.task(purpose="upkeep")
    spelt = {"text": "\u00e9\u2028", "path": "b", "times": 10.0}

    await world.call(task, "add", arguments=spelt)

    [(warrant, outgoing)] = world.server.got
    assert bytes(outgoing.arguments) == '{"path":"b","text":"\u00e9\u2028","times":10}'.encode()
    [kept] = [value for value in await world.store.values(warrant.intent) if value.name == "digest"]
    assert kept.data == warrant.digest.encode()
    await world.holds()


@pytest.mark.holds("INV-03-ALLOW")
async def test_of_the_callers_meta_only_what_is_listed_goes_out() -> None:
    world = await World.made()
    meta = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "x" * 513,
        "progressToken": 1,
        "io.modelcontextprotocol/clientInfo": {"name": "evil"},
        "authorization": "Bearer secret",
        "anything": {"else": True},
    }
    await world.call(await world.task(), params={"name": "read", "arguments": {"path": "a"}, "_meta": meta})
    assert world.server.got[0][1].meta == {"traceparent": meta["traceparent"]}
    await world.holds()


@pytest.mark.parametrize(
    "sent, why, reason",
    [
        (False, "unreachable", Reason.UPSTREAM_UNREACHABLE),
        (True, "died", Reason.UPSTREAM_DIED),
        (True, "timeout", Reason.UPSTREAM_TIMEOUT),
        (True, "protocol", Reason.UPSTREAM_PROTOCOL),
    ],
)
async def test_a_fault_says_whether_the_call_may_have_taken_effect(sent: bool, why: str, reason: Reason) -> None:
    world = await World.made()
    world.server.answers = world.fails(sent=sent, why=why)
    said = await world.call(await world.task())
    assert isinstance(said, Refusal)
    assert said.reason is reason
    [outcome] = await world.bodies(Outcome)
    assert (outcome.outcome, outcome.reason) == ("unknown" if sent else "not_sent", reason)
    await world.holds()


async def test_a_session_that_refuses_before_sending_is_not_sent() -> None:
    world = await World.made()

    async def refused(outgoing: Outgoing) -> Reply:
        raise Denied(Reason.SCHEMA_QUARANTINED, "this server advertises something else")

    world.server.answers = refused
    said = await world.call(await world.task())
    assert isinstance(said, Refusal)
    assert said.reason is Reason.SCHEMA_QUARANTINED
    [outcome] = await world.bodies(Outcome)
    assert outcome.outcome == "not_sent"
    await world.holds()


@pytest.mark.parametrize("when", ["before", "while"])
async def test_a_client_that_goes_away_leaves_an_outcome_all_the_same(when: str) -> None:
    world = await World.made()
    task = await world.task()

    async def never(outgoing: Outgoing) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    world.server.answers = never
    case = world.case(world.ask(task))
    if when == "before":
        case.cancel()
    running = asyncio.create_task(world.carry(case))
    if when == "while":
        await world.server.arrived.acquire()
    case.cancel()
    said = await running

    assert isinstance(said, Refusal)
    assert said.reason is Reason.CANCELLED
    assert not running.cancelling(), "only the forwarding was to end"
    [outcome] = await world.bodies(Outcome)
    assert outcome.outcome == "cancelled_unknown"
    world.server.answers = world.server._done
    assert isinstance(await world.call(task), Released)
    await world.holds()


async def test_a_fault_of_our_own_on_the_way_leaves_an_outcome_too() -> None:
    world = await World.made()
    task = await world.task()

    async def broken(outgoing: Outgoing) -> Reply:
        raise Conflict("something moved")

    world.server.answers = broken
    said = await world.call(task)

    assert isinstance(said, Refusal)
    assert said.reason is Reason.GATEWAY_FAULT
    [outcome] = await world.bodies(Outcome)
    assert outcome.outcome == "unknown"
    await world.holds()
