"""The `params` of what we ask, at each revision of the protocol.

Rules: a call's canonical arguments are spliced in as they are, never decoded and written again. `_meta` holds what the
forwarding step let through and, on the modern wire, the protocol's own keys, which are ours to write.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from remit import __version__
from remit.forward.model import Outgoing

# Every released revision: the modern one is stateless, the others open with a handshake.
MODERN: Final = "2026-07-28"
LEGACY: Final = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")

CLIENT: Final = {"name": "remit", "version": __version__}
_RESERVED: Final = "io.modelcontextprotocol/"
_MODERN_META: Final = {
    _RESERVED + "protocolVersion": MODERN,
    _RESERVED + "clientInfo": CLIENT,
    _RESERVED + "clientCapabilities": {},
}
# MCP's tasks extension; a task is something else here (ADR 10).
OPERATIONS: Final = _RESERVED + "tasks"
_PROGRESS: Final = "progressToken"
SERVER_INFO: Final = _RESERVED + "serverInfo"


def call_params(outgoing: Outgoing, revision: str, *, token: int) -> bytes:
    """`params` of a governed call at that revision: the canonical arguments as they are, the rest written here.

    `token` is by which the server says how far it is, if the client wants to know.
    """
    meta = msgspec.json.encode(_call_meta(outgoing, revision, token))
    if outgoing.operation:
        answers = b"" if outgoing.answers is None else b',"inputResponses":' + outgoing.answers
        about = b'{"taskId":' + msgspec.json.encode(outgoing.operation)
        return b"".join((about, answers, b',"_meta":', meta, b"}"))
    tail = b"}" if meta == b"{}" else b',"_meta":' + meta + b"}"
    if outgoing.answers is not None:
        state = b"" if outgoing.state is None else b',"requestState":' + msgspec.json.encode(outgoing.state)
        tail = b"".join((b',"inputResponses":', outgoing.answers, state, tail))
    if outgoing.method in ("tools/call", "prompts/get"):
        return b"".join((b'{"name":', msgspec.json.encode(outgoing.name), b',"arguments":', outgoing.arguments, tail))
    # What the others are called with are their params, less the closing brace.
    return b"".join((memoryview(outgoing.arguments)[:-1], tail))


def own_params(params: Mapping[str, Any], revision: str) -> bytes:
    """`params` of a question of our own: lists and discovery."""
    meta = _meta({}, revision)
    return msgspec.json.encode({**params, "_meta": meta} if meta else params)


def _call_meta(outgoing: Outgoing, revision: str, token: int) -> dict[str, Any]:
    """What of the call goes into `_meta`: the caller's allow-listed keys, and what its client can do for the server."""
    client = outgoing.client
    meta = _meta(outgoing.meta, revision)
    if client.progress:
        meta[_PROGRESS] = token
    if revision == MODERN and (client.capabilities or client.operations):
        extensions: dict[str, Any] = {"extensions": {OPERATIONS: {}}} if client.operations else {}
        meta[_RESERVED + "clientCapabilities"] = {**client.capabilities, **extensions}
    if revision == MODERN and client.log_level:
        meta[_RESERVED + "logLevel"] = client.log_level
    return meta


def _meta(meta: Mapping[str, Any], revision: str) -> dict[str, Any]:
    """The caller's allow-listed keys, never the protocol's own, which are ours to write."""
    kept = {key: value for key, value in meta.items() if not key.startswith(_RESERVED)}
    return {**kept, **_MODERN_META} if revision == MODERN else kept
