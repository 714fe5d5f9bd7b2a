"""The protocol's own constants: revisions, error codes, reserved names. Source: MCP schema of the revisions named."""

from enum import IntEnum, StrEnum
from typing import Final

# Newest first, as they are told to clients. A legacy client opens a session; a modern one carries all in each request.
MODERN: Final = ("2026-07-28",)
LEGACY: Final = ("2025-11-25", "2025-06-18")
SERVED: Final = MODERN + LEGACY
# Revisions whose clients never send the modern members: a header naming one is answered in the legacy way.
HANDSHAKE: Final = frozenset({"2024-11-05", "2025-03-26", *LEGACY})

# The tasks extension (SEP-2663). A task is something else here, so what it makes is called an operation.
TASKS: Final = "io.modelcontextprotocol/tasks"

# Method → the member of its params that `Mcp-Name` repeats.
NAMED: Final = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    **dict.fromkeys(("tasks/get", "tasks/update", "tasks/cancel"), "taskId"),
}


class Code(IntEnum):
    """JSON-RPC 2.0 section 5.1, and MCP 2026-07-28 for the -3202x ones. Ours (positive) lie outside the range
    JSON-RPC reserves, as MCP asks, and read like the HTTP status they resemble.
    """

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    HEADER_MISMATCH = -32020
    MISSING_CAPABILITY = -32021
    UNSUPPORTED_VERSION = -32022
    UNAUTHENTICATED = 4401
    REFUSED = 4403
    UNREACHABLE = 4502


class Meta(StrEnum):
    """Keys of `_meta`. What begins with `OWN` is said by Remit alone."""

    VERSION = "io.modelcontextprotocol/protocolVersion"
    CLIENT_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
    LOG_LEVEL = "io.modelcontextprotocol/logLevel"
    PROGRESS = "progressToken"
    SERVER_INFO = "io.modelcontextprotocol/serverInfo"
    OWN = "io.remit/"
    DECISION = "io.remit/decision"
    LABELS = "io.remit/labels"
