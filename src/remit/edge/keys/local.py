"""The local trust domain: the tokens Remit and its agents issue themselves.

A token is a JWT of minutes: `iss` is the trust domain `spiffe://<trust domain>`, `sub` the agent's SPIFFE ID, `aud` one
endpoint's URL, `task` the task it is for, if it names one. An agent's bridge mints with its own enrolled key; the
gateway's key mints step tokens for workflow engines, for any agent.
"""

import secrets
from collections.abc import Iterable
from typing import Any

from msgspec import json

from remit.edge.keys.files import TokenKey
from remit.identity.model import Key
from remit.identity.spiffe import agent_id, trust_domain_id
from remit.limits import TOKEN_LIFETIME_MAX_S


class LocalIssuer:
    """Mints with one key for one trust domain."""

    def __init__(self, key: TokenKey, trust_domain: str) -> None:
        self._key = key
        self._trust_domain = trust_domain

    def mint(self, agent: str, *, audience: str, now_s: int, task: str | None = None) -> str:
        """A token of `agent` for the endpoint URL `audience`, valid `TOKEN_LIFETIME_MAX_S` from `now_s` (epoch)."""
        claims: dict[str, Any] = {
            "iss": trust_domain_id(self._trust_domain),
            "sub": agent_id(self._trust_domain, agent),
            "aud": audience,
            "iat": now_s,
            "exp": now_s + TOKEN_LIFETIME_MAX_S,
            "jti": secrets.token_urlsafe(16),
        }
        return self._key.token(json.encode(claims if task is None else claims | {"task": task}))


def public_jwks(keys: Iterable[Key]) -> dict[str, Any]:
    """The JWKS (RFC 7517 section 5) others verify our tokens with; the caller leaves out what is revoked.

    `sub` on an agent's own key says whom alone it speaks for; whoever verifies with it has to compare.
    """
    return {"keys": [_published(key) for key in keys]}


def _published(key: Key) -> dict[str, Any]:
    bound = {} if key.only_subject is None else {"sub": key.only_subject}
    return {**key.jwk, "kid": key.kid, "use": "sig", **bound}
