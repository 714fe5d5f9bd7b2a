"""Turns bearer tokens into principals: `identity.facts.Authenticator` over the catalogue and the key directory.

A verified token is remembered by its SHA-256 together with the door and the audience it was shown at, and only while
nothing it rested on has moved: the catalogue's view, the revocation epoch, any issuer's keys, the token's expiry. A
refusal is never remembered. A standing token rests on its row in the catalogue's view, so it goes with that row.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import NamedTuple

from msgspec import Struct

from remit.catalogue import View
from remit.edge.keys.fetch import source_of
from remit.edge.keys.jwks import KeyDirectory
from remit.identity import (
    Claims,
    Issuer,
    Issuers,
    Key,
    Peeked,
    Principal,
    admitted,
    agent_of,
    issuers_of,
    peek,
    service_of,
    verify,
)
from remit.identity.facts import Authenticator
from remit.identity.spiffe import agent_id
from remit.limits import TOKENS_REMEMBERED_MAX
from remit.reasons import Denied, Reason


class Standing(Struct, frozen=True, kw_only=True):
    """What is in force now. `view` returns the same object until something changed; `now_ms` is epoch ms."""

    view: Callable[[], View]
    epoch: Callable[[], int]
    now_ms: Callable[[], int]


class _Remembered(NamedTuple):
    principal: Principal
    view: View
    epoch: int
    generation: int
    until_ms: int


class TokenAuthenticator(Authenticator):
    """`token_keys` are the gateway's own public keys, by id; they sign for any agent of the local trust domain."""

    def __init__(self, standing: Standing, directory: KeyDirectory, *, token_keys: Mapping[str, Key]) -> None:
        self._view, self._epoch, self._now_ms = standing.view, standing.epoch, standing.now_ms
        self._directory = directory
        self._token_keys = token_keys
        self._remembered: dict[tuple[str, bytes, str], _Remembered] = {}
        self._issuers: tuple[View, Issuers] | None = None

    async def agent(self, token: str | None, audience: str) -> Principal:
        return await self._principal("agent", token, audience=audience)

    async def service(self, token: str | None, audience: str) -> Principal:
        return await self._principal("service", token, audience=audience)

    async def subject(self, id_token: str) -> str:
        view = self._view()
        peeked = peek(id_token)
        issuer = self._issuers_of(view).of_person(peeked)
        claims, _ = await self._verified(peeked, issuer, audience="", view=view)
        return f"{claims.issuer}#{claims.subject}"

    async def _principal(self, door: str, token: str | None, *, audience: str) -> Principal:
        if not token:
            raise Denied(Reason.IDENTITY_MISSING)
        slot = (door, sha256(token.encode("utf-8", "surrogatepass")).digest(), audience)
        # Read before anything is awaited: what moves meanwhile makes the memory stale, not the answer wrong.
        view, epoch = self._view(), self._epoch()
        known = self._remembered.get(slot)
        if (
            known is not None
            and known.view is view
            and known.epoch == epoch
            and known.generation == self._directory.generation
            and self._now_ms() < known.until_ms
        ):
            return known.principal
        principal, until_ms = await self._proved(door, token, audience=audience, view=view)
        self._remember(slot, _Remembered(principal, view, epoch, self._directory.generation, until_ms))
        return principal

    async def _proved(self, door: str, token: str, *, audience: str, view: View) -> tuple[Principal, int]:
        peeked = peek(token)
        issuer = self._issuers_of(view).of_workload(peeked)
        claims, until_ms = await self._verified(peeked, issuer, audience=audience, view=view)
        if door == "service":
            return service_of(claims, issuer, view=view), until_ms
        principal = agent_of(claims, issuer, view=view)
        admitted(principal, view)
        return principal, until_ms

    async def _verified(self, peeked: Peeked, issuer: Issuer, *, audience: str, view: View) -> tuple[Claims, int]:
        """The claims, and until when (epoch ms) they stand by themselves."""
        now_s = self._now_ms() // 1000
        if issuer.kind == "local":
            key = self._local_key(peeked.kid, view)
            claims = verify(peeked, key=key, issuer=issuer, audience=audience, now_s=now_s)
            return claims, claims.expires * 1000
        source = source_of(view.declared.issuers[issuer.name])
        key = await self._directory.key(source, peeked.kid)
        claims = verify(peeked, key=key, issuer=issuer, audience=audience, now_s=now_s)
        return claims, min(claims.expires * 1000, self._directory.fresh_until(source))

    def _local_key(self, kid: str, view: View) -> Key:
        if kid in self._token_keys:
            return self._token_keys[kid]
        enrolled = view.agent_key(kid)
        if enrolled is None:
            raise Denied(Reason.IDENTITY_INVALID)
        return Key(kid=kid, jwk=enrolled.jwk, only_subject=agent_id(view.declared.trust_domain, enrolled.agent))

    def _issuers_of(self, view: View) -> Issuers:
        if self._issuers is None or self._issuers[0] is not view:
            self._issuers = view, issuers_of(view.declared)
        return self._issuers[1]

    def _remember(self, slot: tuple[str, bytes, str], found: _Remembered) -> None:
        self._remembered.pop(slot, None)
        if len(self._remembered) >= TOKENS_REMEMBERED_MAX:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[slot] = found
