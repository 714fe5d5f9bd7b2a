"""The keys of external issuers: fetched, remembered, and let go.

A set is refreshed when it is `JWKS_REFRESH_S` old, so a key removed at the issuer stops working then. An unknown key id
asks again, but every source is asked at most once per `JWKS_REFETCH_MIN_S`, whatever is presented, and concurrent
requests share one fetch. When a refresh fails the old keys serve until they are `JWKS_STALE_MAX_S` old, then nothing
of that issuer is accepted.

A document is judged key by key: what may not verify (`identity.jwk`) is left out and the rest counts. Two different
keys under one id are both left out. An empty set is an answer: the issuer has withdrawn every key.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from remit.canonical import parse
from remit.edge.keys.fetch import KeysUnavailable, Source
from remit.errors import RemitError
from remit.identity.jwk import public_key
from remit.identity.model import Key
from remit.limits import JWKS_BYTES_MAX, JWKS_REFETCH_MIN_S, JWKS_REFRESH_S, JWKS_STALE_MAX_S
from remit.reasons import Denied, Reason

Fetch = Callable[[Source], Awaitable[bytes]]

_REFETCH_MS: Final = JWKS_REFETCH_MIN_S * 1000
_REFRESH_MS: Final = JWKS_REFRESH_S * 1000
_STALE_MS: Final = JWKS_STALE_MAX_S * 1000
_LONG_AGO: Final = -(2**62)

_log = logging.getLogger(__name__)


class _Held:
    """What is known of one source. Times are epoch ms; `trouble` is why the last fetch failed."""

    def __init__(self) -> None:
        self.keys: Mapping[str, Key] = {}
        self.fetched = _LONG_AGO
        self.asked = _LONG_AGO
        self.flight: asyncio.Task[None] | None = None
        self.trouble = ""


class KeyDirectory:
    """Finds the key an external issuer signed with. `now_ms` is epoch milliseconds.

    `generation` rises whenever a set of keys changes: what was verified under an earlier one has to be verified again.
    """

    def __init__(self, fetch: Fetch, now_ms: Callable[[], int]) -> None:
        self._fetch = fetch
        self._now_ms = now_ms
        self._held: dict[Source, _Held] = {}
        self.generation = 0

    async def key(self, source: Source, kid: str) -> Key:
        """The key of that id, or `Denied(identity.invalid)`. Fetches as the module's rules say."""
        held = self._held.setdefault(source, _Held())
        if kid not in held.keys or self._now_ms() - held.fetched >= _REFRESH_MS:
            await self._asked(source, held)
        if self._now_ms() - held.fetched >= _STALE_MS or kid not in held.keys:
            raise Denied(Reason.IDENTITY_INVALID)
        return held.keys[kid]

    def fresh_until(self, source: Source) -> int:
        """When (epoch ms) a token verified with a key of this source has to be looked at again.

        While the source cannot be reached, that is when it may next be asked, or its keys are too old.
        """
        held = self._held[source]
        return min(max(held.fetched + _REFRESH_MS, held.asked + _REFETCH_MS), held.fetched + _STALE_MS)

    def troubles(self) -> dict[str, str]:
        """Location → why its last fetch failed, for those whose last fetch did."""
        return {source.location: held.trouble for source, held in self._held.items() if held.trouble}

    async def _asked(self, source: Source, held: _Held) -> None:
        if held.flight is None:
            if self._now_ms() - held.asked < _REFETCH_MS:
                return
            held.asked = self._now_ms()
            held.flight = asyncio.create_task(self._refreshed(source, held))
        # Shielded: a caller that goes away must not take the others' answer with it.
        await asyncio.shield(held.flight)

    async def _refreshed(self, source: Source, held: _Held) -> None:
        try:
            keys = keys_in(await self._fetch(source), bundle=source.bundle)
        except RemitError as e:
            held.trouble = e.message
            _log.warning("keys of %s not refreshed: %s", source.location, e.message)
        else:
            held.trouble = ""
            held.fetched = self._now_ms()
            if keys != held.keys:
                held.keys = keys
                self.generation += 1
        finally:
            held.flight = None


def keys_in(document: bytes, *, bundle: bool) -> dict[str, Key]:
    """The usable keys of a JWKS (RFC 7517 section 5), by id; of a SPIFFE bundle those marked `jwt-svid`.

    Raises `KeysUnavailable` if it is neither.
    """
    try:
        parsed = parse(document, JWKS_BYTES_MAX)
    except Denied as e:
        raise KeysUnavailable(f"not a key document: {e.detail}") from e
    listed = parsed.get("keys") if isinstance(parsed, dict) else None
    if not isinstance(listed, list):
        raise KeysUnavailable("not a key document: it has no list `keys`")
    found: dict[str, Key] = {}
    twice: set[str] = set()
    for jwk in listed:
        key = _usable(jwk, ("jwt-svid",) if bundle else (None, "sig"))
        if key is not None and found.setdefault(key.kid, key) != key:
            twice.add(key.kid)
    return {kid: key for kid, key in found.items() if kid not in twice}


def _usable(jwk: Any, uses: tuple[str | None, ...]) -> Key | None:
    if not isinstance(jwk, dict) or jwk.get("use") not in uses:
        return None
    try:
        return public_key(jwk)
    except Denied as no:
        _log.warning("a published key is not used: %s", no.detail)
        return None
