"""Step 11 for a call that ends later (MCP's tasks extension, SEP-2663): what a server says of its operation.

That it accepted the call, how it stands, what it wants to know, what came of it: each is read strictly and bounded in
size. The server's name for the operation is for the gateway alone. What came of it passes `inspect` like any result.
"""

import re
from typing import Final

import msgspec
from msgspec import Raw, Struct

from remit.answer import About, Accepted, ServerError, Status, Withheld
from remit.forward.model import Reply
from remit.limits import NAME_CHARS_MAX, OPERATION_LIFETIME_MAX_S, OPERATION_TEXT_CHARS_MAX
from remit.reasons import Denied, Reason
from remit.result.asked import Asked

UNTRUSTED: Final = ("untrusted",)
ENDED: Final = frozenset({"completed", "failed", "cancelled"})
_UNKNOWN: Final = -32602
_ERROR_DATA_BYTES_MAX: Final = 64 * 1024
_TTL_MAX_MS: Final = OPERATION_LIFETIME_MAX_S * 1000
_NAME: Final = re.compile(r"[!-~]+\Z")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.,+\-Z]{1,40}\Z", re.ASCII)


class _Wrong(Struct):
    code: int
    message: str
    data: Raw = Raw(b"")


class _Task(Struct, rename="camel"):
    """MCP's `Task`, and what `tasks/get` has besides."""

    task_id: str
    status: Status
    created_at: str
    last_updated_at: str
    ttl_ms: int | None = None
    poll_interval_ms: int | None = None
    status_message: str | None = None
    result: Raw = Raw(b"")
    error: _Wrong | None = None
    input_requests: dict[str, Asked] = {}


_TASK: Final = msgspec.json.Decoder(_Task)


class Report(Struct, frozen=True, kw_only=True):
    """How a server says it stands with an operation: what came of it when it has ended (of a cancelled one: nothing),
    what it wants to know while it waits for answers.
    """

    about: About
    reply: Reply | None = None
    asked: dict[str, Asked] = {}

    @property
    def ended(self) -> bool:
        return self.about.status in ENDED


def accepted(result: Raw) -> Accepted | Withheld:
    """The call goes on as an operation, if that is what the result says in a form that is known."""
    try:
        said = _TASK.decode(result)
    except (msgspec.DecodeError, RecursionError):
        return _withheld("it makes a task in no form that is known")
    about = _about(said)
    if about is None or len(said.task_id) > NAME_CHARS_MAX or not _NAME.match(said.task_id):
        return _withheld("it makes a task in no form that is known")
    return Accepted(theirs=said.task_id, about=about, labels=UNTRUSTED)


def report(reply: Reply, theirs: str) -> Report:
    """What a server answers to `tasks/get`. `Denied(call.operation)` if it knows no such operation,
    `Denied(upstream.operation)` for whatever does not say how it stands, `Denied(result.too_large)` for more than is
    read.
    """
    if reply.error is not None:
        if reply.error.code == _UNKNOWN:
            raise Denied(Reason.CALL_OPERATION, "the tool server does not know it")
        raise Denied(Reason.UPSTREAM_OPERATION, f"error {reply.error.code}")
    if reply.result is None:
        raise Denied(Reason.RESULT_TOO_LARGE)
    try:
        said = _TASK.decode(reply.result)
    except (msgspec.DecodeError, RecursionError) as e:
        raise Denied(Reason.UPSTREAM_OPERATION, "its answer has no form that is known") from e
    about = _about(said)
    if about is None or said.task_id != theirs or not _whole(said):
        raise Denied(Reason.UPSTREAM_OPERATION, "its answer has no form that is known")
    asked = said.input_requests if about.status == "input_required" else {}
    return Report(about=about, reply=_came(said, reply.upstream), asked=asked)


def _came(said: _Task, upstream: str) -> Reply | None:
    """What came of it, as its call would have been answered."""
    if said.status == "completed":
        return Reply(result=said.result, received=len(memoryview(said.result)), upstream=upstream)
    if said.status == "failed" and said.error is not None:
        data = said.error.data if len(memoryview(said.error.data)) <= _ERROR_DATA_BYTES_MAX else Raw(b"")
        error = ServerError(said.error.code, said.error.message, data)
        return Reply(result=None, error=error, upstream=upstream)
    return None


def _about(said: _Task) -> About | None:
    ttl = said.ttl_ms if said.ttl_ms is not None else _TTL_MAX_MS
    often = said.poll_interval_ms
    moments = _MOMENT.match(said.created_at) and _MOMENT.match(said.last_updated_at)
    if not moments or ttl <= 0 or (often is not None and often <= 0):
        return None
    return About(
        status=said.status,
        created_at=said.created_at,
        last_updated_at=said.last_updated_at,
        ttl_ms=min(ttl, _TTL_MAX_MS),
        poll_interval_ms=often,
        status_message=said.status_message and said.status_message[:OPERATION_TEXT_CHARS_MAX],
    )


def _whole(said: _Task) -> bool:
    """Whether an ended one says what came of it, and a waiting one what for."""
    match said.status:
        case "completed":
            return bytes(said.result).startswith(b"{")
        case "failed":
            return said.error is not None
        case "input_required":
            return bool(said.input_requests)
        case _:
            return True


def _withheld(detail: str) -> Withheld:
    return Withheld(ending="withheld", reason=Reason.RESULT_SCHEMA, detail=detail)
