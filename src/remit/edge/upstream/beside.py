"""Questions that a server of the older generation asks on the stream of the session instead of that of the call.

The stream does not say which call a question is about: it is taken for the latest one whose client answers such, and
for none where calls of others go over the same session. The call itself goes on meanwhile.
"""

import asyncio
from collections.abc import Coroutine
from typing import Final, Protocol

from msgspec import Raw

from remit.edge.upstream.message import Answer, Message, Request, answer_bytes
from remit.edge.upstream.wire import Held
from remit.limits import QUESTIONS_MAX

_NONE: Final = Request(method="", params=b"", timeout_s=0)


class Line(Protocol):
    """The wire a call goes over."""

    async def within(
        self, request: Request, number: int, *, work: Coroutine[None, None, Answer | Held]
    ) -> Answer | Held:
        """What comes of one step of an exchange, in the time its request has."""
        ...

    async def tell(self, body: bytes, *, seconds: float) -> None:
        """Say something that has no answer."""
        ...

    def cancel(self, number: int) -> None:
        """Tell the server that nobody waits for a call any more."""
        ...


class Beside:
    """One call that may be asked about beside its own stream; listed in `besides` while it runs."""

    def __init__(self, line: Line, besides: "Besides", *, number: int) -> None:
        self.asked: asyncio.Queue[Message] = asyncio.Queue()
        self.request = _NONE
        self.line, self.number = line, number
        self._besides = besides
        self._work: asyncio.Task[Answer | Held] | None = None

    async def step(self, work: Coroutine[None, None, Answer | Held], request: Request) -> Answer | Held:
        """Begin the call, until it ends or a question comes."""
        self._work = asyncio.ensure_future(work)
        self._besides[self.number] = self
        return await self.next(request)

    async def next(self, request: Request) -> Answer | Held:
        """Go on until the call ends or a question comes."""
        self.request = request
        work = self._work
        if work is None:
            raise RuntimeError("the call was not begun")
        question = asyncio.ensure_future(self.asked.get())
        try:
            await asyncio.wait({work, question}, return_when=asyncio.FIRST_COMPLETED)
            if question.done() and not work.done():
                return _BesideHeld(self, question.result())
            self.end()
            return await work
        except BaseException:
            self.end()
            work.cancel()
            raise
        finally:
            question.cancel()

    def told(self, method: str, params: Raw) -> None:
        """What the server says on the call's own stream is for whoever waits for the call now."""
        if self.request.told is not None:
            self.request.told(method, params)

    def end(self) -> None:
        """Nothing more is asked about the call."""
        self._besides.pop(self.number, None)

    def abandon(self) -> None:
        """Nobody waits for the call any more."""
        self.end()
        if self._work is not None:
            self._work.cancel()
        self.line.cancel(self.number)


Besides = dict[int, Beside]


def ask_beside(besides: Besides, question: Message) -> bool:
    """Put a question to the call it is taken to be about; False if there is none, or it was asked too much already."""
    found = [one for one in besides.values() if one.request.answers(question.method)]
    if not found or any(one.request.shared for one in found):
        return False
    if found[-1].asked.qsize() >= QUESTIONS_MAX:
        return False
    found[-1].asked.put_nowait(question)
    return True


class _BesideHeld:
    """Implements `Held`: the call runs on while somebody thinks about the question."""

    def __init__(self, beside: Beside, question: Message) -> None:
        self.question = question
        self._beside = beside

    async def answered(self, answer: Raw, request: Request) -> Answer | Held:
        return await self._beside.line.within(request, self._beside.number, work=self._resumed(answer, request))

    def abandon(self) -> None:
        self._beside.abandon()

    async def _resumed(self, answer: Raw, request: Request) -> Answer | Held:
        await self._beside.line.tell(answer_bytes(self.question, answer), seconds=request.timeout_s)
        return await self._beside.next(request)
