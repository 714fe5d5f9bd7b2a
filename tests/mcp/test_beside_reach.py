"""Nothing is told of a connector, nor heard at it, where nothing of it is within the caller's reach."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from remit.call import Client
from remit.edge.mcp.hub import Hub, Listener
from remit.forward.facts import Aside
from tests.mcp.conftest import Door, legacy, plain

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOG = ("notifications/message", {"level": "info", "data": "what somebody asked"})
CHANGED = ("notifications/tools/list_changed", {})
UPDATED = ("notifications/resources/updated", {"uri": "note://1"})
OPENING = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


class Attending:
    async def attend(self, connector: str, agent: str) -> None:
        pass

    async def leave(self, connector: str, agent: str, uris: Iterable[str] = ()) -> None:
        pass


async def heard(hub: Hub, agent: str, *, reaches: bool = True) -> list[str]:
    """The methods one listener hears, as they come."""
    found: list[str] = []

    def say(method: str, params: Mapping[str, Any]) -> None:
        found.append(method)

    listener = Listener(agent, "notes", kinds={"tools"}, uris={"note://1"}, say=say)
    listener.speaks = Client(log_level="")
    listener.reaches = reaches
    await hub.join(listener, Attending())
    return found


def say_all(hub: Hub, agent: str) -> None:
    for method, params in (LOG, CHANGED, UPDATED):
        hub.said(Aside("notes", agent, method, Raw(msgspec.json.encode(params))))


@pytest.mark.holds("INV-12")
async def test_a_log_message_of_a_session_that_all_share_is_nobodys_to_hear() -> None:
    hub = Hub()
    ada, bob = await heard(hub, "ada"), await heard(hub, "bob")
    say_all(hub, "")
    assert ada == bob == [CHANGED[0], UPDATED[0]]


async def test_what_an_agents_own_session_says_only_that_agent_hears() -> None:
    hub = Hub()
    ada, bob = await heard(hub, "ada"), await heard(hub, "bob")
    say_all(hub, "ada")
    assert (ada, bob) == ([LOG[0], CHANGED[0], UPDATED[0]], [])


@pytest.mark.holds("INV-12")
@pytest.mark.parametrize("agent", ["", "ada"])
async def test_who_reaches_nothing_hears_nothing(agent: str) -> None:
    hub = Hub()
    found = await heard(hub, "ada", reaches=False)
    say_all(hub, agent)
    assert found == []


async def test_what_comes_within_reach_are_changed_lists() -> None:
    said: list[str] = []
    listener = Listener(
        "ada", "notes", kinds={"tools", "prompts"}, uris=set(), say=lambda method, _: said.append(method)
    )
    for reaches in (False, True, True, False):
        listener.sees(reaches)
    assert said == ["notifications/prompts/list_changed", "notifications/tools/list_changed"]


@pytest.mark.holds("INV-12")
@pytest.mark.parametrize("offered", [{"tools": {}, "logging": {}}, {"resources": {"subscribe": True}}, {}])
async def test_what_a_server_can_do_is_told_only_within_reach(door: Door, offered: dict[str, Any]) -> None:
    door.backend.offered = offered
    bodies = {}
    for connector in ("notes", "vault", "nowhere"):
        path = f"/mcp/{connector}"
        opened = (await door.send(legacy("initialize", OPENING), plain(), path=path))[2]
        discovered = (await door.modern("server/discover", path=path))[2]
        bodies[connector] = [opened["result"]["capabilities"], discovered["result"]["capabilities"]]
    # Out of reach and not there are alike; within reach it is the server's own word.
    assert bodies["vault"] == bodies["nowhere"] != bodies["notes"]


async def test_when_something_ends_every_listener_looks_whether_it_still_may() -> None:
    hub = Hub()
    listener = Listener("ada", None, kinds=(), uris=set(), say=lambda method, params: None)
    await hub.join(listener, Attending())
    assert not listener.moved.is_set()
    hub.look()
    assert listener.moved.is_set()
