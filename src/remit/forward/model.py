"""What goes out, and what came back."""

from typing import Any

from msgspec import Raw, Struct


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

    `upstream` names server, version and protocol revision for the receipt.
    """

    result: Raw | None
    error: tuple[int, str] | None = None
    received: int = 0
    upstream: str = ""
