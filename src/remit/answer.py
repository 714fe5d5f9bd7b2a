"""How a call ended, and what the agent is given."""

from typing import Literal

from msgspec import Raw, Struct

from remit.reasons import Reason

Ending = Literal["completed", "tool_error", "not_sent", "cancelled_unknown", "unknown", "withheld"]


class Released(Struct, frozen=True, kw_only=True):
    """An answer the agent may see: the raw JSON of the `result` member, or the server's own JSON-RPC `error`
    (code, message) with an empty `result`. `labels` say how far it may be trusted; there is always one.
    """

    result: Raw
    ending: Literal["completed", "tool_error"]
    labels: tuple[str, ...]
    error: tuple[int, str] | None = None


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
