"""One JSON-RPC message, read strictly, and the answers to it.

Refused: batches, unknown members, ids that are not a string or an integer, params that are not an object.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from remit.canonical import parse
from remit.edge.mcp.wire import Code
from remit.identity.model import Principal
from remit.limits import REQUEST_ID_CHARS_MAX
from remit.reasons import Denied, Reason

Id = str | int

_MEMBERS: Final = frozenset({"jsonrpc", "id", "method", "params"})
_SAID: Final[dict[int, int]] = {Code.MISSING_CAPABILITY: 400, Code.METHOD_NOT_FOUND: 404}
_STATUS: Final = {Reason.CALL_TOO_LARGE: 413}


class Message(Struct, frozen=True, kw_only=True):
    """A request, or (id None) a notification. `params` is as the client sent it, parsed by `canonical.parse`."""

    method: str
    id: Id | None = None
    params: dict[str, Any] | None = None

    @property
    def meta(self) -> dict[str, Any]:
        """The `_meta` of the params; empty unless it is an object."""
        found = (self.params or {}).get("_meta")
        return found if isinstance(found, dict) else {}


class Answered(Struct, frozen=True, kw_only=True):
    """A client's answer to a request of ours: its result, or `{"error": …}` with the error it answered with."""

    id: Id
    answer: dict[str, Any]


class Response(Struct, frozen=True, kw_only=True):
    """An HTTP answer, whole. `headers` come on top of content type and length."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = b"application/json"


class Fault(Exception):
    """A request the door refuses itself: HTTP `status`, JSON-RPC `code` and `message`; `reason` goes on
    record, under the name of `who` sent it if that is proven.
    """

    def __init__(self, status: int, code: Code, *, message: str, reason: Reason = Reason.CALL_MALFORMED) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.reason = reason
        self.who: Principal | None = None
        self.data: Any = None
        self.headers: tuple[tuple[bytes, bytes], ...] = ()

    def carrying(self, data: Any) -> "Fault":
        """The same fault with `error.data`."""
        self.data = data
        return self

    def response(self, request_id: Id | None = None) -> Response:
        """The HTTP answer; closing what may still be sending."""
        closing = ((b"connection", b"close"),) if self.status == _STATUS[Reason.CALL_TOO_LARGE] else ()
        body = error(request_id, self.code, message=self.message, data=self.data)
        return Response(status=self.status, body=body, headers=self.headers + closing)


def status_of(code: int) -> int:
    """How the modern wire says a server's error besides (MCP 2026-07-28, transports)."""
    return _SAID.get(code, 200)


def unserved(message: str) -> Fault:
    """A method that is not on the list."""
    return Fault(404, Code.METHOD_NOT_FOUND, message=message, reason=Reason.CALL_METHOD)


def read(body: bytes) -> Message | Answered:
    """The message a body holds, or `Fault`."""
    try:
        value = parse(body)
    except Denied as no:
        code = Code.PARSE_ERROR if no.reason is Reason.CALL_MALFORMED else Code.INVALID_REQUEST
        raise Fault(_STATUS.get(no.reason, 400), code, message=no.detail, reason=no.reason) from no
    _check_text(body, value)
    if not isinstance(value, dict):
        raise _invalid("the body has to be one JSON-RPC object; batches are not served")
    if "method" not in value and ("result" in value or "error" in value):
        return _answered(value)
    unknown = value.keys() - _MEMBERS
    if unknown:
        raise _invalid(f"unknown member `{min(unknown)[:80]}`")
    method, params = value.get("method"), value.get("params")
    if value.get("jsonrpc") != "2.0" or not isinstance(method, str) or not method:
        raise _invalid("a JSON-RPC 2.0 request has `jsonrpc` and `method`")
    if "params" in value and not isinstance(params, dict):
        raise _invalid("`params` has to be an object")
    return Message(method=method, params=params, id=_id(value["id"]) if "id" in value else None)


def _answered(value: dict[str, Any]) -> Answered:
    said = value.keys() - {"jsonrpc", "id"}
    answer = {"error": value["error"]} if "error" in value else value["result"]
    if len(said) != 1 or value.get("jsonrpc") != "2.0" or "id" not in value or not isinstance(answer, dict):
        raise _invalid("a JSON-RPC 2.0 response has `jsonrpc`, `id` and either `result` or `error`")
    return Answered(id=_id(value["id"]), answer=answer)


def _check_text(body: bytes, value: Any) -> None:
    """Half a surrogate pair, which only an escape can smuggle in, is no text: nothing could answer with it."""
    if b"\\u" not in body:
        return
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError as e:
        raise Fault(400, Code.PARSE_ERROR, message="a string holds a lone surrogate") from e


def _id(value: Any) -> Id:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _invalid("`id` has to be a string or an integer")
    if isinstance(value, str) and len(value) > REQUEST_ID_CHARS_MAX:
        raise _invalid(f"`id` has at most {REQUEST_ID_CHARS_MAX} characters")
    return value


def _invalid(message: str) -> Fault:
    return Fault(400, Code.INVALID_REQUEST, message=message)


def result(request_id: Id | None, value: Any) -> bytes:
    """A response; a `Raw` value is spliced in as it is."""
    return msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "result": value})


def request(request_id: Id, method: str, *, params: Raw) -> bytes:
    """A request of ours to a client."""
    return msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})


def notification(method: str, params: Any) -> bytes:
    """A notification to a client."""
    return msgspec.json.encode({"jsonrpc": "2.0", "method": method, "params": params})


def error(request_id: Id | None, code: int, *, message: str, data: Any = None) -> bytes:
    """An error response."""
    # A message may quote what could not be read as text.
    about: dict[str, Any] = {"code": code, "message": message.encode(errors="replace").decode()}
    if data is not None:
        about["data"] = data
    return msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "error": about})
