"""A real door on a real socket, over the simulated gateway."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest_asyncio

from remit.edge.mcp.backend import DoorSettings
from remit.edge.mcp.door import agents_door
from remit.edge.mcp.exchange import App, Receive, Scope, Send
from remit.edge.serving import listener, serve
from remit.identity.resource import Site
from tests.mcp.simulated import ADA, SimulatedBackend

MODERN = "2026-07-28"


class Door:
    """One door and a plain HTTP client to it."""

    def __init__(self, url: str, backend: SimulatedBackend, client: aiohttp.ClientSession) -> None:
        self.url = url
        self.backend = backend
        self.client = client

    async def send(self, body: bytes, headers: Mapping[str, str], *, path: str = "/mcp/notes") -> tuple[int, Any, Any]:
        """Status, headers and decoded JSON body (None if empty) of a POST of exactly these bytes."""
        async with self.client.post(self.url + path, data=body, headers=headers) as response:
            content = await response.read()
            if response.content_type == "text/event-stream":
                content = events_of(content)[-1]
            return response.status, response.headers, msgspec.json.decode(content) if content else None

    async def modern(self, method: str, params: dict[str, Any] | None = None, **options: Any) -> tuple[int, Any, Any]:
        """A well-formed modern request."""
        message = modern(method, params)
        return await self.send(msgspec.json.encode(message), headers_for(message), **options)

    async def session(
        self, *, token: str = ADA, path: str = "/mcp/notes", version: str = "2025-11-25"
    ) -> dict[str, str]:
        """The headers of a legacy session, opened and initialized."""
        params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        opening = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
        status, headers, _ = await self.send(msgspec.json.encode(opening), plain(token), path=path)
        assert status == 200
        session = plain(token) | {"Mcp-Session-Id": headers["mcp-session-id"], "MCP-Protocol-Version": version}
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert (await self.send(msgspec.json.encode(ready), session, path=path))[0] == 202
        return session


def events_of(content: bytes) -> list[bytes]:
    """The messages of a whole event stream, each exactly as the door frames one."""
    *events, rest = content.split(b"\n\n")
    assert rest == b""
    events = [event for event in events if event != b":"]
    assert all(event.startswith(b"event: message\ndata: {") and event.count(b"\n") == 1 for event in events)
    return [event.removeprefix(b"event: message\ndata: ") for event in events]


def plain(token: str = ADA) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }


def modern(method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    meta = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta, **(params or {})}}


def legacy(method: str, params: dict[str, Any] | None = None) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}})


def headers_for(message: dict[str, Any]) -> dict[str, str]:
    """The headers a conforming modern client sends with a message."""
    headers = plain() | {"MCP-Protocol-Version": MODERN, "Mcp-Method": message["method"]}
    name = message["params"].get("uri" if message["method"] == "resources/read" else "name")
    return headers | {"Mcp-Name": name} if name else headers


class Stage:
    """One server for all tests of a module; each test puts a door of its own behind it."""

    def __init__(self) -> None:
        self.app: App = _nobody
        self.url = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


async def _nobody(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    serving = await serve(stage, listener("127.0.0.1", 0))
    stage.url = f"http://{serving.host}:{serving.port}"
    yield stage
    await serving.stop()


@asynccontextmanager
async def _behind(stage: Stage) -> AsyncIterator[Door]:
    backend = SimulatedBackend()
    site = Site(hosts=frozenset({"127.0.0.1"}), origins=frozenset({stage.url}))
    stage.app = agents_door(backend, DoorSettings(public_url=stage.url, version="1.2.3", site=site))
    async with aiohttp.ClientSession() as client:
        yield Door(stage.url, backend, client)


@pytest_asyncio.fixture(loop_scope="module")
async def door(stage: Stage) -> AsyncIterator[Door]:
    async with _behind(stage) as door:
        yield door


@asynccontextmanager
async def simulated_door() -> AsyncIterator[Door]:
    """A door on a server of its own."""
    stage = Stage()
    serving = await serve(stage, listener("127.0.0.1", 0))
    stage.url = f"http://{serving.host}:{serving.port}"
    async with _behind(stage) as door:
        yield door
    await serving.stop()
