"""The protocol's own constants: revisions, error codes, reserved names. Source: MCP schema of the revisions named."""

from typing import Final

# Newest first, as they are told to clients. A legacy client opens a session; a modern one carries all in each request.
MODERN: Final = ("2026-07-28",)
LEGACY: Final = ("2025-11-25", "2025-06-18")
SERVED: Final = MODERN + LEGACY
# Revisions whose clients never send the modern members: a header naming one is answered in the legacy way.
HANDSHAKE: Final = frozenset({"2024-11-05", "2025-03-26", *LEGACY})

# JSON-RPC 2.0 section 5.1, and MCP 2026-07-28 for the -3202x ones.
PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
HEADER_MISMATCH: Final = -32020
UNSUPPORTED_VERSION: Final = -32022
# Ours lie outside the range JSON-RPC reserves, as MCP asks, and read like the HTTP status they resemble.
UNAUTHENTICATED: Final = 4401
REFUSED: Final = 4403

META_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
META_CLIENT_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
META_SERVER_INFO: Final = "io.modelcontextprotocol/serverInfo"
META_OWN: Final = "io.remit/"
META_DECISION: Final = "io.remit/decision"
META_LABELS: Final = "io.remit/labels"

# Method → the member of its params that `Mcp-Name` repeats.
NAMED: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
