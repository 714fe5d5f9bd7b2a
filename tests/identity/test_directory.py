"""Keys of external issuers, fetched from a process that rotates them, lies, hangs and counts who asks."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from remit.catalogue.model import IssuerRow
from remit.edge.keys import fetch
from remit.edge.keys.authenticator import Standing, TokenAuthenticator
from remit.edge.keys.fetch import Fetcher, KeysUnavailable, Source, source_of
from remit.edge.keys.jwks import KeyDirectory, keys_in
from remit.errors import ConfigFault
from remit.limits import JWKS_BYTES_MAX, JWKS_REFETCH_MIN_S, JWKS_REFRESH_S, JWKS_STALE_MAX_S
from remit.reasons import Denied, Reason
from tests.identity.forge import pair
from tests.identity.world import ENDPOINT, GATE, IDP, MESH, NOW, OIDC_CLAIMS, declared, jwks, view


class Gate:
    """A gateway's half: an authenticator that trusts the issuer process, and a clock."""

    def __init__(self, issuer: Any, root: Any) -> None:
        self.issuer = issuer
        self.now_s = NOW
        idp = {
            "kind": "oidc",
            "issuer": OIDC_CLAIMS["iss"],
            "owner": "ada",
            "audiences": (GATE,),
            "jwks_url": f"{issuer.url}/jwks",
        }
        rows = declared()
        self.view = view(rows=declared(issuers={**rows.issuers, "idp": IssuerRow(**idp)}))
        self.fetcher = Fetcher(root)
        self.directory = KeyDirectory(self.fetcher, lambda: self.now_s * 1000)
        standing = Standing(view=lambda: self.view, epoch=lambda: 1, now_ms=lambda: self.now_s * 1000)
        self.authenticator = TokenAuthenticator(standing, self.directory, token_keys={})

    def token(self) -> str:
        return self.issuer.mint({**OIDC_CLAIMS, "exp": NOW + 20_000})

    async def accepts(self, token: str) -> bool:
        try:
            await self.authenticator.agent(token, ENDPOINT)
        except Denied as no:
            if no.reason is Reason.IDENTITY_INVALID:
                return False
            raise
        return True


@pytest.fixture
async def gate(issuer, tmp_path) -> AsyncIterator[Gate]:
    found = Gate(issuer, tmp_path)
    yield found
    await found.fetcher.close()


async def test_a_token_of_the_issuer_is_accepted_and_its_keys_are_fetched_once(gate):
    token = gate.token()

    assert all([await gate.accepts(token) for _ in range(10)])
    assert gate.issuer.count() == 1


@pytest.mark.holds("IDENT-ROTATION")
async def test_a_new_key_is_found_without_a_restart(gate):
    assert await gate.accepts(gate.token())
    gate.now_s += JWKS_REFETCH_MIN_S

    gate.issuer.rotate(keep=1)

    assert await gate.accepts(gate.token())
    assert gate.issuer.count() == 2


@pytest.mark.holds("IDENT-ROTATION")
async def test_a_key_taken_away_stops_working_after_the_refresh(gate):
    old = gate.token()
    assert await gate.accepts(old)

    gate.issuer.rotate(keep=0)
    gate.now_s += JWKS_REFRESH_S

    assert not await gate.accepts(old)
    assert await gate.accepts(gate.token())


async def test_a_remembered_token_dies_when_another_token_brings_the_new_keys(gate):
    old = gate.token()
    assert await gate.accepts(old)
    gate.now_s += JWKS_REFETCH_MIN_S
    gate.issuer.rotate(keep=0)

    assert await gate.accepts(gate.token())

    assert not await gate.accepts(old)


@pytest.mark.holds("LIMIT-KIDS")
async def test_a_flood_of_unknown_key_ids_asks_the_issuer_once_per_interval(gate):
    assert await gate.accepts(gate.token())
    stranger = pair("ES256", "stranger")
    flood = [stranger.token({**OIDC_CLAIMS, "jti": str(n)}, {"kid": f"unknown-{n}"}) for n in range(200)]

    gate.now_s += JWKS_REFETCH_MIN_S
    assert not any(await asyncio.gather(*map(gate.accepts, flood)))
    assert not any([await gate.accepts(token) for token in flood])
    assert gate.issuer.count() == 2

    gate.now_s += JWKS_REFETCH_MIN_S
    assert not any(await asyncio.gather(*map(gate.accepts, flood)))
    assert gate.issuer.count() == 3


async def test_requests_that_arrive_together_share_one_fetch(gate):
    gate.issuer.behave("slow")
    token = gate.token()

    assert all(await asyncio.gather(*(gate.accepts(token) for _ in range(50))))
    assert gate.issuer.count() == 1


async def test_a_request_that_goes_away_does_not_take_the_fetch_with_it(gate):
    gate.issuer.behave("slow")
    token = gate.token()
    first = asyncio.create_task(gate.accepts(token))
    second = asyncio.create_task(gate.accepts(token))
    await asyncio.sleep(0.05)

    first.cancel()

    assert await second
    assert gate.issuer.count() == 1


@pytest.mark.parametrize("manner", ["error", "garbage", "huge", "redirect", "silent", "hanging"])
async def test_a_refresh_that_fails_keeps_the_old_keys_for_a_bounded_time(gate, manner, monkeypatch):
    monkeypatch.setattr(fetch, "_TIMEOUT", fetch.aiohttp.ClientTimeout(total=0.2))
    token = gate.token()
    assert await gate.accepts(token)
    gate.issuer.behave(manner)

    gate.now_s += JWKS_REFRESH_S
    assert await gate.accepts(token)
    asked = gate.issuer.count()
    assert await gate.accepts(token)
    assert gate.issuer.count() == asked
    assert list(gate.directory.troubles()) == [f"{gate.issuer.url}/jwks"]

    gate.now_s = NOW + JWKS_STALE_MAX_S
    assert not await gate.accepts(token)

    gate.now_s += JWKS_REFETCH_MIN_S
    gate.issuer.behave("well")
    assert await gate.accepts(token)
    assert gate.directory.troubles() == {}


@pytest.mark.parametrize("manner", ["error", "garbage", "huge", "redirect", "private", "symmetric", "empty"])
async def test_an_issuer_that_never_showed_good_keys_is_not_believed(gate, manner):
    gate.issuer.behave(manner)

    assert not await gate.accepts(gate.token())


async def test_withdrawing_every_key_is_an_answer(gate):
    token = gate.token()
    assert await gate.accepts(token)
    gate.issuer.behave("empty")

    gate.now_s += JWKS_REFRESH_S

    assert not await gate.accepts(token)


async def test_keys_nobody_can_use_do_not_spoil_the_others(gate):
    gate.issuer.behave("odd")

    assert await gate.accepts(gate.token())


async def test_an_issuer_that_is_not_there_is_refused_and_not_asked_again_at_once(tmp_path):
    asked = []

    async def nobody(source: Source) -> bytes:
        asked.append(source)
        return await Fetcher(tmp_path)(source)

    directory = KeyDirectory(nobody, lambda: NOW * 1000)
    for _ in range(3):
        with pytest.raises(Denied):
            await directory.key(Source(location="missing.json"), "key-1")

    assert len(asked) == 1


async def test_a_file_is_read_again_when_it_changes(tmp_path):
    now_s = NOW
    source = Source(location="keys.json")
    directory = KeyDirectory(Fetcher(tmp_path), lambda: now_s * 1000)
    (tmp_path / "keys.json").write_bytes(jwks(IDP))
    assert (await directory.key(source, IDP.kid)).kid == IDP.kid

    (tmp_path / "keys.json").write_bytes(jwks(MESH))
    now_s += JWKS_REFRESH_S

    assert (await directory.key(source, MESH.kid)).kid == MESH.kid
    with pytest.raises(Denied):
        await directory.key(source, IDP.kid)


async def test_a_file_that_is_too_large_is_not_read(tmp_path):
    (tmp_path / "keys.json").write_bytes(b" " * (JWKS_BYTES_MAX + 1))

    with pytest.raises(KeysUnavailable, match="larger than"):
        await Fetcher(tmp_path)(Source(location="keys.json"))


def test_of_a_bundle_only_the_jwt_keys_count():
    x509 = {**IDP.jwk, "use": "x509-svid", "x5c": ["MIIB"]}
    plain = pair("ES256", "plain")

    assert list(keys_in(jwks(x509, plain, {**MESH.jwk, "use": "jwt-svid"}), bundle=True)) == [MESH.kid]


def test_of_a_jwks_keys_for_encryption_and_for_svids_do_not_count():
    enc = {**pair("RS256", "enc").jwk, "use": "enc"}
    svid = {**MESH.jwk, "use": "jwt-svid"}

    assert list(keys_in(jwks(enc, svid, IDP.jwk), bundle=False)) == [IDP.kid]


def test_two_keys_under_one_id_are_both_left_out_and_one_key_twice_is_one():
    imposter = {**MESH.jwk, "kid": IDP.kid}

    assert keys_in(jwks(IDP, imposter), bundle=False) == {}
    assert list(keys_in(jwks(IDP, IDP), bundle=False)) == [IDP.kid]


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": [], "keys": []}', b"\xff"])
def test_what_is_no_key_document_is_refused(document):
    with pytest.raises(KeysUnavailable):
        keys_in(document, bundle=False)


SOURCES: dict[str, dict[str, str]] = {
    "none": {},
    "two": {"jwks_url": "https://idp.test/jwks", "jwks_file": "keys.json"},
    "plain http": {"jwks_url": "http://idp.test/jwks"},
    "plain http to a name that begins like loopback": {"jwks_url": "http://127.0.0.1.evil.test/jwks"},
    "plain http behind a user": {"jwks_url": "http://127.0.0.1@evil.test/jwks"},
    "a password in the URL": {"jwks_url": "https://user:secret@idp.test/jwks"},
    "another scheme": {"bundle_url": "ftp://idp.test/bundle"},
    "a file URL": {"jwks_url": "file:///etc/keys.json"},
    "no host": {"jwks_url": "https:///jwks"},
    "no URL": {"jwks_url": "http://[::1/jwks"},
}


@pytest.mark.parametrize("named", SOURCES.values(), ids=SOURCES)
def test_a_source_that_is_missing_doubled_or_unsafe_is_a_fault(named):
    with pytest.raises(ConfigFault):
        source_of(IssuerRow(kind="oidc", issuer="https://idp.test", owner="ada", audiences=(GATE,), **named))


@pytest.mark.parametrize(
    "named,source",
    [
        ({"jwks_url": "https://idp.test/jwks"}, Source(location="https://idp.test/jwks")),
        ({"jwks_url": "http://[::1]:1/jwks"}, Source(location="http://[::1]:1/jwks")),
        ({"jwks_file": "keys.json"}, Source(location="keys.json")),
        ({"bundle_url": "https://mesh.test/bundle"}, Source(location="https://mesh.test/bundle", bundle=True)),
        ({"bundle_file": "mesh.json"}, Source(location="mesh.json", bundle=True)),
    ],
)
def test_a_row_names_one_source(named, source):
    row = IssuerRow(kind="oidc", issuer="https://idp.test", owner="ada", audiences=(GATE,), **named)

    assert source_of(row) == source


def test_a_document_of_private_keys_yields_none_of_them():
    key = pair("ES256", "shown").key

    document = json.dumps({"keys": [{**key.as_dict(private=True), "kid": "shown"}]}).encode()

    assert keys_in(document, bundle=False) == {}
