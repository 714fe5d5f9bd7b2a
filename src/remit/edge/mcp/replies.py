"""What the door itself answers: results of its own, and every no, to a call as the client's protocol has it, to a
request by its HTTP status.
"""

from typing import Any

from remit.answer import Refusal
from remit.edge.mcp.render import Renderer
from remit.edge.mcp.request import Request
from remit.edge.mcp.rpc import Fault, Response, error, result
from remit.edge.mcp.wire import Code
from remit.identity.resource import UNAUTHENTICATED, challenge
from remit.reasons import WORDS, Denied, Reason


def complete(request: Request, members: dict[str, Any], *, render: Renderer, ttl_ms: int | None = None) -> Response:
    """A result of the gateway's own; `ttl_ms` for those a modern client may cache."""
    whole = render.complete(members, modern=request.modern, ttl_ms=ttl_ms)
    return Response(body=result(request.message.id, whole))


def refused(request: Request, refusal: Refusal, *, render: Renderer) -> Response:
    """The answer to a call that did not pass; `Denied` where it is the token that is no good."""
    if refusal.reason in UNAUTHENTICATED:
        raise Denied(refusal.reason, refusal.detail)
    if refusal.reason is Reason.CALL_ANSWER and request.modern:
        # The model never saw the questions: it is its client that has to be told.
        body = error(request.message.id, Code.INVALID_PARAMS, message=refusal.detail or WORDS[refusal.reason].text)
        return Response(status=400, body=body)
    return Response(body=render.refusal(request.message, refusal, modern=request.modern))


def closed(no: Denied, url: str) -> Fault:
    """How the transport says no: 403 to a foreign host or origin, 401 to a token, 503 while nobody can be known."""
    words = WORDS[no.reason].text
    if no.reason is Reason.IDENTITY_ORIGIN:
        return Fault(403, Code.REFUSED, message=words, reason=no.reason)
    if no.reason not in UNAUTHENTICATED:
        return Fault(503, Code.REFUSED, message=words, reason=no.reason)
    fault = Fault(401, Code.UNAUTHENTICATED, message=words, reason=no.reason)
    fault.headers = ((b"www-authenticate", challenge(url, no.reason).encode()),)
    return fault
