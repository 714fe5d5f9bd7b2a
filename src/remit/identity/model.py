"""Who asks: what a verified credential says, and who may issue one."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from msgspec import Struct

Kind = Literal["agent", "human", "service"]

# The `typ` of a standing token (RFC 8725 section 3.11), so that no other token can pass for one or one for another.
STANDING_TYP: Final = "remit-standing+jwt"


class Principal(Struct, frozen=True, kw_only=True):
    """An authenticated party. `name` is its catalogue name; `id` its SPIFFE ID or `issuer#subject`.

    `issuer` is the issuer's name in the catalogue, `local` for the local trust domain. `task` is the `task` claim of a
    token Remit issued, None elsewhere. `expires` is in epoch seconds. `key` is the thumbprint (RFC 7638) of the key
    that signed. `standing` marks a standing token, which is only as good as the catalogue's row of its `jti`.
    """

    kind: Kind
    name: str
    id: str
    issuer: str
    subject: str
    expires: int
    key: str
    jti: str | None = None
    task: str | None = None
    standing: bool = False


class Key(Struct, frozen=True, kw_only=True):
    """A public key that may sign for one issuer. `jwk` is RFC 7517, public members only.

    `only_subject` binds an enrolled agent's own key to that agent: it can sign for nobody else. None for an
    issuer's key, which signs for every subject of the issuer.
    """

    kid: str
    jwk: Mapping[str, Any]
    only_subject: str | None = None


class Issuer(Struct, frozen=True, kw_only=True):
    """What is accepted from one issuer. `audiences` None means: the endpoint's own URL (tokens Remit issues).

    `issuer` is the exact `iss`; for `spiffe` and `local` it is the trust domain, `spiffe://…`. `for_people` issuers
    verify ID tokens of people and nothing else. `standing` is the local trust domain as it issues standing tokens.
    """

    name: str
    issuer: str
    kind: Literal["local", "oidc", "spiffe"]
    algorithms: frozenset[str]
    lifetime_max_s: int
    audiences: frozenset[str] | None = None
    for_people: bool = False
    standing: bool = False


class Peeked(Struct, frozen=True, kw_only=True):
    """A well-formed token of which nothing is believed yet: it says where to look for the key, no more.

    `issuer` and `subject` are what the token claims. `algorithm` is the name of RFC 9864 (`Ed25519`, never `EdDSA`).
    `typ` is lower case, without `application/`. `signed` are the bytes the signature is over.
    """

    issuer: str | None
    subject: str
    kid: str
    algorithm: str
    typ: str
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes


class Claims(Struct, frozen=True, kw_only=True):
    """What a verified token says. `expires` is in epoch seconds; `key` the thumbprint of the key that signed."""

    issuer: str
    subject: str
    expires: int
    key: str
    jti: str | None = None
    task: str | None = None
