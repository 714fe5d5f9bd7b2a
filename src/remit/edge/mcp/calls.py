"""Governed requests: whatever the backend answers is rendered in the client's revision.

A client of the session wire is asked what a server wants to know on the stream of its call, and its answers are further
calls; a modern client is answered with the questions, and calls again.
"""

import msgspec

from remit.answer import Accepted, Answered, Asking, Refusal
from remit.call import Ask
from remit.edge.mcp.asking import UNANSWERED, asked
from remit.edge.mcp.backend import Backend
from remit.edge.mcp.leaving import Cancelled
from remit.edge.mcp.mirrors import Mirrors
from remit.edge.mcp.render import Renderer
from remit.edge.mcp.replies import refused
from remit.edge.mcp.request import Request
from remit.edge.mcp.rounds import Rounds
from remit.edge.mcp.rpc import Response, status_of
from remit.limits import ROUNDS_MAX


class Calls:
    """Serves them over one backend."""

    def __init__(self, backend: Backend, renderer: Renderer) -> None:
        self._backend = backend
        self._render = renderer
        self._mirrors = Mirrors(backend)
        self._rounds = Rounds()

    async def answer(self, request: Request) -> Response:
        """The answer to one request; `Fault` where header and body disagree."""
        if request.modern and request.message.method == "tools/call":
            await self._mirrors.check(request)
        ask = request.ask()
        if request.modern and (about := self._rounds.resumed(request)) is not None:
            ask = msgspec.structs.replace(ask, round=about)
        answered = await request.cancellable(lambda cancelled: self._carried(request, ask, cancelled))
        if isinstance(answered, Refusal):
            return refused(request, answered, render=self._render)
        if isinstance(answered, Asking):
            state = self._rounds.asked(request, answered.round)
            return Response(body=self._render.asking(request.message.id, answered, state=state))
        if isinstance(answered, Accepted):
            return Response(body=self._render.accepted(request.message.id, answered))
        if request.session is not None and answered.error is None:
            _note_subscription(request)
        written = self._render.released(
            request.message.id, answered, method=request.message.method, modern=request.modern
        )
        return Response(
            body=written, status=status_of(answered.error.code) if request.modern and answered.error else 200
        )

    async def _carried(self, request: Request, ask: Ask, cancelled: Cancelled) -> Answered:
        """A call, and for a client that is asked over its session every further one that its answers are."""
        hears, session = request.hears(), request.session
        rounds = 1
        while True:
            answered = await self._backend.answer(ask, cancelled, hears=hears)
            if session is None or not isinstance(answered, Asking):
                return answered
            more = rounds < ROUNDS_MAX
            given = await asked(session, answered, stream=request.stream, cancelled=cancelled) if more else None
            if given is None:
                self._backend.abandon(answered)
                return UNANSWERED
            answers = {"inputResponses": {key: one.answer for key, one in given.items()}}
            token = next(iter(given.values())).token if given else ask.token
            params = {**(request.message.params or {}), **answers}
            ask = msgspec.structs.replace(ask, params=params, round=answered.round, token=token)
            rounds += 1


def _note_subscription(request: Request) -> None:
    """What a session hears of on its stream, once the call that asks for it has passed."""
    session, params = request.session, request.message.params or {}
    if session is not None and request.message.method == "resources/subscribe":
        session.subscribed.add(params["uri"])
    elif session is not None and request.message.method == "resources/unsubscribe":
        session.subscribed.discard(params["uri"])
