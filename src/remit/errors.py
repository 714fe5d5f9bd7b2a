"""Who is at fault, in one small tree.

Every error a person can meet is a `RemitError`: one line saying what is wrong, one saying what to do.
The line is lower case, has no full stop, quotes input in backticks and never holds a secret; the cause,
where there is one, is chained with `raise … from` and stays in the log. Foreign errors are wrapped once,
at the edge.

A refused call is not in this file: it is `reasons.Denied`, which carries a reason from the closed list.
"""

from typing import Literal

Why = Literal["unreachable", "timeout", "died", "protocol"]


class RemitError(Exception):
    """Base of all: `message` is fit for the person at the keyboard, `advice` says what to do next."""

    exit_code = 1

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


class CallerFault(RemitError):
    """The one who asked got it wrong: a bad flag, an unknown id, a move the lifecycle forbids."""

    exit_code = 2


class NotPermitted(RemitError):
    """The one who asked is known and may not do this."""

    exit_code = 3


class ConfigFault(RemitError):
    """The operator's files are wrong: catalogue, policies, keys. `where` is `file:line` when known."""

    exit_code = 4

    def __init__(self, message: str, advice: str = "", *, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message, advice)
        self.where = where


class Conflict(RemitError):
    """Somebody else changed the same row first; read again and decide again."""

    exit_code = 5


class UpstreamFault(RemitError):
    """A tool server could not be reached, died, or answered something that is not MCP.

    `sent` says whether the call's bytes can have reached it: False means certainly not (outcome
    `not_sent`), True means they may have (outcome `unknown`). `why` completes the reason `upstream.…`.
    """

    exit_code = 6

    def __init__(self, message: str, advice: str = "", *, sent: bool, why: Why | None = None) -> None:
        super().__init__(message, advice)
        self.sent = sent
        self.why: Why = why or ("died" if sent else "unreachable")


class StoreFault(RemitError):
    """The store cannot be read or written: nothing passes until it can."""

    exit_code = 7


class Unverified(RemitError):
    """A ledger, bundle, proof or checkpoint does not verify; `message` names the first thing wrong."""

    exit_code = 8
