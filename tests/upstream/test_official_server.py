"""The official SDK's server over HTTP, in both generations and both transports: what it takes from us, and what we make
of its answers.
"""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from remit.edge.upstream import opening
from remit.edge.upstream.conversation import opened
from tests.upstream.simulated import Gateway

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def listening(port: int) -> None:
    """Wait until a server accepts; a test that waits in vain is ended by the timeout."""
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                await writer.wait_closed()
                return


@pytest.fixture(scope="module")
def served() -> Iterator[int]:
    """The SDK's server; its port."""
    port = free_port()
    server = subprocess.Popen([sys.executable, str(Path(__file__).parent / "sdk_server.py"), str(port)])
    yield port
    server.kill()
    server.wait()


@pytest.fixture(params=["modern", "legacy", "sse"])
async def sdk(request: pytest.FixtureRequest, gateway: Gateway, monkeypatch: Any, served: int) -> Gateway:
    """A gateway in front of the SDK's server; for `legacy`, one that never tries the modern generation. What is served
    for `sse` is the transport of 2024-11-05, which the gateway has to find out.
    """
    if request.param == "legacy":

        async def handshake(wire: Any, *, able: Any, legacy_first: bool = False) -> Any:
            return await opened(wire, able=able, legacy_first=True)

        monkeypatch.setattr(opening, "opened", handshake)
    await listening(served)
    gateway.declare("sdk", url=f"http://127.0.0.1:{served}/{'sse' if request.param == 'sse' else 'mcp'}")
    await gateway.pin("sdk")
    return gateway


def result(reply: Any) -> dict[str, Any]:
    assert reply.error is None
    return msgspec.json.decode(reply.result)


@pytest.mark.holds("WIRE-REVISIONS")
async def test_every_kind_of_call_is_understood(sdk: Gateway) -> None:
    kinds = [contract.kind for contract in sdk.told[0][1]]
    assert kinds == ["server", "tool", "tool", "tool", "prompt", "resource", "template"]
    assert result(await sdk.call("sdk/echo", {"a": [1, "é"]}))["structuredContent"] == {"arguments": {"a": [1, "é"]}}
    assert result(await sdk.call("sdk/slow", {"b": 2}))["structuredContent"] == {"arguments": {"b": 2}}
    prompt = result(await sdk.call("sdk/greet", {"name": "ann"}, kind="prompt"))
    assert prompt["messages"][0]["content"]["text"] == "hello ann"
    read = result(await sdk.call("sdk/note://one", kind="resource"))
    assert read["contents"][0]["text"] == "text of one"


@pytest.mark.holds("INV-03-ALLOW")
@pytest.mark.parametrize("region", ["eu-1", "", " a ", "zürich", "=?base64?YQ==?=", "a\tb\n"])
async def test_the_server_accepts_mirrored_headers(sdk: Gateway, region: str) -> None:
    said = result(await sdk.call("sdk/locate", {"region": region}))
    assert said["structuredContent"] == {"arguments": {"region": region}}


async def test_many_calls_at_once_share_the_session(sdk: Gateway) -> None:
    replies = await asyncio.gather(*(sdk.call("sdk/echo", {"n": n}) for n in range(30)))
    assert [result(reply)["structuredContent"]["arguments"]["n"] for reply in replies] == [*range(30)]


async def test_the_servers_own_contract_is_the_same_in_both_generations(sdk: Gateway) -> None:
    (server,) = [contract for contract in sdk.told[0][1] if contract.kind == "server"]
    assert server.body == {"serverInfo": {"name": "sdk", "version": "2"}, "instructions": "ask nicely"}
