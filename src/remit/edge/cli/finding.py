"""What a check of a home says of one thing."""

from typing import Literal, NamedTuple

from remit.errors import RemitError


class Finding(NamedTuple):
    """One thing looked at: how it is, and what to do where it is not right."""

    what: str
    state: Literal["ok", "warning", "problem"]
    told: str
    advice: str = ""


def problem(what: str, fault: RemitError) -> Finding:
    """The finding that something raised this."""
    return Finding(what, "problem", str(fault), fault.advice)
