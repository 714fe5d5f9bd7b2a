"""HTTP as every line to a tool server uses it: one client, how it asks, and what its failures mean.

Rules: a request is made once. No redirect is followed, no cookie kept, no proxy or netrc read from the environment, no
compressed answer accepted. Certificates are verified. What goes over the wire is in `http1`.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping
from http import HTTPStatus
from typing import Final

from yarl import URL

from remit.edge.upstream.http1 import Pool
from remit.edge.upstream.http1_response import Response
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


def pool() -> Pool:
    """The one HTTP client of a process: connections are shared, sessions of MCP are not. Needs a running loop."""
    return Pool(_ALWAYS)


async def requested(
    http: Pool, url: URL, *, body: bytes | None, headers: Mapping[str, str], seconds: float
) -> Response:
    """POST the body, or GET if there is none, once. Raises `UpstreamFault`; `seconds` is what the caller waits."""
    method = "GET" if body is None else "POST"
    return await http.request(method, url, headers=headers, body=body, connect_s=min(CONNECT_S, seconds / 2))


async def finish(response: Response) -> None:
    """Let a server end what it has answered, so that the connection can be used again; but not for long."""
    with contextlib.suppress(UpstreamFault, TimeoutError):
        async with asyncio.timeout(FAREWELL_S):
            while await response.readany():
                pass


def form(response: Response) -> str:
    """The media type of a response, empty if it is encoded in a way we did not accept."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return ""
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def refused(status: int) -> UpstreamFault:
    return not_mcp(f"the tool server answered with HTTP status {status}")


def spawn(work: Coroutine[None, None, None], among: set[asyncio.Task[None]]) -> asyncio.Task[None]:
    task = asyncio.ensure_future(work)
    among.add(task)
    task.add_done_callback(among.discard)
    return task
