"""The parts of reading a token, each by itself: what one check would let through, another must not need to catch."""

from contextlib import suppress
from string import ascii_letters, digits

import pytest
from hypothesis import given, strategies as st

from remit.identity import Issuer, Key, peek, verify
from remit.identity.jwk import public_key
from remit.identity.spiffe import SpiffeId, spiffe_id
from remit.limits import TOKEN_BYTES_MAX
from remit.reasons import Denied, Reason
from tests.identity.forge import compact
from tests.identity.world import DOMAIN, ENDPOINT, GATE, IDP, LOCAL_CLAIMS, NOW, OIDC_CLAIMS, OWN

ISSUER = Issuer(
    name="idp",
    issuer="https://idp.test",
    kind="oidc",
    algorithms=frozenset({"RS256"}),
    lifetime_max_s=3600,
    audiences=frozenset({GATE}),
)
TOKEN = IDP.token(dict(OIDC_CLAIMS))


def verified(token: str, *, key: Key, issuer: Issuer = ISSUER):
    return verify(peek(token), key=key, issuer=issuer, audience=ENDPOINT, now_s=NOW)


def test_a_right_token_says_what_it_says():
    claims = verified(TOKEN, key=public_key(IDP.jwk))

    assert (claims.issuer, claims.subject, claims.expires) == ("https://idp.test", "repo:org/cloud", NOW + 3600)
    assert claims.key == IDP.key.thumbprint()


def test_the_right_key_under_another_id_is_refused():
    with pytest.raises(Denied):
        verified(TOKEN, key=public_key({**IDP.jwk, "kid": "another"}))


def test_the_right_key_of_another_issuer_is_refused():
    another = Issuer(
        name="another",
        issuer="https://another.test",
        kind="oidc",
        algorithms=ISSUER.algorithms,
        lifetime_max_s=3600,
        audiences=ISSUER.audiences,
    )

    with pytest.raises(Denied):
        verified(TOKEN, key=public_key(IDP.jwk), issuer=another)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "HS512", "ES256K", "RSA1_5", "", "rs256"])
def test_an_algorithm_off_the_list_is_refused_before_any_key_is_looked_for(algorithm):
    token = compact({"alg": algorithm, "kid": "k", "typ": "JWT"}, dict(OIDC_CLAIMS), lambda _: b"x")

    with pytest.raises(Denied) as refused:
        peek(token)

    assert refused.value.reason is Reason.IDENTITY_INVALID


def test_a_long_token_is_not_read():
    head, _, _ = TOKEN.rpartition(".")

    with pytest.raises(Denied):
        peek(f"{head}.{'A' * TOKEN_BYTES_MAX}")


@given(at=st.integers(0, len(TOKEN) - 1), put=st.sampled_from(ascii_letters + digits + "-_.="))
def test_a_token_with_one_character_changed_is_refused(at, put):
    changed = TOKEN[:at] + put + TOKEN[at + 1 :]
    if changed == TOKEN:
        return

    with pytest.raises(Denied) as refused:
        verified(changed, key=public_key(IDP.jwk))

    assert refused.value.reason is Reason.IDENTITY_INVALID


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True))
def test_whatever_is_no_token_is_refused_in_the_same_words(text):
    with pytest.raises(Denied) as refused:
        peek(text)

    assert (refused.value.reason, refused.value.detail) == (Reason.IDENTITY_INVALID, "")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(name=st.sampled_from(["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "task", "cnf"]), value=ANYTHING)
def test_claims_of_any_shape_are_judged_not_stumbled_over(name, value):
    local = Issuer(
        name="local",
        issuer=str(LOCAL_CLAIMS["iss"]),
        kind="local",
        algorithms=frozenset({"ES256"}),
        lifetime_max_s=600,
    )

    with suppress(Denied):
        claims = verified(OWN.token({**LOCAL_CLAIMS, name: value}), key=public_key(OWN.jwk), issuer=local)
        assert claims.subject.startswith(f"spiffe://{DOMAIN}/")
        assert claims.expires <= NOW + 600


def test_a_spiffe_id_has_two_parts():
    assert spiffe_id("spiffe://mesh.test/ns/a/sa/pod") == SpiffeId("mesh.test", "/ns/a/sa/pod")


def test_a_spiffe_id_has_at_most_2048_bytes():
    most = "spiffe://mesh.test/" + "a" * (2048 - len("spiffe://mesh.test/"))

    assert spiffe_id(most).trust_domain == "mesh.test"
    with pytest.raises(Denied):
        spiffe_id(most + "a")
