"""SPIFFE IDs, to the letter: `spiffe://<trust domain>/<path>`.

An ID is compared byte for byte, so only the one spelling the standard knows is let in: no percent-encoding, no empty,
`.` or `..` segment, no trailing slash, no upper case in the trust domain, no port, user or query.
Source: SPIFFE-ID standard, sections 2.1 to 2.4.
"""

import re
from typing import Final, NamedTuple

from remit.reasons import Denied, Reason

_BYTES_MAX: Final = 2048
_ID: Final = re.compile(r"spiffe://([a-z0-9._-]{1,255})((?:/[A-Za-z0-9._-]+)+)\Z")
_DOTS: Final = frozenset({".", ".."})
_AGENT: Final = "/agent/"


class SpiffeId(NamedTuple):
    """`trust_domain` without scheme; `path` with its leading slash."""

    trust_domain: str
    path: str


def spiffe_id(text: str) -> SpiffeId:
    """The parts of a workload's SPIFFE ID, or `Denied(identity.invalid)`. A trust domain alone is no workload."""
    found = _ID.match(text) if len(text) <= _BYTES_MAX else None
    if found is None or not _DOTS.isdisjoint(found[2].split("/")):
        raise Denied(Reason.IDENTITY_INVALID, "the subject is not a SPIFFE ID of a workload")
    return SpiffeId(found[1], found[2])


def trust_domain_id(trust_domain: str) -> str:
    """`spiffe://<trust domain>`: how a trust domain is named as an issuer."""
    return f"spiffe://{trust_domain}"


def agent_id(trust_domain: str, name: str) -> str:
    """The subject of an agent of the local trust domain."""
    return trust_domain_id(trust_domain) + _AGENT + name


def agent_name(subject: SpiffeId) -> str:
    """The catalogue name an agent's local SPIFFE ID holds, or `Denied(identity.unmapped)`."""
    name = subject.path.removeprefix(_AGENT)
    if name == subject.path or "/" in name:
        raise Denied(Reason.IDENTITY_UNMAPPED)
    return name
