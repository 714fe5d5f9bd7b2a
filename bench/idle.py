"""Sessions of older clients that are open and do nothing, each with its stream where the door has one."""

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

import msgspec

from bench.home import Desk
from bench.upstream import LEGACY

_ACCEPT: Final = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
_INITIALIZE: Final = msgspec.json.encode(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "idle", "version": "1"}},
    }
)
_INITIALIZED: Final = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'


@contextmanager
def sessions(desk: Desk, number: int) -> Iterator[int]:
    """So many open sessions until the end; yields how many of them have a stream open."""
    headers = desk.open()[0].headers if number else {}
    streams: list[http.client.HTTPConnection] = []
    try:
        for _ in range(number):
            stream = _session(desk, headers)
            streams += [stream] if stream else []
        yield len(streams)
    finally:
        for stream in streams:
            stream.close()


def _session(desk: Desk, headers: Mapping[str, str]) -> http.client.HTTPConnection | None:
    """A new session; its stream, if there is one."""
    connection = http.client.HTTPConnection("127.0.0.1", desk.port, timeout=30)
    connection.request("POST", desk.path, _INITIALIZE, {**_ACCEPT, **headers})
    response = connection.getresponse()
    session = response.getheader("Mcp-Session-Id")
    if response.status != HTTPStatus.OK or session is None:
        raise RuntimeError(f"no session: {response.status} {response.read()!r}")
    response.read()
    named = {**headers, "Mcp-Session-Id": session, "MCP-Protocol-Version": LEGACY}
    connection.request("POST", desk.path, _INITIALIZED, {**_ACCEPT, **named})
    connection.getresponse().read()
    connection.request("GET", desk.path, headers={"Accept": "text/event-stream", **named})
    stream = connection.getresponse()
    if stream.status == HTTPStatus.OK:
        return connection
    stream.read()
    connection.close()
    return None
