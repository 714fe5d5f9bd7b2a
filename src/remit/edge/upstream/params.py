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
# No client capability is declared: a server that asks anything of us asks in vain.
_MODERN_META: Final = {
    _RESERVED + "protocolVersion": MODERN,
    _RESERVED + "clientInfo": CLIENT,
    _RESERVED + "clientCapabilities": {},
}
SERVER_INFO: Final = _RESERVED + "serverInfo"


def call_params(outgoing: Outgoing, revision: str) -> bytes:
    """`params` of a governed call at that revision: the canonical arguments as they are, the rest written here."""
    meta = msgspec.json.encode(_meta(outgoing.meta, revision))
    tail = b"}" if meta == b"{}" else b',"_meta":' + meta + b"}"
    if outgoing.method == "resources/read":
        # A resource's only argument is its `uri`, so the arguments are the params, less the closing brace.
        return b"".join((memoryview(outgoing.arguments)[:-1], tail))
    return b"".join((b'{"name":', msgspec.json.encode(outgoing.name), b',"arguments":', outgoing.arguments, tail))


def own_params(params: Mapping[str, Any], revision: str) -> bytes:
    """`params` of a question of our own: lists and discovery."""
    meta = _meta({}, revision)
    return msgspec.json.encode({**params, "_meta": meta} if meta else params)


def _meta(meta: Mapping[str, Any], revision: str) -> dict[str, Any]:
    """The caller's allow-listed keys, never the protocol's own, which are ours to write."""
    kept = {key: value for key, value in meta.items() if not key.startswith(_RESERVED)}
    return {**kept, **_MODERN_META} if revision == MODERN else kept
