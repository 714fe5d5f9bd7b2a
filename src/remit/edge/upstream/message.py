"""JSON-RPC as it crosses to a tool server.

Rules: `params` is written elsewhere and spliced in as it is; an answer is read once, bounded by whoever took it from
the wire, and its `result` is kept as the bytes that came. Nothing here holds a connection or a clock.

Example: `request_bytes(7, "tools/call", params=b'{"name":"x","arguments":{}}')` is the line of one call.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec import Raw, Struct

from remit.catalogue.model import Contract
from remit.errors import UpstreamFault
from remit.forward.facts import Told
from remit.forward.model import Outgoing
from remit.result import ASKS

_ABOUT_A_CALL: Final = frozenset(
    {"notifications/progress", "notifications/message", "notifications/elicitation/complete"}
)
METHOD_NOT_FOUND: Final = -32601
_ID_BYTES_MAX: Final = 128
_ATTRIBUTION_BYTES: Final = 4096
_NUMBER: Final = re.compile(rb"[0-9]{1,15}\Z")
_HEAD_ID: Final = re.compile(rb'\A\s*\{(?:\s*"jsonrpc"\s*:\s*"2\.0"\s*,)?\s*"id"\s*:\s*(\d{1,15})\s*,')
_TAIL_ID: Final = re.compile(rb'[\]}]\s*,(?:\s*"jsonrpc"\s*:\s*"2\.0"\s*,)?\s*"id"\s*:\s*(\d{1,15})\s*\}\s*\Z')


class Request(Struct, frozen=True, kw_only=True):
    """One question to a server. `params` is JSON. `outgoing` and `contract` are set for a governed call only; so are
    `told`, which hears what else the server says about it, `token`, by which it says so, and `shared`, whether calls
    of others may go over the same line. A request that `listens` is answered when the listening ends.
    """

    method: str
    params: bytes
    timeout_s: float
    outgoing: Outgoing | None = None
    contract: Contract | None = None
    told: Told | None = None
    token: int = 0
    shared: bool = False
    listens: bool = False

    def hears(self, method: str) -> bool:
        """Whether a notification on its way is about it: about a call while it runs, or whatever was listened for."""
        return self.listens or method in _ABOUT_A_CALL

    def answers(self, asked: str | None) -> bool:
        """Whether the client this call is made for answers such questions."""
        return self.outgoing is not None and ASKS.get(asked or "") in self.outgoing.client.capabilities


class Wrong(Struct, frozen=True):
    """The `error` member of an answer."""

    code: int
    message: str
    data: Raw = Raw(b"")


class Answer(Struct, frozen=True, kw_only=True):
    """What came back to a request: `result`, or `error`, or neither when it was larger than is read.

    `received` counts its bytes.
    """

    result: Raw | None = None
    error: Wrong | None = None
    received: int = 0


class Message(Struct, frozen=True):
    """Anything a server can say."""

    jsonrpc: Literal["2.0"]
    id: Raw = Raw(b"")
    method: str | None = None
    params: Raw = Raw(b"{}")
    result: Raw = Raw(b"")
    error: Wrong | None = None

    @property
    def answers(self) -> int | None:
        """The id of our request it answers, None for anything else."""
        written = bytes(self.id)
        return int(written) if self.method is None and _NUMBER.match(written) else None


class _Progress(Struct):
    progressToken: int  # noqa: N815 - MCP's spelling


class _Tag(Struct):
    subscription: int | None = msgspec.field(name="io.modelcontextprotocol/subscriptionId", default=None)


class _Tagged(Struct):
    meta: _Tag = msgspec.field(name="_meta", default_factory=_Tag)


_TAGGED: Final = msgspec.json.Decoder(_Tagged)
_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw])
_PROGRESS: Final = msgspec.json.Decoder(_Progress)
_MESSAGES: Final = msgspec.json.Decoder(Message)


def request_bytes(number: int, method: str, *, params: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","id":%d,"method":"%s","params":%s}' % (number, method.encode(), params)


def notification_bytes(method: str, params: Mapping[str, Any] | None = None) -> bytes:
    told = {"jsonrpc": "2.0", "method": method}
    return msgspec.json.encode({**told, "params": params} if params else told)


def response_bytes(asked: Message) -> bytes | None:
    """Our answer to a server's request: pong, or that we do no such thing. None if it cannot be answered."""
    written = bytes(asked.id)
    if len(written) > _ID_BYTES_MAX or written[:1] in (b"{", b"["):
        return None
    if asked.method == "ping":
        return msgspec.json.encode({"jsonrpc": "2.0", "id": asked.id, "result": {}})
    unknown = {"code": METHOD_NOT_FOUND, "message": "Method not found"}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": asked.id, "error": unknown})


def progress_of(message: Message) -> int | None:
    """The token a progress notification is for, None for any other message and for none of ours."""
    if message.method != "notifications/progress":
        return None
    try:
        return _PROGRESS.decode(message.params).progressToken
    except (msgspec.DecodeError, RecursionError):
        return 0


def listened_by(message: Message) -> int | None:
    """The request that listens for a notification, as a modern server says it; None if it does not."""
    try:
        return _TAGGED.decode(message.params).meta.subscription
    except (msgspec.DecodeError, RecursionError):
        return None


def answer_bytes(asked: Message, answer: Raw) -> bytes:
    """The client's answer to a server's request: its result, or the error it answered with, if that is all it says."""
    members = _MEMBERS.decode(answer)
    if members.keys() == {"error"}:
        return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (bytes(asked.id), bytes(members["error"]))
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (bytes(asked.id), bytes(answer))


def read(data: bytes) -> Message:
    """The message in `data`, or `ValueError`: JSON-RPC 2.0, UTF-8, one object."""
    if not data.isascii():
        data.decode("utf-8")
    try:
        return _MESSAGES.decode(data)
    except RecursionError as e:
        raise ValueError("nested too deeply") from e


def answer_of(message: Message, received: int) -> Answer:
    """The answer in a message that is one, or `UpstreamFault`: exactly one of an object `result` and an `error`."""
    result = bytes(memoryview(message.result)[:1])
    if message.error is not None and not result:
        return Answer(error=message.error, received=received)
    if message.error is None and result == b"{":
        return Answer(result=message.result, received=received)
    raise not_mcp("the tool server's answer holds no result object")


def attributed(head: bytes, tail: bytes) -> int | None:
    """The request id an unreadable or oversized answer seems to be for, from its first and last bytes."""
    found = _HEAD_ID.match(head[:_ATTRIBUTION_BYTES]) or _TAIL_ID.search(tail[-_ATTRIBUTION_BYTES:])
    return int(found[1]) if found else None


def not_mcp(message: str) -> UpstreamFault:
    return UpstreamFault(message, "see the tool server's own log", sent=True, why="protocol")
