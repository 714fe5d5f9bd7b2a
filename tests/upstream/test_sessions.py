"""Which session a call goes through, and when sessions end."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from remit.catalogue.model import Contract
from remit.edge.upstream.sessions import Pace, Sessions
from remit.errors import StoreFault, UpstreamFault
from remit.reasons import Denied, Reason
from tests.upstream.http_server import Recorder
from tests.upstream.simulated import Gateway


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    """A server that gives each session an id of its own, so that sessions can be counted."""
    server = Recorder("legacy")
    await server.start()
    yield server
    await server.stop()


async def web(gateway: Gateway, recorder: Recorder, **row: Any) -> Gateway:
    gateway.declare("web", url=recorder.url, **row)
    await gateway.pin("web")
    return gateway


@pytest.mark.parametrize("stateless, sessions", [(False, 3), (True, 1)])
async def test_a_session_belongs_to_an_agent_and_task_unless_the_server_is_stateless(
    gateway: Gateway, recorder: Recorder, stateless: bool, sessions: int
) -> None:
    await web(gateway, recorder, stateless=stateless)
    for who in ("ada/t1", "ada/t2", "bob/t3", "ada/t1"):
        await gateway.call("web/echo", who=who)
    assert len({call.header("Mcp-Session-Id")[0] for call in recorder.calls()}) == sessions


async def test_many_first_calls_open_one_session(gateway: Gateway, recorder: Recorder) -> None:
    await web(gateway, recorder)
    opened = len(recorder.calls("initialize"))
    await asyncio.gather(*(gateway.call("web/echo") for _ in range(20)))
    assert len(recorder.calls("initialize")) == opened + 1
    assert len(recorder.calls()) == 20


async def test_a_caller_that_gives_up_while_a_session_opens_leaves_it_to_the_others(
    gateway: Gateway, recorder: Recorder
) -> None:
    await web(gateway, recorder)
    first, second = (asyncio.ensure_future(gateway.call("web/echo")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).error is None
    assert len(recorder.calls()) == 1


@pytest.mark.parametrize("what", [{"task": "t1"}, {"agent": "ada"}, {"connector": "web"}])
async def test_ending_ends_what_was_named_and_nothing_else(
    gateway: Gateway, recorder: Recorder, what: dict[str, str]
) -> None:
    await web(gateway, recorder)
    await gateway.call("web/echo", who="ada/t1")
    await gateway.call("web/echo", who="bob/t2")
    await gateway.sessions.end(**what)
    assert len(recorder.sessions) == (0 if "connector" in what else 1)


@pytest.mark.holds("INV-10", "INV-05-END")
@pytest.mark.parametrize("what", [{"task": "t1"}, {"agent": "ada"}, {"connector": "web"}])
async def test_a_call_committed_before_the_end_and_arriving_after_it_is_not_sent(
    gateway: Gateway, recorder: Recorder, what: dict[str, Any]
) -> None:
    await web(gateway, recorder)
    await gateway.sessions.end(**what, before=40)
    with pytest.raises(UpstreamFault) as fault:
        await gateway.call("web/echo", intent=39)
    assert not fault.value.sent
    assert recorder.calls() == []
    await gateway.call("web/echo", intent=41)
    assert len(recorder.calls()) == 1


async def test_ending_nothing_in_particular_ends_nothing(gateway: Gateway, recorder: Recorder) -> None:
    await web(gateway, recorder)
    await gateway.call("web/echo")
    await gateway.sessions.end()
    assert len(recorder.sessions) == 1


async def test_a_session_that_ends_while_it_opens_sends_nothing(gateway: Gateway, recorder: Recorder) -> None:
    await web(gateway, recorder)
    waiting = asyncio.ensure_future(gateway.call("web/echo"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await gateway.sessions.end(task="t1")
    with pytest.raises(UpstreamFault) as fault:
        await waiting
    assert not fault.value.sent
    assert recorder.calls() == []


async def test_a_session_nobody_uses_is_closed(gateways: Any, recorder: Recorder) -> None:
    gateway = await web(gateways(pace=Pace(idle_s=0.1)), recorder)
    await gateway.call("web/echo")
    async with asyncio.timeout(10):
        while recorder.sessions:  # noqa: ASYNC110 - the recorder is a set
            await asyncio.sleep(0.02)
    await gateway.call("web/echo")


async def test_a_session_in_use_is_not_idle(gateways: Any, recorder: Recorder) -> None:
    gateway = await web(gateways(pace=Pace(idle_s=0.1)), recorder)
    with pytest.raises(UpstreamFault) as fault:
        await gateway.call("web/hang", timeout_s=1)
    assert fault.value.why == "timeout"


async def test_a_connector_declared_otherwise_gets_a_new_session(gateway: Gateway, recorder: Recorder) -> None:
    await web(gateway, recorder)
    await gateway.call("web/echo")
    moved = Recorder("modern")
    await moved.start()
    gateway.declare("web", url=moved.url)
    await gateway.call("web/echo")
    assert (len(recorder.calls()), len(moved.calls())) == (1, 1)
    await moved.stop()


async def test_nothing_is_forwarded_once_closed(gateway: Gateway, recorder: Recorder) -> None:
    await web(gateway, recorder)
    await gateway.sessions.close()
    with pytest.raises(UpstreamFault, match="shutting down") as fault:
        await gateway.call("web/echo")
    assert not fault.value.sent


async def test_an_unknown_connector_is_denied_by_the_catalogue(gateway: Gateway) -> None:
    with pytest.raises(Denied) as no:
        await gateway.sessions.advertised("nowhere")
    assert no.value.reason == Reason.TASK_SCOPE


async def test_a_connector_without_any_address_is_not_reached(gateway: Gateway) -> None:
    gateway.declare("web")
    with pytest.raises(UpstreamFault, match="neither") as fault:
        await gateway.sessions.advertised("web")
    assert not fault.value.sent


@pytest.mark.holds("INV-12")
async def test_without_a_pinned_server_contract_nothing_is_called(gateway: Gateway, recorder: Recorder) -> None:
    await web(gateway, recorder)
    del gateway.pins["web/server/server"]
    with pytest.raises(Denied) as no:
        await gateway.call("web/echo")
    assert no.value.reason == Reason.SCHEMA_QUARANTINED
    assert recorder.calls() == []


@pytest.mark.holds("CATALOGUE-PIN")
async def test_a_pin_the_server_no_longer_offers_is_not_called(gateway: Gateway, recorder: Recorder) -> None:
    await web(gateway, recorder)
    recorder.tools.pop()
    with pytest.raises(Denied):
        await gateway.call("web/echo")
    assert recorder.calls() == []


async def test_whoever_watches_contracts_is_told_before_the_first_call(gateway: Gateway, recorder: Recorder) -> None:
    await web(gateway, recorder)
    told = len(gateway.told)
    await gateway.call("web/echo")
    await gateway.call("web/echo")
    assert len(gateway.told) == told + 1
    assert [one.kind for one in gateway.told[-1][1]][:2] == ["server", "tool"]


@pytest.mark.parametrize("trouble", [StoreFault("no store"), ValueError("a bug")])
async def test_a_watcher_in_trouble_refuses_the_call_every_time(
    tmp_path: Path, gateway: Gateway, recorder: Recorder, trouble: Exception
) -> None:
    await web(gateway, recorder)

    async def watch(connector: str, contracts: Sequence[Contract]) -> None:
        raise trouble

    sessions = gateway.sessions
    gateway.sessions = Sessions(sessions._known, watch, logs=tmp_path)
    for _ in range(2):
        with pytest.raises(UpstreamFault) as fault:
            await gateway.call("web/echo")
        assert not fault.value.sent
    assert recorder.calls() == []
    await gateway.sessions.close()
    gateway.sessions = sessions


async def test_a_watcher_may_end_the_session_it_is_told_of(
    tmp_path: Path, gateway: Gateway, recorder: Recorder
) -> None:
    await web(gateway, recorder)

    async def watch(connector: str, contracts: Sequence[Contract]) -> None:
        await sessions.end(connector=connector)

    before = gateway.sessions
    sessions = gateway.sessions = Sessions(before._known, watch, logs=tmp_path)
    with pytest.raises(UpstreamFault, match="was ended") as fault:
        await gateway.call("web/echo")
    assert not fault.value.sent
    await sessions.close()
    gateway.sessions = before


async def test_looking_leaves_no_session_behind(gateway: Gateway, recorder: Recorder) -> None:
    await web(gateway, recorder)
    assert recorder.sessions == set()


async def test_replies_are_the_bytes_that_came(gateway: Gateway, recorder: Recorder) -> None:
    await web(gateway, recorder)
    reply = await gateway.call("web/echo", {"b": 1, "a": 2})
    assert reply.result is not None
    assert bytes(reply.result) == b'{"content": [], "structuredContent": {"arguments": {"a": 2, "b": 1}}}'
    assert reply.received > len(bytes(reply.result))
    assert msgspec.json.decode(reply.result)["content"] == []
