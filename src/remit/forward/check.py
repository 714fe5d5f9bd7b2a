"""Step 10, the answer: cut the call down to what may leave."""

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from remit.call import Call, Client
from remit.catalogue.model import ToolRow
from remit.forward.model import Outgoing
from remit.limits import OPERATION_UPKEEP_S, UPSTREAM_TIMEOUT_S

# W3C trace context as MCP carries it. The protocol's own keys are written anew by the driver; a progress token is the
# driver's business too, because it means something only within one connection.
META_ALLOWED: Final = ("traceparent", "tracestate")
_META_CHARS_MAX: Final = 512
_NOTHING: Final = msgspec.Raw(b"{}")


# What of a client's capabilities a server is told, each with the settings MCP 2026-07-28 has for it.
_SETTINGS: Final = {"elicitation": ("form", "url"), "sampling": ("context", "tools"), "roots": ()}


def outgoing(call: Call, row: ToolRow, *, client: Client) -> Outgoing:
    """The call as it may leave: canonical arguments, allow-listed meta, the tool's time limit in seconds. `client` is
    what the server may ask and tell (see `askable`).
    """
    about = call.round
    return Outgoing(
        method=call.method,
        name=call.name,
        arguments=call.canonical,
        meta={key: call.meta[key] for key in META_ALLOWED if _short_text(call.meta.get(key))} if call.meta else {},
        timeout_s=row.timeout_s or UPSTREAM_TIMEOUT_S,
        client=client,
        answers=call.answers,
        state=about.state if about else None,
        held=about.held if about else "",
        operation=call.operation,
    )


def upkeep(method: str, name: str, *, operation: str, client: Client) -> Outgoing:
    """What is asked of a server about an operation of it, by what it calls that: nothing of the agent's travels."""
    return Outgoing(
        method=method,
        name=name,
        arguments=_NOTHING,
        meta={},
        timeout_s=OPERATION_UPKEEP_S,
        client=msgspec.structs.replace(client, operations=True, progress=False, log_level=None),
        operation=operation,
    )


def askable(client: Client, may_ask: Collection[str]) -> Client:
    """Of what a client can do for a server, what the catalogue lets this one ask for; and no more of it."""
    if not client.capabilities:
        return client
    told: dict[str, Any] = {
        name: {key: {} for key in settings if key in client.capabilities[name]}
        for name, settings in _SETTINGS.items()
        if name in may_ask and isinstance(client.capabilities.get(name), Mapping)
    }
    return msgspec.structs.replace(client, capabilities=told)


def _short_text(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and len(value) <= _META_CHARS_MAX
