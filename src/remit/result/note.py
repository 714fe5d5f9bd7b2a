"""Step 11, while the call still runs: which of a server's notifications the client hears.

Progress, if it was asked for; log messages as severe as was asked for; that a page the user was sent to is done with.
Each is bounded in size and labelled like a result: nothing that a server says is trusted. What is not passed on is
dropped: no notification is worth failing a call for.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from remit.call import Client
from remit.limits import NOTE_BYTES_MAX

LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
_OWN: Final = "io.remit/"
_LABELS: Final = {f"{_OWN}labels": ("untrusted",)}
_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw] | None)
_META: Final = msgspec.json.Decoder(dict[str, Any])


class _Logged(Struct):
    level: str = ""


_LOGGED: Final = msgspec.json.Decoder(_Logged)


def passing(method: str, params: Raw, *, client: Client) -> dict[str, Any] | None:
    """The params of a notification as the client may hear them, None if it may not. A progress token is left out: what
    it is called towards the client is the wire's business.
    """
    if len(memoryview(params)) > NOTE_BYTES_MAX or not _wanted(method, params, client):
        return None
    members = labelled(params)
    if members is not None:
        members.pop("progressToken", None)
    return members


def labelled(params: Raw) -> dict[str, Any] | None:
    """The params of what a server says or asks, with our labels and none of its own; None if they are no object."""
    try:
        members: dict[str, Any] = dict(_MEMBERS.decode(params) or {})
        meta = _META.decode(members.get("_meta", b"{}"))
    except (msgspec.DecodeError, RecursionError):
        return None
    return {**members, "_meta": {key: value for key, value in meta.items() if not key.startswith(_OWN)} | _LABELS}


def _wanted(method: str, params: Raw, client: Client) -> bool:
    match method:
        case "notifications/progress":
            return client.progress
        case "notifications/message":
            return client.log_level is not None and _severe(params, client.log_level)
        case "notifications/elicitation/complete":
            return "elicitation" in client.capabilities
        case _:
            return False


def _severe(params: Raw, least: str) -> bool:
    try:
        level = _LOGGED.decode(params).level
    except (msgspec.DecodeError, RecursionError):
        return False
    return level in LEVELS and (not least or LEVELS.index(level) >= LEVELS.index(least))
