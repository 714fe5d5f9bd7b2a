"""What a server says while a call runs: passed on as the client asked for it, bounded, labelled, and on record."""

import asyncio
import hashlib
from typing import Any

import msgspec
import pytest

from remit import case as cases
from remit.answer import Released
from remit.call import Client
from remit.case import Case
from remit.forward.model import Outgoing, Reply
from remit.ledger.receipt import Outcome
from remit.limits import NOTE_BYTES_MAX
from remit.result import passing
from remit.result.note import LEVELS
from tests.world import World, reply

PROGRESS = ("notifications/progress", {"progressToken": 1, "progress": 0.5})
EAGER = Client(capabilities={"elicitation": {}}, log_level="", progress=True)
LABELLED = {"io.remit/labels": ("untrusted",)}


def log(level: str, data: Any = "a line") -> tuple[str, dict[str, Any]]:
    return "notifications/message", {"level": level, "data": data}


async def heard(world: World, *says: tuple[str, dict[str, Any]], client: Client = EAGER) -> list[tuple[str, Any]]:
    """What the client of a call hears of what the server says."""
    found: list[tuple[str, Any]] = []
    world.server.says = list(says)
    case = world.case(world.ask(await world.task(), speaks=client))
    case.hears = lambda method, params: found.append((method, params))
    assert isinstance(await world.carry(case), Released)
    return found


def plainly(params: dict[str, Any]) -> Any:
    return msgspec.json.decode(msgspec.json.encode(params))


@pytest.mark.holds("NOTE-RECORD", "INV-08")
async def test_what_is_passed_on_is_labelled_counted_and_its_digest_on_record() -> None:
    world = await World.made()
    says = [PROGRESS, log("info", {"a": [1, "é"]}), ("notifications/elicitation/complete", {"elicitationId": "e"})]

    found = await heard(world, *says)

    assert [method for method, _ in found] == [method for method, _ in says]
    assert [plainly(params) for _, params in found] == [
        {"progress": 0.5, "_meta": {"io.remit/labels": ["untrusted"]}},
        {"level": "info", "data": {"a": [1, "é"]}, "_meta": {"io.remit/labels": ["untrusted"]}},
        {"elicitationId": "e", "_meta": {"io.remit/labels": ["untrusted"]}},
    ]
    lines = b"".join(msgspec.json.encode(params) + b"\n" for _, params in says)
    [outcome] = await world.bodies(Outcome)
    assert (outcome.notes, outcome.notes_digest) == (3, f"sha256:{hashlib.sha256(lines).hexdigest()}")
    await world.holds()


async def test_where_nothing_was_said_nothing_is_on_record() -> None:
    world = await World.made()
    assert await heard(world) == []
    [outcome] = await world.bodies(Outcome)
    assert (outcome.notes, outcome.notes_digest) == (0, "")
    await world.holds()


@pytest.mark.holds("NOTE-ASKED")
@pytest.mark.parametrize(
    "client, says",
    [
        (Client(), PROGRESS),
        (Client(), log("emergency")),
        (Client(progress=True), log("emergency")),
        (Client(log_level=""), PROGRESS),
        (Client(progress=True), ("notifications/elicitation/complete", {"elicitationId": "e"})),
        (EAGER, ("notifications/tools/list_changed", {})),
        (EAGER, ("notifications/cancelled", {"requestId": 1})),
        (EAGER, ("tools/call", {"name": "read"})),
        (EAGER, log("loud")),
        (EAGER, ("notifications/message", {"data": "no level"})),
        (EAGER, ("notifications/message", {"level": 7})),
    ],
)
async def test_what_the_client_did_not_ask_for_is_dropped_and_not_counted(client: Client, says: Any) -> None:
    world = await World.made()
    assert await heard(world, says, client=client) == []
    [outcome] = await world.bodies(Outcome)
    assert (outcome.outcome, outcome.notes) == ("completed", 0)
    await world.holds()


@pytest.mark.holds("NOTE-ASKED")
@pytest.mark.parametrize("least", LEVELS)
def test_log_messages_less_severe_than_asked_for_are_dropped(least: str) -> None:
    raw = {level: msgspec.Raw(msgspec.json.encode(log(level)[1])) for level in LEVELS}
    passed = [level for level in LEVELS if passing("notifications/message", raw[level], client=Client(log_level=least))]
    assert passed == list(LEVELS[LEVELS.index(least) :])


@pytest.mark.holds("NOTE-RECORD")
async def test_beyond_the_bound_of_a_call_notes_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "NOTES_MAX", 3)
    world = await World.made()
    found = await heard(world, *[log("info", number) for number in range(5)])
    assert [params["data"] for _, params in found] == [msgspec.Raw(b"0"), msgspec.Raw(b"1"), msgspec.Raw(b"2")]
    [outcome] = await world.bodies(Outcome)
    assert outcome.notes == 3
    await world.holds()


@pytest.mark.holds("NOTE-RECORD")
async def test_a_note_that_is_too_large_is_dropped_alone() -> None:
    world = await World.made()
    found = await heard(world, log("info", "a" * NOTE_BYTES_MAX), log("info", "b"))
    assert [params["data"] for _, params in found] == [msgspec.Raw(b'"b"')]
    await world.holds()


@pytest.mark.parametrize(
    "params", [b"[]", b"7", b'{"level":"info","_meta":[]}', b'{"level":"info","a":' + b"[" * 5000 + b"]" * 5000 + b"}"]
)
def test_a_note_that_is_none_is_dropped(params: bytes) -> None:
    assert passing("notifications/message", msgspec.Raw(params), client=EAGER) is None
    assert passing("notifications/progress", msgspec.Raw(params), client=EAGER) is None


def test_what_a_server_says_in_the_gateways_name_is_left_out() -> None:
    meta = {"io.remit/labels": ["trusted"], "io.remit/decision": {}, "vendor/own": 1}
    found = passing(
        "notifications/progress", msgspec.Raw(msgspec.json.encode({"progress": 1, "_meta": meta})), client=EAGER
    )
    assert found == {"progress": msgspec.Raw(b"1"), "_meta": {"vendor/own": 1, **LABELLED}}


async def test_nobody_listening_nothing_is_counted() -> None:
    world = await World.made()
    world.server.says = [PROGRESS]
    assert isinstance(await world.call(await world.task(), speaks=EAGER), Released)
    [outcome] = await world.bodies(Outcome)
    assert outcome.notes == 0
    await world.holds()


@pytest.mark.holds("NOTE-RECORD")
async def test_what_is_said_after_the_answer_reaches_nobody() -> None:
    world = await World.made()
    found: list[str] = []
    case = world.case(world.ask(await world.task(), speaks=EAGER))
    case.hears = lambda method, params: found.append(method)

    await world.carry(case)
    case.told(PROGRESS[0], msgspec.Raw(msgspec.json.encode(PROGRESS[1])))

    assert (found, case.notes) == ([], 0)
    await world.holds()


async def test_what_was_heard_of_a_call_that_was_given_up_is_on_record_too() -> None:
    world = await World.made()

    async def never(outgoing: Outgoing) -> Reply:
        await asyncio.Event().wait()
        return reply()

    world.server.answers, world.server.says = never, [PROGRESS]
    case: Case = world.case(world.ask(await world.task(), speaks=EAGER))
    case.hears = lambda method, params: None
    running = asyncio.create_task(world.carry(case))
    await world.server.arrived.acquire()
    case.cancel()
    await running
    [outcome] = await world.bodies(Outcome)
    assert (outcome.outcome, outcome.notes) == ("cancelled_unknown", 1)
    await world.holds()
