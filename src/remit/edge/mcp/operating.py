"""The tasks extension (SEP-2663) as the wire has it: `tasks/get`, `tasks/update`, `tasks/cancel` of a modern client.

A client says with each request that it follows operations; one that does not is told so before anything is looked up.
What is answered is an operation of the gateway's under the gateway's name for it.
"""

from typing import Any, Final

from remit.answer import Accepted, Answered, Asking, Followed, Refusal
from remit.edge.mcp.backend import Backend
from remit.edge.mcp.leaving import Cancelled
from remit.edge.mcp.render import Renderer
from remit.edge.mcp.replies import refused
from remit.edge.mcp.request import Request
from remit.edge.mcp.rpc import Fault, Response, result
from remit.edge.mcp.wire import TASKS, Code
from remit.limits import NAME_CHARS_MAX
from remit.reasons import Reason

METHODS: Final = ("tasks/get", "tasks/update", "tasks/cancel")
_KNOWN: Final = frozenset({"taskId", "_meta"})


class Operating:
    """Serves the extension over one backend."""

    def __init__(self, backend: Backend, renderer: Renderer) -> None:
        self._backend = backend
        self._render = renderer

    async def answer(self, request: Request) -> Response:
        """Any of the three. `Fault` for a client that does not follow operations, or names none."""
        _check(request)

        async def tended(cancelled: Cancelled) -> Answered | Followed:
            return await self._backend.tended(request.ask(), cancelled)

        answered = await request.cancellable(tended)
        if isinstance(answered, Refusal):
            return refused(request, answered, render=self._render)
        if isinstance(answered, Followed):
            return Response(body=self._render.followed(request.message.id, answered))
        if isinstance(answered, Asking | Accepted) or answered.error is None:
            return Response(body=result(request.message.id, self._render.complete({}, modern=True)))
        return Response(body=self._render.released(request.message.id, answered, method="", modern=True))


def _check(request: Request) -> None:
    if not request.speaks().operations:
        needed: dict[str, Any] = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
        raise Fault(400, Code.MISSING_CAPABILITY, message=f"the client does not declare `{TASKS}`").carrying(needed)
    params = request.message.params or {}
    name, updates = params.get("taskId"), request.message.method == "tasks/update"
    if not isinstance(name, str) or len(name) > NAME_CHARS_MAX:
        raise _malformed("`taskId` names what a call was accepted as")
    unknown = params.keys() - (_KNOWN | {"inputResponses"} if updates else _KNOWN)
    if unknown:
        raise _malformed(f"unknown member `{min(unknown)[:80]}` of params")
    if updates and not isinstance(params.get("inputResponses"), dict):
        raise _malformed("`inputResponses` holds an object for each question")


def _malformed(message: str) -> Fault:
    return Fault(400, Code.INVALID_PARAMS, message=message, reason=Reason.CALL_MALFORMED)
