"""What goes out, and what came back."""

from typing import Any, Final, Literal

from msgspec import Raw, Struct

from remit.answer import ServerError
from remit.call import Client
from remit.reasons import Reason

NOBODY: Final = Client()


class Outgoing(Struct, frozen=True, kw_only=True):
    """One call as it will be sent. `arguments` are the canonical bytes the warrant's digest covers; a driver splices
    them in and writes everything else itself. `meta` is the caller's `_meta` cut down to the allow-list, `client` what
    the server may ask of the caller and tell it meanwhile.

    `answers` (canonical, by question) go with a call that goes on after questions; `state` and `held` are its round's.
    With an `operation`, by what its server calls it, the method is about that and no arguments travel.
    """

    method: str
    name: str
    arguments: Raw
    meta: dict[str, Any]
    timeout_s: int
    client: Client = NOBODY
    answers: Raw | None = None
    state: str | None = None
    held: str = ""
    operation: str = ""


class Committed(Struct, frozen=True, kw_only=True):
    """The call an operation came of: whose it was, and the seq of its intent."""

    connector: str
    agent: str
    task: str
    intent: int


class Reply(Struct, frozen=True, kw_only=True):
    """A server's answer to one call: `result` as raw JSON of the `result` member, or `error`.

    `result` None without an error means it was larger than is read. `upstream` names server, version and protocol
    revision for the receipt. A result may ask for input first; where the server waits for that on an open exchange,
    `held` names it.
    """

    result: Raw | None
    error: ServerError | None = None
    received: int = 0
    upstream: str = ""
    held: str = ""


class Fault(Struct, frozen=True, kw_only=True):
    """What came instead of a reply. `not_sent` only when no byte of the call can have reached the server."""

    ending: Literal["not_sent", "unknown", "cancelled_unknown"]
    reason: Reason
    detail: str = ""
