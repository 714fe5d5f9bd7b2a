"""The way to the people's door: the running gateway's socket or, when nothing runs, the same door in this process.

Which of the two it was is not the command's business: paths, bodies and errors are the same. Offline, the gateway's own
code takes the store's lock, so two writers cannot meet. The door's errors come back as the exceptions they were.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from remit import errors
from remit.edge.cli.home import Home
from remit.errors import RemitError, UpstreamFault

_ERRORS: Final = 400


class Refused(RemitError):
    """A stage said no to what was asked; `reason` is of the closed list."""

    exit_code = 9

    def __init__(self, message: str, advice: str = "", *, reason: str = "") -> None:
        super().__init__(message, advice)
        self.reason = reason


class Door:
    """One person's way in. `runs` says whether a gateway answers."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def get(self, path: str, **query: str | None) -> Any:
        """What a resource says. Query values that are None are left out."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", f"{path}?{urlencode(given)}" if given else path, body=None)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Do something. Values that are None are left out of the body."""
        given = {name: value for name, value in (body or {}).items() if value is not None}
        return self._ask("POST", path, body=json.dumps(given).encode())

    def runs(self) -> bool:
        """Whether a gateway listens at the socket."""
        from remit.edge.cli.socket_http import connected

        try:
            connected(self._home.socket).close()
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True

    def _ask(self, method: str, path: str, *, body: bytes | None) -> Any:
        try:
            status, answer = _over_socket(self._home.socket, method, path=path, body=body)
        except (FileNotFoundError, ConnectionRefusedError):
            status, answer = _offline(self._home, method, path=path, body=body)
        return checked(status, answer)


def segment(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")


def _over_socket(at: Path, method: str, *, path: str, body: bytes | None) -> tuple[int, bytes]:
    from remit.edge.cli.socket_http import ask

    return ask(at, method, path=path, body=body)


def _offline(home: Home, method: str, *, path: str, body: bytes | None) -> tuple[int, bytes]:
    from remit.edge.cli.offline import ask

    return ask(home, method, path=path, body=body)


def checked(status: int, answer: bytes) -> Any:
    """The value of an answer; an error comes back as the exception it was."""
    try:
        value = json.loads(answer)
    except ValueError:
        raise UpstreamFault(
            f"the gateway answered {status} and no JSON", "`remit doctor` looks at it", sent=True
        ) from None
    if status < _ERRORS:
        return value
    told = value.get("error", {}) if isinstance(value, dict) else {}
    raise _fault(told.get("fault", ""), told.get("message", f"status {status}"), told=told)


def _fault(kind: str, message: str, *, told: Mapping[str, Any]) -> RemitError:
    advice = told.get("advice") or ""
    match kind:
        case "Denied":
            return Refused(message, advice, reason=told.get("reason") or "")
        case "UpstreamFault":
            return UpstreamFault(message, advice, sent=True)
        case "CallerFault" | "NotPermitted" | "ConfigFault" | "Conflict" | "StoreFault" | "Unverified":
            made: RemitError = getattr(errors, kind)(message, advice)
            return made
        case _:
            return RemitError(message, advice)
