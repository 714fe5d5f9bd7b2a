"""Step 12 for a call that ends later: whose operation it is, and the completion that ends its record.

An operation is its caller's own: same principal, same agent, at its connector's endpoint or the aggregate, under the
task its call was made under. To anybody else it does not exist. It is completed once; what was given then is given
again as long as the server gives the same.
"""

import hashlib
from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct

from remit.answer import About, Released, Withheld
from remit.ledger.receipt import Completion, Draft
from remit.reasons import Denied, Reason

EndedAs = Literal["completed", "tool_error", "failed", "cancelled", "withheld", "unknown"]


class End(Struct, frozen=True, kw_only=True):
    """How it ended. `digest` is over the operation's id and the result, so that another one is noticed."""

    outcome: EndedAs
    reason: str = ""
    detail: str = ""
    digest: str = ""


class Operation(Struct, frozen=True, kw_only=True):
    """The row `operation/<id>`: a call that was accepted. `intent` is its receipt, `digest` the call's without answers.

    `client` is set if the task was that client's default one. `theirs` is what the server calls it. `arguments` are
    the call's, as JSON, kept for deciding about answers only where the catalogue keeps them. `expires` is epoch ms.
    """

    id: str
    call: str
    intent: int
    digest: str
    principal: str
    agent: str
    task: str
    connector: str
    name: str
    contract: str
    theirs: str
    about: About
    expires: int
    client: str | None = None
    arguments: str | None = None
    stopped: bool = False
    ended: End | None = None


def operations_of(agent: str) -> str:
    """The counter of an agent's operations that are not forgotten yet."""
    return f"agent/{agent}/operations"


class Came(Struct, frozen=True, kw_only=True):
    """What came of an operation: of its result, what the agent may see (None: it was cancelled), or why nobody will
    ever hear. `status` is the server's word, `keep` whether the catalogue keeps results.
    """

    result: Released | Withheld | None = None
    lost: str = ""
    status: str = ""
    upstream: str = ""
    keep: bool = False


class Caller(NamedTuple):
    """Who asks about an operation: at which connector's endpoint (None: the aggregate), naming which task in header
    and token (empty or None: neither), as which client.
    """

    principal: str
    agent: str
    connector: str | None
    tasks: tuple[str | None, ...]
    client: str


def owned(operation: Operation | None, caller: Caller, *, now: int) -> Operation:
    """The operation, if it is the caller's own and not forgotten yet; else `Denied(call.operation)`."""
    if operation is None or now >= operation.expires:
        raise Denied(Reason.CALL_OPERATION, "there is none of that id")
    if (operation.principal, operation.agent) != (caller.principal, caller.agent):
        raise Denied(Reason.CALL_OPERATION, "it is another's")
    if caller.connector not in (None, operation.connector):
        raise Denied(Reason.CALL_OPERATION, "it is of another connector")
    named = {task for task in caller.tasks if task}
    if named != {operation.task} and (named or caller.client != operation.client):
        raise Denied(Reason.CALL_OPERATION, "it is of another task")
    return operation


def closed(operation: Operation, came: Came) -> tuple[Operation, Draft]:
    """The row as it is once it has ended, and the completion's receipt with the result beside it."""
    ended, result = _end(operation, came), came.result
    values = {"result": bytes(result.result)} if isinstance(result, Released) else {}
    body = Completion(
        call=operation.call,
        intent=operation.intent,
        operation=operation.id,
        outcome=ended.outcome,
        status=came.status,
        reason=ended.reason,
        detail=ended.detail,
        labels=result.labels if isinstance(result, Released) else (),
        received=sum(map(len, values.values())),
        upstream=came.upstream,
    )
    hash_only = frozenset() if came.keep else frozenset(values)
    draft = Draft(body=body, task=operation.task, values=values, hash_only=hash_only)
    return msgspec.structs.replace(operation, ended=ended, arguments=None), draft


def same(operation: Operation, came: Released) -> bool:
    """Whether this is what was on record when it ended."""
    return operation.ended is not None and operation.ended.digest == _digest(operation, came)


def _end(operation: Operation, came: Came) -> End:
    result = came.result
    if came.lost:
        return End(outcome="unknown", detail=came.lost)
    if result is None:
        return End(outcome="cancelled", detail="the agent asked for it" if operation.stopped else "")
    if isinstance(result, Withheld):
        return End(outcome="withheld", reason=result.reason, detail=result.detail)
    if result.error is not None:
        return End(outcome="failed", detail=f"error {result.error.code}", digest=_digest(operation, result))
    return End(outcome=result.ending, digest=_digest(operation, result))


def _digest(operation: Operation, came: Released) -> str:
    # The operation's id is unguessable: nobody can try out what the result was once the row is gone.
    error = msgspec.json.encode(came.error) if came.error is not None else b""
    return "sha256:" + hashlib.sha256(b"\0".join((operation.id.encode(), bytes(came.result), error))).hexdigest()
