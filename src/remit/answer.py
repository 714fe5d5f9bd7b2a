"""How a call ended, and what the agent is given."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Raw, Struct

from remit.call.model import Round
from remit.reasons import Reason

Ending = Literal[
    "completed", "tool_error", "input_required", "accepted", "not_sent", "cancelled_unknown", "unknown", "withheld"
]
Status = Literal["working", "input_required", "completed", "failed", "cancelled"]


class ServerError(Struct, frozen=True):
    """The JSON-RPC error a server answered with. `data` is raw JSON, empty if there was none or too much."""

    code: int
    message: str
    data: Raw = Raw(b"")


class Released(Struct, frozen=True, kw_only=True):
    """An answer the agent may see: the raw JSON of the `result` member, or the server's own JSON-RPC `error`
    with an empty `result`. `labels` say how far it may be trusted; there is always one.
    """

    result: Raw
    ending: Literal["completed", "tool_error"]
    labels: tuple[str, ...]
    error: ServerError | None = None


class Question(Struct, frozen=True, kw_only=True):
    """What a server asks of the client: `elicitation/create`, `sampling/createMessage` or `roots/list`, and how."""

    method: str
    params: Raw


class Asking(Struct, frozen=True, kw_only=True):
    """The server wants answers before it ends the call. Nothing is trusted in a question either.

    The client's answers are a new call, which belongs to `round`.
    """

    questions: Mapping[str, Question]
    round: Round
    labels: tuple[str, ...]
    ending: Literal["input_required"] = "input_required"


class About(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What a server says of an operation, in its own spelling: times are ISO 8601 text, `ttl_ms` how long it is kept,
    `poll_interval_ms` how often to ask at most. `status_message` is for people, and untrusted.
    """

    status: Status
    created_at: str
    last_updated_at: str
    ttl_ms: int
    poll_interval_ms: int | None = None
    status_message: str | None = None


class Accepted(Struct, frozen=True, kw_only=True):
    """The server ends the call later (MCP's tasks extension; a task is something else here, so: an operation).

    `theirs` is what the server calls it and nobody else is told; `operation` what the client may call it.
    """

    theirs: str
    about: About
    labels: tuple[str, ...]
    operation: str = ""
    ending: Literal["accepted"] = "accepted"


class Withheld(Struct, frozen=True, kw_only=True):
    """No result the agent may see: why, and how the call ended."""

    ending: Ending
    reason: Reason
    detail: str = ""


class Refusal(Struct, frozen=True, kw_only=True):
    """What the agent is told instead of a result. `receipt` is empty where naming one would tell things apart that
    must look alike. `approvals` are the names of the approvals the call still needs.
    """

    reason: Reason
    detail: str
    verdict: Literal["DENY", "STEP_UP"]
    receipt: str = ""
    approvals: tuple[str, ...] = ()


class Followed(Struct, frozen=True, kw_only=True):
    """An operation as it stands now: what is open for the client to answer, or what came of it."""

    operation: str
    about: About
    labels: tuple[str, ...]
    questions: Mapping[str, Question] | None = None
    ended: Released | Refusal | None = None


Ended = Released | Asking | Accepted | Withheld
Answered = Released | Asking | Accepted | Refusal
