"""Step 2, the token: what does it say, and did its issuer say so?

A token is a compact JWS (RFC 7515 section 7.1) read to the letter: three base64url parts without padding, JSON read by
`canonical.parse`, so no member stands twice. `peek` believes nothing; it says whose key to look for. `verify` then
asks, in this order: does the key serve this algorithm and the issuer allow it, is the signature right, may this key
speak for this subject, is it fresh, is it for us. Until the signature is known to be right all refusals read the same.

The header never brings its own key: `jwk`, `jku`, `x5c` and `x5u` are refused, and so is `crit`, which asks for an
extension nobody here knows. `none` and HMAC are not on the list and cannot be put there.
"""

import re
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Any, Final

from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from remit.canonical import parse
from remit.identity.jwk import ALGORITHMS, modern, native, serves, thumbprint
from remit.identity.model import STANDING_TYP, Claims, Issuer, Key, Peeked
from remit.identity.spiffe import spiffe_id, trust_domain_id
from remit.limits import CLOCK_SKEW_S, INTEGER_MAX, NAME_CHARS_MAX, TOKEN_BYTES_MAX, URI_CHARS_MAX
from remit.reasons import Denied, Reason

_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")
_BRINGS_ITS_OWN: Final = frozenset({"crit", "jwk", "jku", "x5c", "x5u", "b64"})
# RFC 8725 section 3.11: a token made for another use is not one. Absent reads as "".
_TYPES: Final[Mapping[str, frozenset[str]]] = {
    "local": frozenset({"jwt"}),
    "standing": frozenset({STANDING_TYP}),
    "oidc": frozenset({"", "jwt", "at+jwt"}),
    "people": frozenset({"", "jwt"}),
    "spiffe": frozenset({"", "jwt", "jose"}),  # JWT-SVID section 2.3
}


def peek(token: str) -> Peeked:
    """Read a token without believing it, or raise `Denied(identity.invalid)`."""
    if len(token) > TOKEN_BYTES_MAX or not _COMPACT.match(token):
        raise _invalid()
    signed, _, signature = token.rpartition(".")
    head, _, body = signed.partition(".")
    header, claims = _object(head), _object(body)
    if _BRINGS_ITS_OWN & header.keys():
        raise _invalid()
    algorithm = modern(_text(header, "alg"))
    if algorithm not in ALGORITHMS:
        raise _invalid()
    return Peeked(
        issuer=_text(claims, "iss") if "iss" in claims else None,
        subject=_text(claims, "sub"),
        kid=_text(header, "kid", most=NAME_CHARS_MAX),
        algorithm=algorithm,
        typ=_text(header, "typ").lower().removeprefix("application/") if "typ" in header else "",
        claims=claims,
        signed=signed.encode("ascii"),
        signature=_bytes(signature),
    )


def verify(peeked: Peeked, *, key: Key, issuer: Issuer, audience: str, now_s: int) -> Claims:
    """What the token says, verified; `audience` is the endpoint's own URL, `now_s` epoch seconds.

    Raises `Denied`: `identity.invalid`, `identity.expired`, `identity.audience`. Sources: RFC 7519, RFC 8725,
    SPIFFE JWT-SVID section 3 and 4.
    """
    _signed(peeked, key, issuer=issuer)
    _speaks_for(peeked, key, issuer=issuer)
    expires = _fresh(peeked.claims, issuer, now_s=now_s)
    _addressed(peeked.claims.get("aud"), issuer, endpoint=audience)
    if "cnf" in peeked.claims:
        raise Denied(Reason.IDENTITY_INVALID, "the token is bound to a key whose possession cannot be proved here")
    return Claims(
        issuer=issuer.issuer,
        subject=peeked.subject,
        expires=expires,
        key=thumbprint(key),
        jti=_text(peeked.claims, "jti") if "jti" in peeked.claims else None,
        task=_task(peeked.claims, key, issuer=issuer),
    )


def _signed(peeked: Peeked, key: Key, *, issuer: Issuer) -> None:
    """The issuer's key, an algorithm both allow, a right signature: which of them failed is nobody's business."""
    if (
        (issuer.kind != "spiffe" and peeked.issuer != issuer.issuer)  # JWT-SVID gives `iss` no meaning
        or peeked.kid != key.kid
        or peeked.typ not in _TYPES[_use(issuer)]
        or peeked.algorithm not in issuer.algorithms & serves(key)
        or not JWSRegistry.algorithms[peeked.algorithm].verify(peeked.signed, peeked.signature, native(key))
    ):
        raise _invalid()


def _use(issuer: Issuer) -> str:
    """What its tokens are made for."""
    return "people" if issuer.for_people else "standing" if issuer.standing else issuer.kind


def _speaks_for(peeked: Peeked, key: Key, *, issuer: Issuer) -> None:
    """An agent's own key signs for that agent alone, and tokens of minutes only."""
    if key.only_subject is not None and (issuer.standing or key.only_subject != peeked.subject):
        raise _invalid()
    if issuer.kind != "oidc" and trust_domain_id(spiffe_id(peeked.subject).trust_domain) != issuer.issuer:
        raise _invalid()


def _fresh(claims: Mapping[str, Any], issuer: Issuer, *, now_s: int) -> int:
    """When the token expires. Its life is counted from `iat`; a token without one is taken to be issued now."""
    expires = _time(claims, "exp")
    issued = now_s if "iat" not in claims and issuer.kind != "local" else _time(claims, "iat")
    starts = _time(claims, "nbf") if "nbf" in claims else issued
    if now_s >= expires + CLOCK_SKEW_S:
        raise Denied(Reason.IDENTITY_EXPIRED)
    if max(issued, starts) > now_s + CLOCK_SKEW_S:
        raise Denied(Reason.IDENTITY_INVALID, "the token is not valid yet")
    if expires - issued > issuer.lifetime_max_s:
        raise Denied(Reason.IDENTITY_INVALID, f"the token lives longer than {issuer.lifetime_max_s} s")
    return expires


def _addressed(named: Any, issuer: Issuer, *, endpoint: str) -> None:
    """A token Remit issues names this endpoint and no other; an external one names at least one of ours."""
    names = [named] if isinstance(named, str) else named
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise Denied(Reason.IDENTITY_AUDIENCE)
    if issuer.audiences is None:
        if names != [endpoint]:
            raise Denied(Reason.IDENTITY_AUDIENCE)
    elif issuer.audiences.isdisjoint(names):
        raise Denied(Reason.IDENTITY_AUDIENCE)


def _task(claims: Mapping[str, Any], key: Key, *, issuer: Issuer) -> str | None:
    """The task a local token names. The gateway's own key, which could speak for any agent, has to name one; not in a
    standing token, whose row in the catalogue names the agent.
    """
    if issuer.kind != "local" or ("task" not in claims and (issuer.standing or key.only_subject is not None)):
        return None
    return _text(claims, "task")


def _time(claims: Mapping[str, Any], name: str) -> int:
    """A NumericDate (RFC 7519 section 2), whole seconds."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= INTEGER_MAX:
        raise Denied(Reason.IDENTITY_INVALID, f"the claim `{name}` is missing or no time")
    return int(value)


def _text(members: Mapping[str, Any], name: str, *, most: int = URI_CHARS_MAX) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= most or not value.isprintable():
        raise _invalid()
    return value


def _object(part: str) -> dict[str, Any]:
    try:
        value = parse(_bytes(part), TOKEN_BYTES_MAX)
    except Denied as e:
        raise _invalid() from e
    if not isinstance(value, dict):
        raise _invalid()
    return value


def _bytes(part: str) -> bytes:
    try:
        return urlsafe_b64decode(part.encode("ascii"))
    except Base64Error as e:
        raise _invalid() from e


def _invalid() -> Denied:
    return Denied(Reason.IDENTITY_INVALID)
