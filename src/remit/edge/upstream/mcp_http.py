"""MCP over Streamable HTTP, both generations (2026-07-28, and 2025-03-26 to 2025-11-25 with a session id).

Rules: a request is one POST, never repeated: not after a reset, not after an expired session. No redirect is followed,
no cookie kept, no proxy or netrc read from the environment, no compressed answer accepted. Nothing of the caller's
headers travels. Certificates are verified. An answer is read to a bound.

Not done: the GET stream of the older generation (what a server would say there is asked for at intervals instead),
resuming a broken stream, and the two-endpoint transport of 2024-11-05.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping
from http import HTTPStatus
from typing import Final

import aiohttp
from aiohttp import ClientResponse, ClientSession, ClientTimeout
from yarl import URL

from remit.edge.upstream.headers import call_headers
from remit.edge.upstream.message import (
    Answer,
    Message,
    Request,
    answer_of,
    not_mcp,
    notification_bytes,
    read,
    request_bytes,
    response_bytes,
)
from remit.edge.upstream.params import MODERN
from remit.edge.upstream.sse import EventReader, TooLong
from remit.edge.upstream.wire import Changed, timed_out
from remit.errors import UpstreamFault
from remit.limits import RESULT_BYTES_MAX

_CONNECT_S: Final = 10.0
_FAREWELL_S: Final = 2.0
_REFUSAL_BYTES_MAX: Final = 64 * 1024
# What a server says to a session id it does not know: 404 by the specification, 400 by some.
_FORGOTTEN: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
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


class HttpWire:
    """A line to one server, and one MCP session where its generation has sessions."""

    def __init__(self, http: ClientSession, url: str, *, changed: Changed) -> None:
        self._http = http
        self._url = URL(url)
        self._changed = changed
        self._headers: dict[str, str] = {}
        self._modern = True
        self._session: str | None = None
        self._expired = False
        self._ended = False
        self._number = 0
        self._running: set[asyncio.Timeout] = set()
        self._errands: set[asyncio.Task[None]] = set()
        self._endings: set[asyncio.Task[None]] = set()

    @property
    def alive(self) -> bool:
        return not self._expired

    def speak(self, revision: str) -> None:
        self._modern = revision == MODERN
        self._headers["MCP-Protocol-Version"] = revision

    async def exchange(self, request: Request) -> Answer:
        if self._ended:
            raise UpstreamFault("the session was ended", sent=False)
        self._number += 1
        number = self._number
        body = request_bytes(number, request.method, params=request.params)
        headers = self._headers_of(request)
        until = asyncio.timeout(request.timeout_s)
        self._running.add(until)
        try:
            async with until:
                response = await self._post(body, headers, seconds=request.timeout_s)
                return await self._read(response, number)
        except TimeoutError as e:
            if self._ended:
                raise UpstreamFault("the session was ended while the call ran", sent=True) from e
            self._withdraw(request, number)
            raise timed_out(request.timeout_s) from e
        except asyncio.CancelledError:
            self._withdraw(request, number)
            raise
        finally:
            self._running.discard(until)

    async def notify(self, method: str) -> None:
        await self._tell(notification_bytes(method))

    async def close(self) -> None:
        forgotten, self._expired, self._ended = self._expired, True, True
        for until in self._running:
            if not until.expired():
                until.reschedule(0)
        while self._running:  # noqa: ASYNC110 - each was just told to stop, and does so in the loop's next turns
            await asyncio.sleep(0)
        if self._session is not None and not forgotten:
            headers, self._session = {**self._headers, "Mcp-Session-Id": self._session}, None
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with (
                    asyncio.timeout(_FAREWELL_S),
                    self._http.delete(self._url, headers=headers, allow_redirects=False),
                ):
                    pass
        if self._errands:
            await asyncio.wait(self._errands, timeout=_FAREWELL_S)
        for late in (*self._errands, *self._endings):
            late.cancel()

    def _headers_of(self, request: Request) -> dict[str, str]:
        headers = dict(self._headers)
        if self._modern:
            headers["Mcp-Method"] = request.method
            if request.outgoing is not None and request.contract is not None:
                headers.update(call_headers(request.outgoing, request.contract))
        elif request.method == "initialize":
            # The revision is what this request negotiates (MCP 2025-11-25, transports, protocol version header).
            headers.pop("MCP-Protocol-Version", None)
        elif self._session is not None:
            headers["Mcp-Session-Id"] = self._session
        return headers

    async def _post(self, body: bytes, headers: Mapping[str, str], *, seconds: float) -> ClientResponse:
        """POST once."""
        connect = ClientTimeout(total=None, connect=min(_CONNECT_S, seconds / 2))
        try:
            return await self._http.post(self._url, data=body, headers=headers, allow_redirects=False, timeout=connect)
        except _NOT_CONNECTED as e:
            raise UpstreamFault(f"the tool server at `{self._url.origin()}` cannot be reached", sent=False) from e
        except aiohttp.ClientError as e:
            raise _broken() from e

    async def _read(self, response: ClientResponse, number: int) -> Answer:
        """The answer in a response, which is closed if it holds none: on the modern wire, that cancels the request."""
        try:
            answer = await self._answer(response, number)
        except aiohttp.ClientError as e:
            response.close()
            raise _broken() from e
        except BaseException:
            response.close()
            raise
        if not response.closed:
            # Closed whatever becomes of the task: a task cancelled before its first step never runs.
            _spawn(_finish(response), self._endings).add_done_callback(lambda _: response.close())
        return answer

    async def _answer(self, response: ClientResponse, number: int) -> Answer:
        if response.status >= HTTPStatus.BAD_REQUEST:
            return await self._refused(response, number)
        if response.status != HTTPStatus.OK or response.headers.get("Content-Encoding", "identity") != "identity":
            raise not_mcp(f"the tool server answered with HTTP status {response.status}")
        if not self._modern and self._session is None:
            self._session = response.headers.get("Mcp-Session-Id")
        form = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if form == "text/event-stream":
            return await self._streamed(response, number)
        if form != "application/json":
            raise not_mcp("the tool server's answer is neither JSON nor an event stream")
        data = await _bounded(response, RESULT_BYTES_MAX)
        if len(data) > RESULT_BYTES_MAX:
            response.close()
            return Answer(received=len(data))
        return _matched(_parsed(data), number, received=len(data))

    async def _refused(self, response: ClientResponse, number: int) -> Answer:
        """A JSON-RPC error may come with a 4xx status; anything else is not an answer to the call.

        A server of the older generation may have forgotten the session: the next call opens a new one. The call in hand
        is not repeated: only the server knows whether it took effect.
        """
        self._expired = self._expired or (self._session is not None and response.status in _FORGOTTEN)
        data = await _bounded(response, _REFUSAL_BYTES_MAX)
        with contextlib.suppress(UpstreamFault):
            answer = _matched(_parsed(data), number, received=len(data))
            if answer.error is not None:
                return answer
        raise not_mcp(f"the tool server answered with HTTP status {response.status}")

    async def _streamed(self, response: ClientResponse, number: int) -> Answer:
        events = EventReader(RESULT_BYTES_MAX)
        try:
            while chunk := await response.content.readany():
                for data in events.feed(chunk):
                    message = _parsed(data)
                    if message.method is None:
                        return _matched(message, number, received=len(data))
                    self._heard(message)
        except TooLong as e:
            response.close()
            return Answer(received=e.received)
        raise UpstreamFault("the tool server ended the stream without an answer", sent=True)

    def _heard(self, message: Message) -> None:
        """A notification or a request of the server's, on the stream of a call."""
        if not message.id:
            if (message.method or "").endswith("/list_changed"):
                self._changed()
        elif not self._modern and (response := response_bytes(message)) is not None:
            _spawn(self._tell(response), self._errands)

    def _withdraw(self, request: Request, number: int) -> None:
        """Tell a server of the older generation that nobody waits any more; a modern one sees the response closed."""
        if not self._modern and request.outgoing is not None:
            _spawn(self._tell(notification_bytes("notifications/cancelled", {"requestId": number})), self._errands)

    async def _tell(self, body: bytes) -> None:
        """POST something that has no answer. Whether it arrives is nobody's concern but the server's."""
        headers = dict(self._headers) if self._session is None else {**self._headers, "Mcp-Session-Id": self._session}
        with contextlib.suppress(UpstreamFault, TimeoutError):
            async with asyncio.timeout(_CONNECT_S):
                (await self._post(body, headers, seconds=_CONNECT_S)).release()


def _broken() -> UpstreamFault:
    return UpstreamFault("the connection to the tool server broke", sent=True)


def _spawn(work: Coroutine[None, None, None], among: set[asyncio.Task[None]]) -> asyncio.Task[None]:
    task = asyncio.ensure_future(work)
    among.add(task)
    task.add_done_callback(among.discard)
    return task


async def _finish(response: ClientResponse) -> None:
    """Let a server end the stream it has answered on, so that the connection can be used again; but not for long."""
    with contextlib.suppress(aiohttp.ClientError, OSError):
        async with asyncio.timeout(_FAREWELL_S):
            while await response.content.readany():
                pass


async def _bounded(response: ClientResponse, most: int) -> bytes:
    """The body, or its first bytes, more than `most`, if it is longer."""
    first = await response.content.readany()
    if response.content.at_eof() or len(first) > most:
        return first
    whole = bytearray(first)
    while len(whole) <= most and (chunk := await response.content.readany()):
        whole += chunk
    return bytes(whole)


def _parsed(data: bytes) -> Message:
    try:
        return read(data)
    except ValueError as e:
        raise not_mcp("the tool server's answer is not JSON-RPC") from e


def _matched(message: Message, number: int, *, received: int) -> Answer:
    """The answer, if it is to our request. An error may carry no id: the server could not read it (JSON-RPC 2.0)."""
    if message.answers == number or (message.error is not None and bytes(message.id) in (b"", b"null")):
        return answer_of(message, received)
    raise not_mcp("the tool server's answer is to another request")
