"""What goes out, and what came back."""

from typing import Any, Literal

from msgspec import Raw, Struct

from remit.reasons import Reason


class Outgoing(Struct, frozen=True, kw_only=True):
    """One call as it will be sent. `arguments` are the canonical bytes the warrant's digest covers; a driver splices
    them in and writes everything else itself. `meta` is the caller's `_meta` cut down to the allow-list.
    """

    method: str
    name: str
    arguments: Raw
    meta: dict[str, Any]
    timeout_s: int


class Reply(Struct, frozen=True, kw_only=True):
    """A server's final answer to one call: `result` as raw JSON of the `result` member, or `error` (code, message).

    `result` None without an error means it was larger than is read. `upstream` names server, version and protocol
    revision for the receipt.
    """

    result: Raw | None
    error: tuple[int, str] | None = None
    received: int = 0
    upstream: str = ""


class Fault(Struct, frozen=True, kw_only=True):
    """What came instead of a reply. `not_sent` only when no byte of the call can have reached the server."""

    ending: Literal["not_sent", "unknown", "cancelled_unknown"]
    reason: Reason
    detail: str = ""
