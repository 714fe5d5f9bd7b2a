"""One HTTP exchange: the headers this door reads, the body within its bounds, the answer.

Of the headers only those listed are looked at; one of them twice is refused, since two readers could each believe
a different copy. Values are ASCII; what is not travels in MCP's base64 form.
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import Any, Final

from remit.edge.mcp.rpc import Fault, Response
from remit.edge.mcp.wire import Code
from remit.limits import BODY_BYTES_MAX, LABEL_CHARS_MAX
from remit.reasons import Reason

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_LENGTH: Final = re.compile(r"[0-9]{1,18}\Z")
_READ: Final = {
    name: name.decode()
    for name in (
        *(b"host", b"origin", b"authorization", b"accept", b"content-type", b"content-length"),
        *(b"mcp-protocol-version", b"mcp-method", b"mcp-name", b"mcp-session-id", b"remit-task", b"remit-client"),
    )
}
_MIRRORED: Final = b"mcp-param-"
_LABEL: Final = re.compile(rf"[A-Za-z0-9._:@-]{{1,{LABEL_CHARS_MAX}}}\Z")


class Gone(Exception):
    """The client went away before its request was whole."""


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers this door reads, by lower-case name, without surrounding blanks."""
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name = _READ.get(raw)
        if name is None:
            if not raw.startswith(_MIRRORED):
                continue
            name = raw.decode("latin-1")
        if name in found:
            code = Code.HEADER_MISMATCH if name.startswith("mcp-") else Code.INVALID_REQUEST
            raise Fault(400, code, message=f"the header `{name[:80]}` stands twice", reason=Reason.CALL_MISMATCH)
        try:
            found[name] = value.decode("ascii").strip(" \t")
        except UnicodeDecodeError as e:
            raise Fault(400, Code.INVALID_REQUEST, message=f"the header `{name[:80]}` is not ASCII") from e
    return found


def label(headers: dict[str, str], name: str) -> str | None:
    """A header that names something of ours: short and plain, or `Fault`; None if it is absent."""
    value = headers.get(name)
    if value is not None and not _LABEL.match(value):
        raise Fault(400, Code.INVALID_REQUEST, message=f"the header `{name}` is not a valid name")
    return value


def check_media(headers: dict[str, str]) -> bool:
    """JSON in, JSON out, or `Fault` with 415 or 406; whether the client reads event streams, too."""
    if not _is_json(headers.get("content-type", "")):
        raise Fault(415, Code.INVALID_REQUEST, message="the body has to be application/json")
    accept = headers.get("accept", "*/*")
    if not _accepts(accept, "application/json"):
        raise Fault(
            406, Code.INVALID_REQUEST, message="the answer is application/json, which the client does not accept"
        )
    return "accept" in headers and accepts_events(headers)


def accepts_events(headers: dict[str, str]) -> bool:
    """Whether the client reads `text/event-stream`."""
    return _accepts(headers.get("accept", "*/*"), "text/event-stream")


@lru_cache(maxsize=64)
def _is_json(value: str) -> bool:
    kind, _, parameter = (part.strip() for part in value.lower().partition(";"))
    return kind == "application/json" and parameter.replace('"', "") in {"", "charset=utf-8"}


@lru_cache(maxsize=64)
def _accepts(value: str, wanted: str) -> bool:
    for entry in value.lower().split(","):
        kind, _, parameters = entry.partition(";")
        refused = re.search(r"(?:^|;)\s*q\s*=\s*0(?:\.0*)?\s*(?:;|$)", parameters)
        if kind.strip() in {wanted, wanted.partition("/")[0] + "/*", "*/*"} and not refused:
            return True
    return False


async def read_body(headers: dict[str, str], receive: Receive) -> bytes:
    """The whole body, refused as soon as it is too large. Raises `Gone` when the client leaves, or is sent away by the
    server for being slow.
    """
    declared = headers.get("content-length", "0")
    if not _LENGTH.match(declared) or int(declared) > BODY_BYTES_MAX:
        raise _too_large()
    chunks: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise Gone
        chunk: bytes = event.get("body", b"")
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            raise _too_large()
        chunks.append(chunk)
        if not event.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large() -> Fault:
    return Fault(
        413, Code.INVALID_REQUEST, message=f"at most {BODY_BYTES_MAX} bytes are read", reason=Reason.CALL_TOO_LARGE
    )


async def respond(send: Send, response: Response) -> None:
    """Send one answer, whole."""
    headers = [*response.headers, (b"content-length", str(len(response.body)).encode())]
    if response.body:
        headers.append((b"content-type", response.content_type))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
