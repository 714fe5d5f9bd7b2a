"""The local trust domain: the tokens Remit and its agents issue themselves.

A token is a JWT of minutes: `iss` is the trust domain `spiffe://<trust domain>`, `sub` the agent's SPIFFE ID, `aud` one
endpoint's URL, `task` the task it is for, if it names one. An agent's bridge mints with its own enrolled key; the
gateway's key mints step tokens for workflow engines, for any agent.

A standing token lives for days and says so by its `typ`. Only the gateway's key mints one, and it is worth nothing
without the catalogue's row of its `jti`.
"""

import secrets
from collections.abc import Iterable
from typing import Any

from msgspec import json

from remit.catalogue.model import StandingToken
from remit.edge.keys.files import TokenKey
from remit.identity.model import STANDING_TYP, Key
from remit.identity.spiffe import agent_id, trust_domain_id
from remit.limits import TOKEN_LIFETIME_MAX_S


class LocalIssuer:
    """Mints with one key for one trust domain."""

    def __init__(self, key: TokenKey, trust_domain: str) -> None:
        self._key = key
        self._trust_domain = trust_domain

    def mint(self, agent: str, *, audience: str, now_s: int, task: str | None = None) -> str:
        """A token of `agent` for the endpoint URL `audience`, valid `TOKEN_LIFETIME_MAX_S` from `now_s` (epoch)."""
        claims = self._claims(agent, audience, issued=now_s, expires=now_s + TOKEN_LIFETIME_MAX_S)
        more = {} if task is None else {"task": task}
        return self._key.token(json.encode(claims | {"jti": secrets.token_urlsafe(16)} | more))

    def stand(self, jti: str, row: StandingToken) -> str:
        """The standing token this row is of, to the second."""
        claims = self._claims(row.agent, row.audience, issued=row.at // 1000, expires=row.expires // 1000)
        return self._key.token(json.encode(claims | {"jti": jti}), typ=STANDING_TYP)

    def _claims(self, agent: str, audience: str, *, issued: int, expires: int) -> dict[str, Any]:
        return {
            "iss": trust_domain_id(self._trust_domain),
            "sub": agent_id(self._trust_domain, agent),
            "aud": audience,
            "iat": issued,
            "exp": expires,
        }


def public_jwks(keys: Iterable[Key]) -> dict[str, Any]:
    """The JWKS (RFC 7517 section 5) others verify our tokens with; the caller leaves out what is revoked.

    `sub` on an agent's own key says whom alone it speaks for; whoever verifies with it has to compare.
    """
    return {"keys": [_published(key) for key in keys]}


def _published(key: Key) -> dict[str, Any]:
    bound = {} if key.only_subject is None else {"sub": key.only_subject}
    return {**key.jwk, "kid": key.kid, "use": "sig", **bound}
