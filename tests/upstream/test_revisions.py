"""Every released revision of the protocol over every transport it can come by: handshake, list, call."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from remit.edge.upstream.params import LEGACY, MODERN
from remit.errors import UpstreamFault
from tests.upstream.http_server import Recorder
from tests.upstream.simulated import Gateway
from tests.upstream.sse_server import SseServer

RELEASED = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
WAYS = [*((way, revision) for way in ("stdio", "http") for revision in RELEASED), ("sse", "2024-11-05")]


def scripted(way: str, revision: str) -> Recorder | SseServer:
    if way == "sse":
        return SseServer(revision)
    return Recorder("modern" if revision == MODERN else "legacy", revision)


@pytest.fixture
async def server(request: pytest.FixtureRequest, gateway: Gateway) -> AsyncIterator[Recorder | SseServer | None]:
    """A server that answers at one revision, declared as `one`; None for a process, which keeps no record."""
    way, revision = request.param
    if way == "stdio":
        gateway.declare_stdio("one", "modern" if revision == MODERN else revision)
        yield None
        return
    made = scripted(way, revision)
    await made.start()
    gateway.declare("one", url=made.url)
    yield made
    await made.stop()


def test_the_table_holds_every_revision_there_is() -> None:
    assert set(RELEASED) == {MODERN, *LEGACY}


@pytest.mark.holds("WIRE-UPSTREAM")
@pytest.mark.parametrize(
    "server, revision", [(way, way[1]) for way in WAYS], indirect=["server"], ids=map("-".join, WAYS)
)
async def test_a_server_of_any_released_revision_is_listed_and_called(
    gateway: Gateway, server: Recorder | SseServer | None, revision: str
) -> None:
    listed = await gateway.pin("one")
    assert {"server", "tool"} == {contract.kind for contract in listed}
    assert "echo" in {contract.name for contract in listed}
    reply = await gateway.call("one/echo", {"a": [1, "é"]})
    assert reply.error is None
    assert reply.result is not None
    assert reply.upstream.endswith(f" {revision}")
    structured = msgspec.json.decode(reply.result)["structuredContent"]
    sent = msgspec.json.decode(structured["line"])["params"] if server is None else server.calls()[0].message["params"]
    assert (sent["name"], sent["arguments"]) == ("echo", {"a": [1, "é"]})
    assert ("_meta" in sent) == (revision == MODERN)


@pytest.mark.parametrize("server", [way for way in WAYS if way[0] != "stdio"], indirect=True, ids="-".join)
async def test_the_revision_agreed_on_is_stated_where_its_transport_has_a_place(
    gateway: Gateway, server: Recorder | SseServer
) -> None:
    await gateway.pin("one")
    await gateway.call("one/echo")
    stated = server.calls()[0].header("MCP-Protocol-Version")
    assert stated == ([] if isinstance(server, SseServer) else [MODERN if server.era == "modern" else server.revision])
    assert len(server.calls("notifications/initialized")) == (0 if stated == [MODERN] else 2)


@pytest.mark.parametrize("way", ["stdio", "http", "sse"])
@pytest.mark.parametrize("revision", ["2024-10-07", "2026-07-29", "2099-01-01"])
async def test_a_revision_nobody_released_is_refused(gateway: Gateway, way: str, revision: str) -> None:
    server: Any = None
    if way == "stdio":
        gateway.declare_stdio("one", revision)
    else:
        server = scripted(way, revision)
        await server.start()
        gateway.declare("one", url=server.url)
    with pytest.raises(UpstreamFault, match=re.escape(f"unknown revision, `{revision}`")) as fault:
        await gateway.pin("one")
    assert not fault.value.sent
    if server is not None:
        await asyncio.sleep(0)
        assert server.calls("tools/list") == []
        await server.stop()
