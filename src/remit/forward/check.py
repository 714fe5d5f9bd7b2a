"""Step 10, the answer: cut the call down to what may leave."""

from typing import Any, Final

from remit.call import Call
from remit.catalogue.model import ToolRow
from remit.forward.model import Outgoing
from remit.limits import UPSTREAM_TIMEOUT_S

# W3C trace context as MCP carries it. The protocol's own keys are written anew by the driver; a progress token is the
# driver's business too, because it means something only within one connection.
META_ALLOWED: Final = ("traceparent", "tracestate")
_META_CHARS_MAX: Final = 512


def outgoing(call: Call, row: ToolRow) -> Outgoing:
    """The call as it may leave: canonical arguments, allow-listed meta, the tool's time limit in seconds."""
    return Outgoing(
        method=call.method,
        name=call.name,
        arguments=call.canonical,
        meta={key: call.meta[key] for key in META_ALLOWED if _short_text(call.meta.get(key))},
        timeout_s=row.timeout_s or UPSTREAM_TIMEOUT_S,
    )


def _short_text(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and len(value) <= _META_CHARS_MAX
