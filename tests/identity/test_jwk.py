"""Which keys may verify, and what they may verify."""

from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey
from joserfc.util import base64_to_int, int_to_base64

from remit.identity.jwk import enrollable, public_key, serves, thumbprint
from remit.reasons import Denied, Reason
from tests.identity.forge import pair

EC, RSA, ED = pair("ES256", "ec").jwk, pair("RS256", "rsa").jwk, pair("Ed25519", "ed").jwk

REFUSED: dict[str, Any] = {
    "not an object": "key",
    "nothing": {},
    "symmetric": {"kty": "oct", "k": "c2VjcmV0", "kid": "k"},
    "a private EC key": {**pair("ES256", "ec").key.as_dict(private=True), "kid": "k"},
    "a private RSA key": {**RSA, "d": "AQAB"},
    "one prime of an RSA key": {**RSA, "p": "AQAB"},
    "no kid": {name: value for name, value in EC.items() if name != "kid"},
    "an empty kid": {**EC, "kid": ""},
    "a kid that is no string": {**EC, "kid": 7},
    "a kid of 300 characters": {**EC, "kid": "k" * 300},
    "for encryption": {**EC, "use": "enc"},
    "for signing only": {**EC, "key_ops": ["sign"]},
    "key_ops that are no list": {**EC, "key_ops": "verify"},
    "no kty": {**EC, "kty": None},
    "kty a list": {**EC, "kty": ["EC"]},
    "an unknown kty": {**EC, "kty": "ML-DSA"},
    "without y": {**EC, "y": None},
    "without n": {**RSA, "n": 1},
    "another curve": {**pair("ES256K", "k1").jwk},
    "a curve for key agreement": {**OKPKey.generate_key("X25519").as_dict(private=False), "kid": "x"},
    "Ed448": {**OKPKey.generate_key("Ed448").as_dict(private=False), "kid": "x"},
    "a curve that is no string": {**EC, "crv": 256},
    "a point beside the curve": {**EC, "x": EC["y"], "y": EC["x"]},
    "x not base64url": {**EC, "x": "not base64!"},
    "an empty x": {**ED, "x": ""},
    "an RSA key of 1024 bits": {**RSA, "n": int_to_base64(base64_to_int(RSA["n"]) >> 1024)},
    "an RSA key of 16384 bits": {**RSA, "n": int_to_base64(1 << 16383 | 1)},
    "an RSA exponent of 1": {**RSA, "e": "AQ"},
    "an RSA exponent of 3": {**RSA, "e": "Aw"},
    "an RSA exponent of 2048 bits": {**RSA, "e": RSA["n"]},
    "n not base64url": {**RSA, "n": "+++"},
    "alg of another type": {**EC, "alg": "RS256"},
    "alg of another curve": {**EC, "alg": "ES384"},
    "alg HS256 on an RSA key": {**RSA, "alg": "HS256"},
    "alg that is no string": {**EC, "alg": ["ES256"]},
}


@pytest.mark.parametrize("jwk", REFUSED.values(), ids=REFUSED)
def test_a_key_that_may_not_verify_is_refused(jwk):
    with pytest.raises(Denied) as refused:
        public_key(jwk)

    assert refused.value.reason is Reason.IDENTITY_INVALID


@pytest.mark.holds("IDENT-ALGORITHM")
@pytest.mark.parametrize(
    "jwk,algorithms",
    [
        (EC, {"ES256"}),
        (pair("ES384", "p384").jwk, {"ES384"}),
        (pair("ES512", "p521").jwk, {"ES512"}),
        (ED, {"Ed25519"}),
        ({**ED, "alg": "EdDSA"}, {"Ed25519"}),
        (RSA, {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
        ({**RSA, "alg": "PS256"}, {"PS256"}),
        ({**EC, "use": "sig", "key_ops": ["verify", "sign"]}, {"ES256"}),
    ],
)
def test_a_key_serves_the_algorithms_of_its_type_and_no_other(jwk, algorithms):
    assert serves(public_key(jwk)) == algorithms


def test_only_public_members_are_kept():
    key = public_key({**EC, "x5c": ["MIIB"], "use": "sig", "note": "x"})

    assert sorted(key.jwk) == ["crv", "kty", "x", "y"]


def test_a_thumbprint_is_that_of_rfc_7638():
    example = {  # RFC 7638 section 3.1
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWK"
        "RXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMic"
        "AtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3"
        "XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    }

    assert thumbprint(public_key(example)) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_one_key_has_one_thumbprint_however_it_is_spelt():
    stretched = {**EC, "x": int_to_base64(base64_to_int(EC["x"]), 40)}

    assert thumbprint(public_key(stretched)) == thumbprint(public_key(EC)) == pair("ES256", "ec").key.thumbprint()


def test_an_agent_s_key_is_named_by_its_thumbprint_whatever_it_says():
    assert enrollable({**EC, "kid": "gateway"}).kid == pair("ES256", "ec").key.thumbprint()
    assert enrollable(ECKey.generate_key("P-256").as_dict(private=False)).jwk["crv"] == "P-256"


def test_what_is_no_key_cannot_be_enrolled():
    with pytest.raises(Denied):
        enrollable(None)
