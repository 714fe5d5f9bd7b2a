"""What the main process and a worker say to each other, and how it is framed.

A frame is the version (1 byte), a length (4 bytes, big endian) and one message in msgpack. Both ends are the same
package, but not for ever: one that is replaced on disk starts workers of another version under a main process of this
one, so the first frame tells. A message is never partly believed: whatever cannot be read ends the worker.
"""

import struct
from typing import Any, Final, Literal

from msgspec import Struct, msgpack

from remit.catalogue.model import Contract
from remit.commit.model import Write, Written
from remit.commit.state import Moved
from remit.errors import CallerFault, Conflict, RemitError, StoreFault
from remit.identity.model import Key
from remit.ledger.receipt import AnyBody, Draft
from remit.reasons import Denied, Reason, Restart

VERSION: Final = 1
HEAD: Final = struct.Struct(">BI")
# The largest is a snapshot: a million rows or counters of a kilobyte.
FRAME_BYTES_MAX: Final = 1024 * 1024 * 1024


class Message(Struct, frozen=True, kw_only=True, tag=True, array_like=True):
    """Base of all. An answer has the number of what it answers."""


class Hello(Message, frozen=True, kw_only=True):
    """A worker's first word: the version of Remit it runs."""

    release: str


class Welcome(Message, frozen=True, kw_only=True):
    """The first answer: everything readable as it is now, and what a worker works with."""

    moved: Moved
    catalogue: str
    url: str
    index: int
    workers: int
    token_key: Key


class Ready(Message, frozen=True, kw_only=True):
    """The worker accepts connections."""


class Leaving(Message, frozen=True, kw_only=True):
    """The worker accepts no connections any more; what runs may still end."""


class _Draft(Draft, frozen=True, kw_only=True):
    body: AnyBody


class _Write(Write, frozen=True, kw_only=True):
    drafts: tuple[_Draft, ...] = ()


class Submit(Message, frozen=True, kw_only=True):
    """A write; `durable` says when it is answered: when it is durable, or as soon as it is sequenced."""

    number: int
    durable: bool
    write: Write


class _Submitted(Submit, frozen=True, kw_only=True, tag="Submit"):
    """As it is read: with the drafts' bodies for what they are."""

    write: _Write


class Accepted(Message, frozen=True, kw_only=True):
    number: int
    written: Written


class Refused(Message, frozen=True, kw_only=True):
    """What was raised instead, as itself. `text` is a detail or message, `more` what the kind has beside it."""

    number: int
    kind: Literal["Denied", "Restart", "Conflict", "CallerFault", "StoreFault"]
    text: str
    more: tuple[str, ...] = ()


class Changed(Message, frozen=True, kw_only=True):
    """What one write changed. They come in their order, and before whatever is said because of them."""

    moved: Moved


class Observed(Message, frozen=True, kw_only=True):
    """What a tool server says of itself, where that is not what is known of it. Answered by `Done` or `Refused`."""

    number: int
    connector: str
    contracts: tuple[Contract, ...]


class Settle(Message, frozen=True, kw_only=True):
    """Take over what was said before this, end what is named (see `Upstreams.end`), then answer `Done`."""

    number: int
    task: str | None = None
    connector: str | None = None
    agent: str | None = None
    before: int = 0


class Done(Message, frozen=True, kw_only=True):
    number: int


class Stop(Message, frozen=True, kw_only=True):
    """Accept nothing more, let what runs end, and exit."""


ToMain = Hello | Ready | Leaving | _Submitted | Observed | Done
ToWorker = Welcome | Accepted | Refused | Changed | Settle | Done | Stop

AT_MAIN: Final[msgpack.Decoder[Any]] = msgpack.Decoder(ToMain)
AT_WORKER: Final[msgpack.Decoder[Any]] = msgpack.Decoder(ToWorker)

_encode: Final = msgpack.Encoder().encode
_FAULTS: Final[dict[str, type[RemitError]]] = {
    "Conflict": Conflict,
    "CallerFault": CallerFault,
    "StoreFault": StoreFault,
}


def framed(message: Message) -> bytes:
    """A message as it travels."""
    body = _encode(message)
    return HEAD.pack(VERSION, len(body)) + body


def refused(number: int, error: RemitError | Denied | Restart) -> Refused:
    """The answer that says an error. A kind no write raises is a `StoreFault`."""
    if isinstance(error, Denied):
        return Refused(number=number, kind="Denied", text=error.detail, more=(error.reason, *error.approvals))
    if isinstance(error, Restart):
        return Refused(number=number, kind="Restart", text=str(error))
    kind = next((name for name, fault in _FAULTS.items() if type(error) is fault), "StoreFault")
    return Refused(number=number, kind=kind, text=error.message, more=(error.advice,))  # type: ignore[arg-type]


def raised(said: Refused) -> Exception:
    """The error an answer says."""
    if said.kind == "Denied":
        reason, *approvals = said.more
        return Denied(Reason(reason), said.text, approvals=tuple(approvals))
    if said.kind == "Restart":
        return Restart(said.text)
    return _FAULTS[said.kind](said.text, *said.more)
