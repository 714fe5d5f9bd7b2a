"""MCP over Streamable HTTP, both generations (2026-07-28, and 2025-03-26 to 2025-11-25 with a session id).

Rules: a request is one POST, never repeated: not after a reset, not after an expired session. Nothing of the caller's
headers travels. An answer is read to a bound.

The two-endpoint transport of 2024-11-05 is in `mcp_sse`.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping
from http import HTTPStatus
from itertools import count
from typing import Final

import msgspec
from msgspec import Raw
from yarl import URL

from remit.edge.upstream.beside import Beside, Besides, ask_beside
from remit.edge.upstream.headers import call_headers
from remit.edge.upstream.http1 import Pool
from remit.edge.upstream.http1_response import Response
from remit.edge.upstream.message import (
    Answer,
    Message,
    Request,
    answer_bytes,
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
from remit.edge.upstream.stream import Stream
from remit.edge.upstream.wire import Heard, Held, timed_out
from remit.errors import UpstreamFault
from remit.limits import RESULT_BYTES_MAX

EVENTS: Final = "text/event-stream"
_ATTEND_AGAIN_S: Final = 5.0
# Of all lines: they share connections, and an answer that strays there must not be one to another line's request.
_NUMBERS: Final = count(1)
_NO_CALL: Final = Request(method="", params=b"", timeout_s=0)
_REFUSAL_BYTES_MAX: Final = 64 * 1024
# What a server that takes no MCP by POST at its URL says to `initialize` (MCP 2025-11-25, backwards compatibility).
_ELSEWHERE: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)


class Elsewhere(UpstreamFault):
    """The server takes no MCP by POST at its URL; it may speak the transport of 2024-11-05 there."""


class HttpWire:
    """A line to one server, and one MCP session where its generation has sessions."""

    def __init__(self, http: Pool, url: str, *, heard: Heard) -> None:
        self._http = http
        self._url = URL(url)
        self._told = heard
        self._headers: dict[str, str] = {}
        self._modern = True
        self._session: str | None = None
        self._expired = False
        self._ended = False
        self._running: set[asyncio.Timeout] = set()
        self._attending: set[asyncio.Task[None]] = set()
        self._besides: Besides = {}
        self._errands: set[asyncio.Task[None]] = set()
        self._endings: set[asyncio.Task[None]] = set()

    @property
    def alive(self) -> bool:
        return not self._expired

    def speak(self, revision: str) -> None:
        self._modern = revision == MODERN
        self._headers["MCP-Protocol-Version"] = revision

    async def exchange(self, request: Request) -> Answer | Held:
        if self._ended:
            raise UpstreamFault("the session was ended", sent=False)
        number = next(_NUMBERS)
        body = request_bytes(number, request.method, params=request.params)
        if self._modern or request.outgoing is None or not request.outgoing.client.capabilities:
            return await self.within(request, number, work=self._asked(request, number, body))
        beside = Beside(self, self._besides, number=number)
        work = self._asked(msgspec.structs.replace(request, told=beside.told), number, body)
        return await self.within(request, number, work=beside.step(work, request))

    async def within(
        self, request: Request, number: int, *, work: Coroutine[None, None, Answer | Held]
    ) -> Answer | Held:
        """What comes of one step of an exchange, in the time its request has."""
        until = asyncio.timeout(None if request.listens else request.timeout_s)
        if self._ended:
            work.close()
            raise UpstreamFault("the session was ended", sent=False)
        self._running.add(until)
        try:
            async with until:
                return await work
        except TimeoutError as e:
            if self._ended:
                raise UpstreamFault("the session was ended while the call ran", sent=True) from e
            self.withdraw(request, number)
            raise timed_out(request.timeout_s) from e
        except asyncio.CancelledError:
            self.withdraw(request, number)
            raise
        finally:
            self._running.discard(until)

    async def _asked(self, request: Request, number: int, body: bytes) -> Answer | Held:
        response = await self._post(body, self._headers_of(request), seconds=request.timeout_s)
        return await self._read(response, number, request)

    def attend(self) -> None:
        if not self._modern and not self._attending:
            spawn(self._attend(), self._attending)

    async def _attend(self) -> None:
        """The older generation's stream for what is about no call, taken up again as long as the server has one."""
        while not self._ended:
            headers = {**self._in_session(), "Accept": EVENTS}
            with contextlib.suppress(UpstreamFault, TimeoutError):
                response = await requested(self._http, self._url, body=None, headers=headers, seconds=CONNECT_S)
                if response.status != HTTPStatus.OK or form(response) != EVENTS:
                    response.close()
                    return
                await self._overhear(Stream(response, self._reopened))
            await asyncio.sleep(_ATTEND_AGAIN_S)

    async def _overhear(self, stream: Stream) -> None:
        """Until the stream ends, or says more at once than is read: nothing after that can be told apart."""
        try:
            while (event := await stream.next()).size <= RESULT_BYTES_MAX:
                message = _parsed(event.data)
                if not (message.id and ask_beside(self._besides, message)):
                    self._heard(message, _NO_CALL)
        finally:
            stream.close()

    async def notify(self, method: str) -> None:
        await self._tell(notification_bytes(method))

    async def close(self) -> None:
        forgotten, self._expired, self._ended = self._expired, True, True
        for attending in self._attending:
            attending.cancel()
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

    async def _read(self, response: Response, number: int, request: Request) -> Answer | Held:
        """The answer in a response, which is closed if it holds none: on the modern wire, that cancels the request."""
        try:
            answer = await self._answer(response, number, request)
        except BaseException:
            response.close()
            raise
        if isinstance(answer, Answer):
            self.finished(response)
        return answer

    def finished(self, response: Response) -> None:
        """Nothing more is read of a response."""
        if not response.closed:
            # Closed whatever becomes of the task: a task cancelled before its first step never runs.
            spawn(finish(response), self._endings).add_done_callback(lambda _: response.close())

    async def _answer(self, response: Response, number: int, request: Request) -> Answer | Held:
        if response.status >= HTTPStatus.BAD_REQUEST:
            return await self._refused(response, number)
        if response.status != HTTPStatus.OK:
            raise refused(response.status)
        if not self._modern and self._session is None:
            self._session = response.headers.get("Mcp-Session-Id")
        written = form(response)
        if written == EVENTS:
            stream = Stream(response, None if self._modern else self._reopened)
            return await self.streamed(stream, number, request=request)
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

    async def streamed(self, stream: Stream, number: int, *, request: Request) -> Answer | Held:
        """What a call's stream comes to, from where it was read to."""
        try:
            while True:
                event = await stream.next()
                if event.size > RESULT_BYTES_MAX:
                    stream.close()
                    return Answer(received=event.size)
                message = _parsed(event.data)
                if message.method is None:
                    answer = _matched(message, number, received=event.size)
                    self.finished(stream.response)
                    return answer
                if message.id and not self._modern and request.answers(message.method):
                    return _HttpHeld(self, stream, question=message, number=number)
                self._heard(message, request)
        except BaseException:
            stream.close()
            raise

    def _heard(self, message: Message, request: Request) -> None:
        """A notification, or a request that is not for the client, on the stream of a call."""
        method = message.method or ""
        if not message.id:
            hears = request.told if request.told is not None and request.hears(method) else self._told
            hears(method, message.params)
        elif self._modern or len(self._errands) >= ERRANDS_MAX:
            return
        elif (response := response_bytes(message)) is not None:
            spawn(self._tell(response), self._errands)

    def withdraw(self, request: Request, number: int) -> None:
        """Nobody waits for the answer to a request any more."""
        if request.outgoing is not None:
            self.cancel(number)

    def cancel(self, number: int) -> None:
        """Tell a server of the older generation; a modern one sees the response closed."""
        if not self._modern and not self._ended:
            spawn(self._tell(notification_bytes("notifications/cancelled", {"requestId": number})), self._errands)

    async def tell(self, body: bytes, *, seconds: float) -> None:
        """POST something that has no answer. Raises `UpstreamFault` unless it was accepted."""
        response = await self._post(body, self._in_session(), seconds=seconds)
        response.close()
        if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
            raise refused(response.status)

    async def _tell(self, body: bytes) -> None:
        """Whether it arrives is nobody's concern but the server's."""
        with contextlib.suppress(UpstreamFault, TimeoutError):
            async with asyncio.timeout(CONNECT_S):
                await self.tell(body, seconds=CONNECT_S)

    async def _reopened(self, last_id: str) -> Response:
        """The rest of a stream that the server let go of."""
        headers = {**self._in_session(), "Accept": EVENTS, "Last-Event-ID": last_id}
        response = await requested(self._http, self._url, body=None, headers=headers, seconds=CONNECT_S)
        if response.status != HTTPStatus.OK or form(response) != EVENTS:
            response.close()
            raise UpstreamFault("the tool server ended the stream without an answer", sent=True)
        return response

    def _in_session(self) -> dict[str, str]:
        return dict(self._headers) if self._session is None else {**self._headers, "Mcp-Session-Id": self._session}


class _HttpHeld:
    """Implements `Held`: the stream stays open and unread while somebody thinks about the question."""

    def __init__(self, wire: HttpWire, stream: Stream, *, question: Message, number: int) -> None:
        self.question = question
        self._wire, self._stream, self._number = wire, stream, number

    async def answered(self, answer: Raw, request: Request) -> Answer | Held:
        return await self._wire.within(request, self._number, work=self._resumed(answer, request))

    def abandon(self) -> None:
        self._stream.close()
        self._wire.cancel(self._number)

    async def _resumed(self, answer: Raw, request: Request) -> Answer | Held:
        try:
            await self._wire.tell(answer_bytes(self.question, answer), seconds=request.timeout_s)
        except BaseException:
            self._stream.close()
            raise
        return await self._wire.streamed(self._stream, self._number, request=request)


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
