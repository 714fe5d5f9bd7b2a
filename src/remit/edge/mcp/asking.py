"""Asking a client of the session wire what a server wants to know, on the stream of the call it is about.

Each question goes out as a request of ours, and the client posts its answer like anything else it says: with a token.
What it answers is a new call, which is decided on; nothing is decided here.
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Final

from remit.answer import Asking, Refusal
from remit.edge.mcp.leaving import Cancelled
from remit.edge.mcp.rpc import notification, request
from remit.edge.mcp.sessions import Given, Session
from remit.edge.mcp.stream import Stream
from remit.limits import ANSWER_WAIT_S
from remit.reasons import Reason

# A server that only wants to be asked again is, after a while.
_AGAIN_S: Final = 1.0
UNANSWERED: Final = Refusal(
    reason=Reason.CALL_ANSWER, detail="the tool server asked something, and no answer came", verdict="DENY"
)


async def asked(session: Session, asking: Asking, *, stream: Stream, cancelled: Cancelled) -> dict[str, Given] | None:
    """The client's answers by question; None if it does not give them all, in time. The client is told then."""
    if not asking.questions:
        await asyncio.sleep(_AGAIN_S)
        return {}
    async with AsyncExitStack() as open_questions:
        waiting: dict[str, asyncio.Future[Given]] = {}
        names: list[str] = []
        for key, question in asking.questions.items():
            name, waiting[key] = await open_questions.enter_async_context(session.asking())
            names.append(name)
            if not stream.say(request(name, question.method, params=question.params), must=True):
                return None
        gone: asyncio.Future[object] = asyncio.ensure_future(cancelled.wait())
        answers: asyncio.Future[object] = asyncio.gather(*waiting.values())  # type: ignore[assignment]
        try:
            await asyncio.wait({gone, answers}, timeout=ANSWER_WAIT_S, return_when=asyncio.FIRST_COMPLETED)
            if answers.done():
                return {key: future.result() for key, future in waiting.items()}
            for name in names:
                stream.say(notification("notifications/cancelled", {"requestId": name}))
            return None
        finally:
            gone.cancel()
            answers.cancel()
