"""Who asks: what a verified credential says, and who may issue one."""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

Kind = Literal["agent", "human", "service"]


class Principal(Struct, frozen=True, kw_only=True):
    """An authenticated party. `name` is its catalogue name; `id` its SPIFFE ID or `issuer#subject`.

    `task` is the `task` claim of a token Remit issued, None elsewhere. `expires` and `issued` are epoch seconds.
    `key` is the thumbprint (RFC 7638) of the key that signed.
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


class Key(Struct, frozen=True, kw_only=True):
    """A public key that may sign for one issuer. `jwk` is RFC 7517, public members only.

    `only_subject` binds an enrolled agent's own key to that agent: it can sign for nobody else. None for an
    issuer's key, which signs for every subject of the issuer.
    """

    kid: str
    jwk: Mapping[str, Any]
    only_subject: str | None = None


class Issuer(Struct, frozen=True, kw_only=True):
    """What is accepted from one issuer. `audiences` None means: the endpoint's own URL (tokens Remit issues)."""

    name: str
    issuer: str
    kind: Literal["local", "oidc", "spiffe"]
    algorithms: frozenset[str]
    audiences: frozenset[str] | None = None
    lifetime_max_s: int | None = None
