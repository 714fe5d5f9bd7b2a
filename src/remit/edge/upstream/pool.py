"""HTTP as every line to a tool server uses it: one client, how it asks, and what its failures mean.

Rules: a request is made once. No redirect is followed, no cookie kept, no proxy or netrc read from the environment, no
compressed answer accepted. Certificates are verified.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping
from http import HTTPStatus
from typing import Final

import aiohttp
from aiohttp import ClientResponse, ClientSession, ClientTimeout
from yarl import URL

from remit.edge.upstream.message import not_mcp
from remit.errors import UpstreamFault

CONNECT_S: Final = 10.0
FAREWELL_S: Final = 2.0
# Answers of ours to a server's requests under way at once; what it asks beyond them stays unanswered.
ERRANDS_MAX: Final = 64
# What a server says to a session it does not know: 404 by the specification, 400 by some.
FORGOTTEN: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
_ALWAYS: Final = {
    "Accept": "application/json, text/event-stream",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
    "User-Agent": "remit",
}
# Raised before the first byte of a request is written, and only then.
_NOT_CONNECTED: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


def pool() -> ClientSession:
    """The one HTTP client of a process: connections are shared, sessions of MCP are not. Needs a running loop."""
    return ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=_ALWAYS,
        auto_decompress=False,
        trust_env=False,
        timeout=ClientTimeout(total=None),
    )


async def requested(
    http: ClientSession, url: URL, *, body: bytes | None, headers: Mapping[str, str], seconds: float
) -> ClientResponse:
    """POST the body, or GET if there is none, once. Raises `UpstreamFault`; `seconds` is what the caller waits."""
    connect = ClientTimeout(total=None, connect=min(CONNECT_S, seconds / 2))
    method = "GET" if body is None else "POST"
    try:
        return await http.request(method, url, data=body, headers=headers, allow_redirects=False, timeout=connect)
    except _NOT_CONNECTED as e:
        raise UpstreamFault(f"the tool server at `{url.origin()}` cannot be reached", sent=False) from e
    except aiohttp.ClientError as e:
        raise broken() from e


async def finish(response: ClientResponse) -> None:
    """Let a server end what it has answered, so that the connection can be used again; but not for long."""
    with contextlib.suppress(aiohttp.ClientError, OSError):
        async with asyncio.timeout(FAREWELL_S):
            while await response.content.readany():
                pass


def form(response: ClientResponse) -> str:
    """The media type of a response, empty if it is encoded in a way we did not accept."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return ""
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def broken() -> UpstreamFault:
    return UpstreamFault("the connection to the tool server broke", sent=True)


def refused(status: int) -> UpstreamFault:
    return not_mcp(f"the tool server answered with HTTP status {status}")


def spawn(work: Coroutine[None, None, None], among: set[asyncio.Task[None]]) -> asyncio.Task[None]:
    task = asyncio.ensure_future(work)
    among.add(task)
    task.add_done_callback(among.discard)
    return task
