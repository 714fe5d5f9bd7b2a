"""What a check of a home says of one thing."""

from typing import Literal, NamedTuple

from remit.catalogue.model import Connector
from remit.edge.cli.home import Home
from remit.errors import RemitError


class Finding(NamedTuple):
    """One thing looked at: how it is, and what to do where it is not right."""

    what: str
    state: Literal["ok", "warning", "problem"]
    told: str
    advice: str = ""


def log_of(home: Home, name: str, *, connector: Connector | None) -> str:
    """Where to read what a tool server wrote to standard error; nothing of one that is reached by URL."""
    return f"its log is {home.state / 'logs' / f'{name}.log'}" if connector and connector.command else ""


def problem(what: str, fault: RemitError) -> Finding:
    """The finding that something raised this."""
    return Finding(what, "problem", str(fault), fault.advice)
