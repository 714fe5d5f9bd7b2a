"""The requests in flight on a line that carries many at once: which answer is to which.

Rules: answers are matched by their ids; one that nobody waits for, a second one included, is ignored. One that is too
long or unreadable ends the wait it seems to belong to. A server's own requests are answered with what we do: nothing
but pong.
"""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Final

from remit.edge.upstream.message import (
    Answer,
    Message,
    Request,
    answer_of,
    attributed,
    not_mcp,
    notification_bytes,
    read,
    request_bytes,
    response_bytes,
)
from remit.edge.upstream.wire import Changed, timed_out
from remit.errors import UpstreamFault

_NOISE_BYTES: Final = 500


class Pending:
    """`tell` puts something that has no answer on the line, if it can; `noise` gets the first of what is not MCP."""

    def __init__(
        self, *, tell: Callable[[bytes], None], changed: Changed, noise: Callable[[bytes], None] | None = None
    ) -> None:
        self._tell = tell
        self._changed = changed
        self._noise = noise
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def numbered(self, request: Request) -> tuple[int, bytes]:
        """A request's id and its bytes, to be put on the line."""
        number = next(self._numbers)
        return number, request_bytes(number, request.method, params=request.params)

    async def answer(self, number: int, request: Request) -> Answer:
        """Wait for the answer to a request on its way. Nobody waiting any more for a call, the server is told."""
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        try:
            async with asyncio.timeout(request.timeout_s):
                return await waiting
        except TimeoutError as e:
            self._withdraw(request, number)
            raise timed_out(request.timeout_s) from e
        except asyncio.CancelledError:
            self._withdraw(request, number)
            raise
        finally:
            del self._waiting[number]

    def take(self, data: bytes, size: int) -> None:
        """Something the server said. Where `size` is more than there is, `data` is its first and last bytes."""
        if size > len(data):
            self._settle(attributed(data, data), Answer(received=size))
            return
        try:
            message = read(data)
        except ValueError:
            if self._noise is not None:
                self._noise(data[:_NOISE_BYTES])
            self._settle(attributed(data, data), not_mcp("the tool server's answer is not JSON-RPC"))
            return
        if message.method is not None:
            self._asked(message)
        elif message.answers in self._waiting:
            try:
                self._settle(message.answers, answer_of(message, size))
            except UpstreamFault as e:
                self._settle(message.answers, e)

    def fail(self, number: int, fault: UpstreamFault) -> None:
        """One request will not be answered."""
        self._settle(number, fault)

    def fail_all(self, fault: Callable[[], UpstreamFault]) -> None:
        """Nothing will be answered any more; each waiter gets a fault of its own."""
        for number in self._waiting:
            self._settle(number, fault())

    def _settle(self, number: int | None, outcome: Answer | UpstreamFault) -> None:
        waiting = self._waiting.get(number or 0)
        if waiting is None or waiting.done():
            return
        if isinstance(outcome, Answer):
            waiting.set_result(outcome)
        else:
            waiting.set_exception(outcome)

    def _asked(self, message: Message) -> None:
        if not message.id:
            if (message.method or "").endswith("/list_changed"):
                self._changed()
        elif (response := response_bytes(message)) is not None:
            self._tell(response)

    def _withdraw(self, request: Request, number: int) -> None:
        if request.outgoing is not None:
            self._tell(notification_bytes("notifications/cancelled", {"requestId": number}))
