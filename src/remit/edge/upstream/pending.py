"""The requests in flight on a line that carries many at once: which answer is to which.

Rules: answers are matched by their ids; one that nobody waits for, a second one included, is ignored. One that is too
long or unreadable ends the wait it seems to belong to. A server's own requests are answered with what we do: nothing
but pong.
"""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Final

import msgspec
from msgspec import Raw

from remit.edge.upstream.message import (
    Answer,
    Message,
    Request,
    answer_bytes,
    answer_of,
    attributed,
    listened_by,
    not_mcp,
    notification_bytes,
    progress_of,
    read,
    request_bytes,
    response_bytes,
)
from remit.edge.upstream.wire import Heard, Held, timed_out
from remit.errors import UpstreamFault
from remit.limits import QUESTIONS_MAX

_NOISE_BYTES: Final = 500
# Calls given up and not answered that are remembered; a server answers those it was told of late, or never.
_GIVEN_UP_MAX: Final = 1024


class _Course:
    """One request on its way: what has come of it that nobody has taken yet."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.ready: asyncio.Queue[Answer | Message | UpstreamFault] = asyncio.Queue()
        self.done = False

    @property
    def waits_for_more(self) -> bool:
        """Whether another question is kept until somebody asks it: those before it come first."""
        return not self.done and self.ready.qsize() < QUESTIONS_MAX

    def settle(self, outcome: Answer | UpstreamFault) -> None:
        """The first ending counts."""
        if not self.done:
            self.done = True
            self.ready.put_nowait(outcome)


class Pending:
    """`tell` puts something that has no answer on the line, if it can; `noise` gets the first of what is not MCP."""

    def __init__(
        self, *, tell: Callable[[bytes], None], heard: Heard, noise: Callable[[bytes], None] | None = None
    ) -> None:
        self._tell = tell
        self._heard = heard
        self._noise = noise
        self._numbers = count(1)
        self._waiting: dict[int, _Course] = {}
        self._given_up: set[int] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def numbered(self, request: Request) -> tuple[int, bytes]:
        """A request's id and its bytes, to be put on the line."""
        number = next(self._numbers)
        return number, request_bytes(number, request.method, params=request.params)

    async def answer(self, number: int, request: Request) -> Answer | Held:
        """Wait for the answer to a request on its way. Nobody waiting any more for a call, the server is told."""
        course = self._waiting[number] = _Course(request)
        return await self._next(number, course)

    async def resumed(self, number: int, body: bytes, *, request: Request) -> Answer | Held:
        """Give the client's answer to a question, and wait on."""
        course = self._waiting.get(number)
        if course is None:
            raise UpstreamFault("the tool server no longer waits for the answer", sent=False)
        # How far it is, the server goes on to say by the token it was given with the call.
        course.request = msgspec.structs.replace(request, token=course.request.token)
        self._tell(body)
        return await self._next(number, course)

    def abandon(self, number: int) -> None:
        """Nobody will answer the question a request was held for."""
        if self._waiting.pop(number, None) is not None:
            self._cancel(number)

    async def _next(self, number: int, course: _Course) -> Answer | Held:
        request = course.request
        held = False
        try:
            async with asyncio.timeout(None if request.listens else request.timeout_s):
                came = await course.ready.get()
            if isinstance(came, UpstreamFault):
                raise came
            if isinstance(came, Answer):
                return came
            held = True
            return _LineHeld(self, number, came)
        except TimeoutError as e:
            self._withdraw(request, number)
            raise timed_out(request.timeout_s) from e
        except asyncio.CancelledError:
            self._withdraw(request, number)
            raise
        finally:
            if not held:
                self._waiting.pop(number, None)

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
        else:
            self._given_up.discard(message.answers or 0)

    def fail(self, number: int, fault: UpstreamFault) -> None:
        """One request will not be answered."""
        self._settle(number, fault)

    def fail_all(self, fault: Callable[[], UpstreamFault]) -> None:
        """Nothing will be answered any more; each waiter gets a fault of its own."""
        for number in self._waiting:
            self._settle(number, fault())

    def _settle(self, number: int | None, outcome: Answer | UpstreamFault) -> None:
        course = self._waiting.get(number or 0)
        if course is not None:
            course.settle(outcome)

    def _asked(self, message: Message) -> None:
        method = message.method or ""
        if not message.id:
            about = self._about(message)
            hears = about.request.told if about is not None else None
            (hears or self._heard)(method, message.params)
        elif (asked := self._alone(lambda request: request.answers(method))) is not None and asked.waits_for_more:
            asked.ready.put_nowait(message)
        elif (response := response_bytes(message)) is not None:
            self._tell(response)

    def _about(self, message: Message) -> _Course | None:
        """Whose request a notification is about: progress and what was listened for say so, log messages are taken for
        the latest call's.
        """
        if (listening := self._waiting.get(listened_by(message) or 0)) is not None and listening.request.listens:
            return listening
        token = progress_of(message)
        if token is not None:
            return next((course for course in self._waiting.values() if course.request.token == token), None)
        return self._alone(lambda request: not request.listens and request.hears(message.method or ""))

    def _alone(self, fits: Callable[[Request], bool]) -> _Course | None:
        """The latest request that fits. A line says not which call it means: where others' calls go over it too, there
        has to be but one, and none given up that the server may still be at.
        """
        found = [course for course in self._waiting.values() if fits(course.request)]
        if any(course.request.shared for course in found):
            calls = sum(course.request.outgoing is not None for course in self._waiting.values())
            return found[0] if calls == 1 and not self._given_up else None
        return found[-1] if found else None

    def _withdraw(self, request: Request, number: int) -> None:
        if request.outgoing is not None or request.listens:
            self._cancel(number)

    def _cancel(self, number: int) -> None:
        if len(self._given_up) < _GIVEN_UP_MAX:
            self._given_up.add(number)
        self._tell(notification_bytes("notifications/cancelled", {"requestId": number}))


class _LineHeld:
    """Implements `Held` on a line that carries many requests."""

    def __init__(self, pending: Pending, number: int, question: Message) -> None:
        self.question = question
        self._pending, self._number = pending, number

    async def answered(self, answer: Raw, request: Request) -> Answer | Held:
        return await self._pending.resumed(self._number, answer_bytes(self.question, answer), request=request)

    def abandon(self) -> None:
        self._pending.abandon(self._number)
