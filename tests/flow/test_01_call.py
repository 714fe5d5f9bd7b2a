"""Step 1: what exactly is asked?"""

from typing import Any

import pytest
from msgspec import Raw

from remit.answer import Refusal, Released
from remit.call import Call, call_digest
from remit.canonical import canonical, digest_of, parse
from remit.edge.mcp.governed import Governed
from remit.ledger.receipt import Denial, Noise
from remit.limits import ARGUMENTS_BYTES_MAX, DEPTH_MAX, INTEGER_MAX
from remit.reasons import Denied, Reason
from tests.world import CATALOGUE, World

_DEEP = b"[" * (DEPTH_MAX + 1) + b"]" * (DEPTH_MAX + 1)

BYTES: dict[str, tuple[bytes, Reason]] = {
    "duplicate key": (b'{"path": "a", "path": "b"}', Reason.CALL_DUPLICATE_KEY),
    "duplicate key, escaped": (b'{"path": "a", "p\\u0061th": "b"}', Reason.CALL_DUPLICATE_KEY),
    "duplicate key, deep inside": (b'{"a": [{"b": 1, "b": 1}]}', Reason.CALL_DUPLICATE_KEY),
    "nested too deeply": (_DEEP, Reason.CALL_TOO_DEEP),
    "NaN": (b'{"path": NaN}', Reason.CALL_MALFORMED),
    "infinity": (b'{"path": -Infinity}', Reason.CALL_MALFORMED),
    "not UTF-8": (b'{"path": "\xff"}', Reason.CALL_MALFORMED),
    "byte order mark": (b'\xef\xbb\xbf{"path": "a"}', Reason.CALL_MALFORMED),
    "something after": (b'{"path": "a"} {}', Reason.CALL_MALFORMED),
    "single quotes": (b"{'path': 'a'}", Reason.CALL_MALFORMED),
    "control character": (b'{"path": "a\nb"}', Reason.CALL_MALFORMED),
    "a million digits": (b'{"times": ' + b"9" * 1_000_000 + b"}", Reason.CALL_INTEGER_UNSAFE),
    "one past the safe integers": (b'{"times": %d}' % (INTEGER_MAX + 1), Reason.CALL_INTEGER_UNSAFE),
    "a float past the safe integers": (b'{"times": 9007199254740993.0}', Reason.CALL_INTEGER_UNSAFE),
}


@pytest.mark.parametrize("data, reason", BYTES.values(), ids=BYTES.keys())
@pytest.mark.holds("INPUT-KEYS", "INPUT-DEPTH", "INPUT-NUMBER")
def test_what_two_parsers_could_read_differently_is_not_read_at_all(data: bytes, reason: Reason) -> None:
    with pytest.raises(Denied) as no:
        parse(data)
    assert no.value.reason is reason


PARAMS: dict[str, tuple[Any, Reason]] = {
    "no object": ([], Reason.CALL_MALFORMED),
    "no name": ({"arguments": {}}, Reason.CALL_NAME),
    "a name that is no string": ({"name": 1}, Reason.CALL_NAME),
    "an unknown member": ({"name": "read", "task": "t"}, Reason.CALL_MALFORMED),
    "arguments in a list": ({"name": "read", "arguments": ["a"]}, Reason.CALL_MALFORMED),
    "a Cedar entity": ({"name": "read", "arguments": {"path": {"__entity": {}}}}, Reason.CALL_ESCAPE),
    "a Cedar extension in a list": ({"name": "read", "arguments": {"path": [{"__extn": {}}]}}, Reason.CALL_ESCAPE),
    "a lone surrogate": ({"name": "read", "arguments": {"path": "\ud800"}}, Reason.CALL_MALFORMED),
    "a lone surrogate in a key": ({"name": "read", "arguments": {"\udfff": ""}}, Reason.CALL_MALFORMED),
    "a huge number": ({"name": "read", "arguments": {"path": float("inf")}}, Reason.CALL_MALFORMED),
    "a string of a megabyte": (
        {"name": "read", "arguments": {"path": "a" * ARGUMENTS_BYTES_MAX}},
        Reason.CALL_TOO_LARGE,
    ),
    "a Cyrillic letter": ({"name": "re\u0430d", "arguments": {}}, Reason.CALL_NAME),
    "a full-width letter": ({"name": "\uff52ead", "arguments": {}}, Reason.CALL_NAME),
    "a space at the end": ({"name": "read ", "arguments": {}}, Reason.CALL_NAME),
    "a line break": ({"name": "read\n", "arguments": {}}, Reason.CALL_NAME),
    "a null byte": ({"name": "read\0", "arguments": {}}, Reason.CALL_NAME),
    "a colon, as prompts and resources have": ({"name": "prompt:sum-up", "arguments": {}}, Reason.CALL_NAME),
    "a very long name": ({"name": "r" * 257, "arguments": {}}, Reason.CALL_NAME),
}


@pytest.mark.parametrize("params, reason", PARAMS.values(), ids=PARAMS.keys())
@pytest.mark.holds("INPUT-ESCAPE", "INPUT-TEXT", "INPUT-SIZE", "INPUT-NAME")
async def test_what_is_no_call_is_refused_recorded_and_never_sent(params: Any, reason: Reason) -> None:
    world = await World.made()
    task = await world.task()

    said = await world.call(task, params=params)

    assert isinstance(said, Refusal)
    assert said.reason is reason
    assert world.server.got == []
    assert [denial.reason for denial in await world.bodies(Denial)] == [reason]
    await world.holds()


@pytest.mark.holds("INPUT-METHOD")
@pytest.mark.parametrize("method", ["tools/list", "sampling/createMessage", "TOOLS/CALL", "tools/call ", ""])
async def test_a_method_outside_the_closed_list_is_refused(method: str) -> None:
    world = await World.made()
    said = await world.call(await world.task(), method=method)
    assert isinstance(said, Refusal)
    assert said.reason is Reason.CALL_METHOD
    await world.holds()


@pytest.mark.holds("LIMIT-NOISE")
async def test_what_nobody_signed_is_counted_and_not_recorded_one_by_one() -> None:
    world = await World.made()
    before = len(await world.receipts())

    for _ in range(50):
        await world.call(None, params=[], token="not a token")
        await world.call(None, token=None)
    assert len(await world.receipts()) == before

    world.now += 60_000
    await world.recorder.flush()

    [noise] = await world.bodies(Noise)
    assert noise.counts == {Reason.CALL_MALFORMED: 50, Reason.IDENTITY_MISSING: 50}
    await world.holds()


@pytest.mark.holds("INPUT-NUMBER")
async def test_one_point_zero_is_the_integer_one_before_anybody_looks() -> None:
    world = await World.made()
    task = await world.task(purpose="upkeep")

    said = await world.call(task, "add", arguments={"path": "a", "times": 1.0})

    assert isinstance(said, Released)
    assert bytes(world.server.got[0][1].arguments) == b'{"path":"a","times":1}'
    await world.holds()


async def test_on_the_aggregate_endpoint_the_name_says_which_connector() -> None:
    world = await World.made()
    task = await world.task()
    params = {"name": "notes/read", "arguments": {"path": "a"}}

    said = await world.call(task, params=params, connector=None)

    assert isinstance(said, Released)
    assert world.server.got[0][0].connector == "notes"
    await world.holds()


@pytest.mark.parametrize("name", ["../notes/read", "notes//read", "Notes/read", "/read", "read", "notes/../vault/read"])
@pytest.mark.holds("INPUT-NAME")
async def test_path_tricks_in_a_name_reach_nothing(name: str) -> None:
    world = await World.made()
    task = await world.task(purpose="upkeep")
    said = await world.call(task, params={"name": name, "arguments": {"path": "a"}}, connector=None)
    assert isinstance(said, Refusal)
    assert world.server.got == []
    await world.holds()


@pytest.mark.holds("LIMIT-DENIALS", "LIMIT-RATE")
async def test_what_is_no_call_costs_its_sender_what_a_call_does() -> None:
    world = await World.made(CATALOGUE.replace("calls_per_second: 1000", "calls_per_second: 3"))
    task = await world.task()

    for number in range(50):
        await world.call(task, params={"name": "read", f"member-{number}": 1})
    world.now += 60_000
    await world.recorder.flush()

    assert [denial.reason for denial in await world.bodies(Denial)] == [Reason.CALL_MALFORMED] * 3
    assert [noise.counts for noise in await world.bodies(Noise)] == [{Reason.CALL_MALFORMED: 47}]
    await world.holds()


@pytest.mark.holds("LIMIT-DENIALS", "LIMIT-RATE")
async def test_what_the_door_refuses_costs_its_sender_what_a_call_does() -> None:
    world = await World.made(CATALOGUE.replace("calls_per_second: 1000", "calls_per_second: 3"))
    ask = world.ask(None)
    sender = await world.ports.authenticator.agent(ask.token, ask.audience)
    door = Governed(world.ports, dict)

    for number in range(50):
        await door.refused(Reason.CALL_METHOD, f"`method-{number}`", who=sender)

    assert len(await world.bodies(Denial)) == 3
    await world.holds()


async def test_resources_are_not_read_at_the_aggregate_endpoint() -> None:
    world = await World.made()
    said = await world.call(
        await world.task(), method="resources/read", params={"uri": "notes/note://1"}, connector=None
    )
    assert isinstance(said, Refusal)
    assert said.reason is Reason.CALL_METHOD
    assert world.server.got == []
    await world.holds()


@pytest.mark.parametrize("answers", [None, {"who": {"action": "accept", "content": {"a": "é"}}}])
@pytest.mark.parametrize("name", ["read", 'file:///a"b\\c', "x" * 40])
def test_the_digest_is_over_the_canonical_form_of_the_whole_call(answers: Any, name: str) -> None:
    arguments = {"ä": 1.5, "z": ["\u2028", {}], "a": None}
    call = Call(
        id="1",
        method="tools/call",
        kind="tool",
        connector="notes",
        name=name,
        arguments=arguments,
        shown=arguments,
        canonical=Raw(canonical(arguments)),
        meta={},
        answers=None if answers is None else Raw(canonical(answers)),
    )
    whole = {"task": "t", "method": "tools/call", "connector": "notes", "name": name, "contract": "sha256:0"}
    whole |= {"arguments": arguments} | ({} if answers is None else {"inputResponses": answers})
    assert call_digest(call, task="t", contract="sha256:0") == digest_of(whole)
