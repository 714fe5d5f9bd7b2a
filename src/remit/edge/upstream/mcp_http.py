"""MCP over Streamable HTTP, both generations (2026-07-28, and 2025-03-26 to 2025-11-25 with a session id).

Rules: a request is one POST, never repeated: not after a reset, not after an expired session. Nothing of the caller's
headers travels. An answer is read to a bound.

Not done: the GET stream of the older generation (what a server would say there is asked for at intervals instead), and
resuming a broken stream. The two-endpoint transport of 2024-11-05 is in `mcp_sse`.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from yarl import URL

from remit.edge.upstream.headers import call_headers
from remit.edge.upstream.http1 import Pool
from remit.edge.upstream.http1_response import Response
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
from remit.edge.upstream.pool import (
    CONNECT_S,
    ERRANDS_MAX,
    FAREWELL_S,
    FORGOTTEN,
    finish,
    form,
    refused,
    requested,
    spawn,
)
from remit.edge.upstream.sse import EventReader
from remit.edge.upstream.wire import Changed, timed_out
from remit.errors import UpstreamFault
from remit.limits import RESULT_BYTES_MAX

_REFUSAL_BYTES_MAX: Final = 64 * 1024
# What a server that takes no MCP by POST at its URL says to `initialize` (MCP 2025-11-25, backwards compatibility).
_ELSEWHERE: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)


class Elsewhere(UpstreamFault):
    """The server takes no MCP by POST at its URL; it may speak the transport of 2024-11-05 there."""


class HttpWire:
    """A line to one server, and one MCP session where its generation has sessions."""

    def __init__(self, http: Pool, url: str, *, changed: Changed) -> None:
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
            with contextlib.suppress(UpstreamFault, TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    (await self._http.request("DELETE", self._url, headers=headers, connect_s=FAREWELL_S)).close()
        if self._errands:
            await asyncio.wait(self._errands, timeout=FAREWELL_S)
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

    async def _post(self, body: bytes, headers: Mapping[str, str], *, seconds: float) -> Response:
        return await requested(self._http, self._url, body=body, headers=headers, seconds=seconds)

    async def _read(self, response: Response, number: int) -> Answer:
        """The answer in a response, which is closed if it holds none: on the modern wire, that cancels the request."""
        try:
            answer = await self._answer(response, number)
        except BaseException:
            response.close()
            raise
        if not response.closed:
            # Closed whatever becomes of the task: a task cancelled before its first step never runs.
            spawn(finish(response), self._endings).add_done_callback(lambda _: response.close())
        return answer

    async def _answer(self, response: Response, number: int) -> Answer:
        if response.status >= HTTPStatus.BAD_REQUEST:
            return await self._refused(response, number)
        if response.status != HTTPStatus.OK:
            raise refused(response.status)
        if not self._modern and self._session is None:
            self._session = response.headers.get("Mcp-Session-Id")
        written = form(response)
        if written == "text/event-stream":
            return await self._streamed(response, number)
        if written != "application/json":
            raise not_mcp("the tool server's answer is neither JSON nor an event stream")
        data = await _bounded(response, RESULT_BYTES_MAX)
        if len(data) > RESULT_BYTES_MAX:
            response.close()
            return Answer(received=len(data))
        return _matched(_parsed(data), number, received=len(data))

    async def _refused(self, response: Response, number: int) -> Answer:
        """A JSON-RPC error may come with a 4xx status; anything else is not an answer to the call.

        A server of the older generation may have forgotten the session: the next call opens a new one. The call in hand
        is not repeated: only the server knows whether it took effect.
        """
        self._expired = self._expired or (self._session is not None and response.status in FORGOTTEN)
        data = await _bounded(response, _REFUSAL_BYTES_MAX)
        with contextlib.suppress(UpstreamFault):
            answer = _matched(_parsed(data), number, received=len(data))
            if answer.error is not None:
                return answer
        fault = refused(response.status)
        if self._session is None and response.status in _ELSEWHERE:
            raise Elsewhere(fault.message, fault.advice, sent=fault.sent, why=fault.why)
        raise fault

    async def _streamed(self, response: Response, number: int) -> Answer:
        events = EventReader(RESULT_BYTES_MAX)
        while chunk := await response.readany():
            for event in events.feed(chunk):
                if event.size > RESULT_BYTES_MAX:
                    response.close()
                    return Answer(received=event.size)
                message = _parsed(event.data)
                if message.method is None:
                    return _matched(message, number, received=event.size)
                self._heard(message)
            if events.size > RESULT_BYTES_MAX:
                response.close()
                return Answer(received=events.size)
        raise UpstreamFault("the tool server ended the stream without an answer", sent=True)

    def _heard(self, message: Message) -> None:
        """A notification or a request of the server's, on the stream of a call."""
        if not message.id:
            if (message.method or "").endswith("/list_changed"):
                self._changed()
        elif self._modern or len(self._errands) >= ERRANDS_MAX:
            return
        elif (response := response_bytes(message)) is not None:
            spawn(self._tell(response), self._errands)

    def _withdraw(self, request: Request, number: int) -> None:
        """Tell a server of the older generation that nobody waits any more; a modern one sees the response closed."""
        if not self._modern and request.outgoing is not None:
            spawn(self._tell(notification_bytes("notifications/cancelled", {"requestId": number})), self._errands)

    async def _tell(self, body: bytes) -> None:
        """POST something that has no answer. Whether it arrives is nobody's concern but the server's."""
        headers = dict(self._headers) if self._session is None else {**self._headers, "Mcp-Session-Id": self._session}
        with contextlib.suppress(UpstreamFault, TimeoutError):
            async with asyncio.timeout(CONNECT_S):
                (await self._post(body, headers, seconds=CONNECT_S)).close()


async def _bounded(response: Response, most: int) -> bytes:
    """The body, or its first bytes, more than `most`, if it is longer."""
    first = await response.readany()
    if response.at_eof() or len(first) > most:
        return first
    whole = bytearray(first)
    while len(whole) <= most and (chunk := await response.readany()):
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
