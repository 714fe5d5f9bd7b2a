"""Which calls a pattern reaches, and when one pattern is no wider than another.

    connector/*                   everything of a connector
    connector/TOOL                one tool
    connector/prompt:NAME         one prompt, `connector/prompt:*` all of them
    connector/resource:URI        one resource, `connector/resource:PREFIX*` those whose plain URI begins so

There is no other wildcard: a `*` anywhere else is refused, so that nobody writes `git/get_*` and lets in the tool that
is added tomorrow. Names are compared as they stand, case and all. A prefix reaches plain URIs only (no dot segments,
nothing disguised), so that `file:///data/*` does not reach `file:///data/../etc/passwd`.
"""

import re
from typing import Final

from remit.catalogue.resources import is_plain, leaves_host_open
from remit.errors import CallerFault

_PATTERN: Final = re.compile(
    r"""[a-z0-9][a-z0-9-]{0,62}/
        (?: \* | (?:prompt:)?[A-Za-z0-9_.\-/]{1,256} | prompt:\* | resource:(?P<uri>[!-)+-~]{0,2048}\*?) )""",
    re.VERBOSE,
)


def pattern(text: str) -> str:
    """The pattern, if it is one; else `CallerFault`."""
    found = _PATTERN.fullmatch(text)
    uri = found["uri"] if found else None
    if found is None or uri == "":
        raise CallerFault(
            f"`{text[:200]}` names no tool", "write `connector/tool`, `connector/*` or `connector/resource:URI*`"
        )
    if uri not in (None, "*") and uri.endswith("*") and leaves_host_open(uri[:-1]):
        raise CallerFault(
            f"`{text[:200]}` leaves the host open", "write the address at least to the `/` after the host"
        )
    return text


def reaches(wide: str, target: str) -> bool:
    """Whether a pattern reaches a call's target."""
    if not concerns(wide, target):
        return False
    return not _is_prefix(wide) or is_plain(target.partition("/resource:")[2])


def concerns(wide: str, target: str) -> bool:
    """Whether a pattern could be about a target, however its URI is written: what constrains has to hold for all."""
    return wide == target or (wide.endswith("*") and target.startswith(wide[:-1]))


def covers(wide: str, narrow: str) -> bool:
    """Whether everything the pattern `narrow` reaches, `wide` reaches too."""
    if narrow.endswith("*") or not _is_prefix(wide):
        return concerns(wide, narrow)
    return reaches(wide, narrow)


def _is_prefix(text: str) -> bool:
    return text.endswith("*") and "/resource:" in text
