"""What is asked of a server about an operation: in the session its call went through, and no further than allowed."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from remit.call import Client
from remit.errors import UpstreamFault
from remit.forward import upkeep
from remit.forward.model import NOBODY, Committed, Reply
from remit.reasons import Denied, Reason
from tests.upstream.http_server import Recorder
from tests.upstream.simulated import Gateway

CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
DECLARED = {"io.modelcontextprotocol/tasks": {}}


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    server = Recorder("modern")
    await server.start()
    yield server
    await server.stop()


async def tend(gateway: Gateway, does: str, target: str = "web/echo", *, intent: int = 1) -> Reply:
    connector, _, name = target.partition("/")
    outgoing = upkeep(f"tasks/{does}", name, operation="their name", client=NOBODY)
    committed = Committed(connector=connector, agent="ada", task="t1", intent=intent)
    return await gateway.sessions.tend(committed, gateway.pins[f"{connector}/tool/{name}"], outgoing=outgoing)


async def web(gateway: Gateway, recorder: Recorder) -> None:
    gateway.declare("web", url=recorder.url)
    await gateway.pin("web")


@pytest.mark.parametrize("does", ["get", "cancel"])
async def test_a_server_is_asked_by_its_own_name_and_hears_that_operations_are_followed(
    gateway: Gateway, recorder: Recorder, does: str
) -> None:
    await web(gateway, recorder)
    await tend(gateway, does)
    (seen,) = recorder.calls(f"tasks/{does}")
    params = seen.message["params"]
    assert params.keys() == {"taskId", "_meta"}
    assert params["taskId"] == "their name"
    assert params["_meta"][CAPABILITIES] == {"extensions": DECLARED}
    assert seen.header("Mcp-Name") == ["their name"]
    assert seen.header("Mcp-Method") == [f"tasks/{does}"]


@pytest.mark.parametrize("follows", [True, False])
async def test_a_call_declares_the_extension_for_clients_that_do(
    gateway: Gateway, recorder: Recorder, follows: bool
) -> None:
    await web(gateway, recorder)
    await gateway.call("web/echo", client=Client(operations=follows, capabilities={"elicitation": {}}))
    (seen,) = recorder.calls()
    said: dict[str, Any] = seen.message["params"]["_meta"][CAPABILITIES]
    assert said == {"elicitation": {}} | ({"extensions": DECLARED} if follows else {})


@pytest.mark.holds("OPERATION-BOUND", "OPERATION-STOP")
async def test_what_has_ended_is_asked_nothing_and_told_to_stop(gateway: Gateway, recorder: Recorder) -> None:
    await web(gateway, recorder)
    await gateway.sessions.end(task="t1", before=40)
    with pytest.raises(UpstreamFault):
        await tend(gateway, "get", intent=39)
    await tend(gateway, "cancel", intent=39)
    assert (len(recorder.calls("tasks/get")), len(recorder.calls("tasks/cancel"))) == (0, 1)


@pytest.mark.holds("OPERATION-BOUND", "OPERATION-STOP")
async def test_a_server_that_is_not_what_was_reviewed_is_only_told_to_stop(
    gateway: Gateway, recorder: Recorder
) -> None:
    await web(gateway, recorder)
    recorder.tools = [{**tool, "description": "changed"} for tool in recorder.tools]
    with pytest.raises(Denied) as denied:
        await tend(gateway, "get")
    assert denied.value.reason is Reason.SCHEMA_QUARANTINED
    await tend(gateway, "cancel")
    assert (len(recorder.calls("tasks/get")), len(recorder.calls("tasks/cancel"))) == (0, 1)


async def test_no_server_is_started_only_to_stop_what_ended_with_it(gateway: Gateway) -> None:
    gateway.declare_stdio("tool", "modern")
    await gateway.pin("tool")
    with pytest.raises(UpstreamFault) as fault:
        await tend(gateway, "cancel", "tool/echo")
    assert not fault.value.sent
    assert gateway.left_over() == []


async def test_an_operation_is_asked_after_in_the_process_that_runs_it(gateways: Callable[..., Gateway]) -> None:
    """Also where its call opened the session before anybody knew of which generation the server is."""
    looked, gateway = gateways(), gateways()
    looked.declare_stdio("tool", "modern")
    await looked.pin("tool")
    gateway.rows, gateway.pins = looked.rows, looked.pins
    await gateway.call("tool/echo", client=Client(operations=True, capabilities={"elicitation": {}}))
    (first,) = looked.left_over()
    await tend(gateway, "get", "tool/echo")
    await gateway.call("tool/echo")
    assert looked.left_over() == [first]


async def test_a_server_that_is_of_the_older_generation_has_no_operations(gateway: Gateway) -> None:
    gateway.declare_stdio("tool")
    await gateway.pin("tool")
    with pytest.raises(Denied) as denied:
        await tend(gateway, "get", "tool/echo")
    assert denied.value.reason is Reason.CALL_OPERATION
