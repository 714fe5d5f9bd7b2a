"""MCP over HTTP+SSE, the two-endpoint transport of 2024-11-05: answers come on one stream, requests go elsewhere.

Rules: a GET opens the stream; its first event names the endpoint, once and for as long as the stream lasts, and it has
to be of the connector's own origin: what is sent is for that server alone. A request is one POST to it, never repeated.
Nothing of the caller's headers travels. A stream that ends fails the requests in flight as sent; the line is dead then,
and a later call opens another.

Source: MCP 2024-11-05, transports, HTTP with SSE.
"""

import asyncio
import contextlib
from http import HTTPStatus
from typing import Final

from yarl import URL

from remit.edge.upstream.http1 import Pool
from remit.edge.upstream.http1_response import Response
from remit.edge.upstream.message import Answer, Request, not_mcp, notification_bytes
from remit.edge.upstream.pending import Pending
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
from remit.edge.upstream.sse import Event, EventReader
from remit.edge.upstream.wire import Heard, Held, timed_out
from remit.errors import UpstreamFault
from remit.limits import RESULT_BYTES_MAX, URI_CHARS_MAX

_OPEN_S: Final = 10.0


class SseWire:
    """A line to one server: one stream, and the endpoint it named."""

    def __init__(self, http: Pool, url: str, *, heard: Heard) -> None:
        self._http = http
        self._url = URL(url)
        self._pending = Pending(tell=self._tell, heard=heard)
        self._endpoint: asyncio.Future[URL] = asyncio.get_running_loop().create_future()
        self._alive = False
        self._ended = False
        self._stream: set[asyncio.Task[None]] = set()
        self._posts: set[asyncio.Task[None]] = set()
        self._errands: set[asyncio.Task[None]] = set()

    @property
    def alive(self) -> bool:
        return self._alive

    def speak(self, revision: str) -> None:
        """Nothing to do: the revision is in the messages."""

    async def start(self) -> None:
        """Open the stream and wait for its endpoint. Raises `UpstreamFault`: nothing is there that speaks this way."""
        try:
            async with asyncio.timeout(_OPEN_S):
                response = await self._opened()
                # Closed whatever becomes of the task: a task cancelled before its first step never runs.
                listening = spawn(self._listen(response), self._stream)
                listening.add_done_callback(lambda _: response.close())
                listening.add_done_callback(self._lost)
                await self._endpoint
        except TimeoutError as e:
            await self.close()
            raise timed_out(_OPEN_S, sent=False) from e
        except BaseException:
            await self.close()
            raise

    async def exchange(self, request: Request) -> Answer | Held:
        if not self._alive:
            raise UpstreamFault("the session was ended" if self._ended else "the stream has ended", sent=False)
        number, body = self._pending.numbered(request)
        posting = spawn(self._deliver(number, body, seconds=request.timeout_s), self._posts)
        try:
            return await self._pending.answer(number, request)
        except BaseException as e:
            posting.cancel()
            if isinstance(e, UpstreamFault) and e.why == "timeout" and request.outgoing is None and not self._pending:
                # A question of our own that nothing else kept the server from answering: take the stream for lost.
                self._alive = False
            raise

    def attend(self) -> None:
        """Nothing to do: everything comes on the one line."""

    async def notify(self, method: str) -> None:
        await self._errand(notification_bytes(method))

    async def close(self) -> None:
        self._alive, self._ended = False, True
        self._pending.fail_all(lambda: UpstreamFault("the session was ended while the call ran", sent=True))
        for posting in self._posts:
            posting.cancel()
        if self._errands:
            await asyncio.wait(self._errands, timeout=FAREWELL_S)
        if late := self._stream | self._posts | self._errands:
            for task in late:
                task.cancel()
            await asyncio.wait(late)

    async def _opened(self) -> Response:
        headers = {"Accept": "text/event-stream"}
        response = await requested(self._http, self._url, body=None, headers=headers, seconds=_OPEN_S)
        if response.status != HTTPStatus.OK or form(response) != "text/event-stream":
            response.close()
            raise not_mcp(f"the tool server offers no stream of events (HTTP status {response.status})")
        return response

    async def _listen(self, response: Response) -> None:
        """Hear the stream to its end, or to what must not be on it."""
        events = EventReader(RESULT_BYTES_MAX)
        while chunk := await response.readany():
            for event in events.feed(chunk):
                self._heard(event)

    def _heard(self, event: Event) -> None:
        if event.name == b"endpoint":
            if self._endpoint.done():
                raise not_mcp("the tool server names a second endpoint")
            self._endpoint.set_result(endpoint(event.data, of=self._url))
            self._alive = True
        elif event.name == b"message":
            if not self._endpoint.done():
                raise not_mcp("the tool server's stream does not begin with an endpoint")
            self._pending.take(event.data, event.size)

    def _lost(self, listening: asyncio.Task[None]) -> None:
        """The stream is over: nothing in flight will be answered."""
        self._alive = False
        error = None if listening.cancelled() else listening.exception()
        why = error.why if isinstance(error, UpstreamFault) else None
        said = str(error) if why else "the tool server ended the stream"
        self._pending.fail_all(lambda: UpstreamFault(said, sent=True, why=why))
        if not self._endpoint.done():
            self._endpoint.set_exception(UpstreamFault(said, sent=False, why=why or "protocol"))

    async def _deliver(self, number: int, body: bytes, *, seconds: float) -> None:
        """POST a request whose answer comes on the stream. The one who waits for that has an eye on the time, too."""
        try:
            async with asyncio.timeout(seconds):
                await self._post(body, seconds=seconds)
        except UpstreamFault as e:
            self._pending.fail(number, e)
        except TimeoutError:
            pass

    def _tell(self, message: bytes) -> None:
        """Send something that has no answer, if it can be sent."""
        if self._alive and len(self._errands) < ERRANDS_MAX:
            spawn(self._errand(message), self._errands)

    async def _errand(self, message: bytes) -> None:
        """Whether it arrives is nobody's concern but the server's."""
        with contextlib.suppress(UpstreamFault, TimeoutError):
            async with asyncio.timeout(CONNECT_S):
                await self._post(message, seconds=CONNECT_S)

    async def _post(self, body: bytes, *, seconds: float) -> None:
        """POST once to the endpoint; what comes back there is only whether it was accepted."""
        response = await requested(self._http, await self._endpoint, body=body, headers={}, seconds=seconds)
        try:
            if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                self._alive = self._alive and response.status not in FORGOTTEN
                raise refused(response.status)
            await finish(response)
        finally:
            response.close()


def endpoint(data: bytes, *, of: URL) -> URL:
    """Where an `endpoint` event says requests go, resolved against the stream's URL. Raises `UpstreamFault`.

    Anywhere but at the origin of the stream it is refused: a server does not say where else Remit sends what it holds.
    """
    try:
        text = data.decode("ascii")
        if not text.isprintable() or " " in text or len(text) > URI_CHARS_MAX:
            raise not_mcp("the tool server's endpoint is not a URI")
        named = of.join(URL(text, encoded=True))
        same = (named.scheme, (named.raw_host or "").lower(), named.port) == (of.scheme, of.raw_host, of.port)
    except ValueError as e:
        raise not_mcp("the tool server's endpoint is not a URI") from e
    if not same or named.raw_user is not None or named.raw_password is not None:
        raise not_mcp("the tool server names an endpoint that is not of its own origin")
    return named
