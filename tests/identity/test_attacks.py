"""Tokens that must not pass, as data: what is wrong with each, and the reason it is refused with."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from remit.limits import CLOCK_SKEW_S, TOKEN_BYTES_MAX
from remit.reasons import Denied, Reason
from tests.identity.forge import Pair, b64, compact, hmac_with, pair, text
from tests.identity.world import (
    DOMAIN,
    ENDPOINT,
    GATE,
    GATEWAY,
    IDP,
    IDP_EC,
    LOCAL_CLAIMS,
    MESH,
    NOW,
    OIDC_CLAIMS,
    OTHERS,
    OWN,
    PEOPLE,
    PERSON_CLAIMS,
    SVID_CLAIMS,
    World,
)

INVALID, EXPIRED, AUDIENCE = Reason.IDENTITY_INVALID, Reason.IDENTITY_EXPIRED, Reason.IDENTITY_AUDIENCE
UNMAPPED, DOOR = Reason.IDENTITY_UNMAPPED, Reason.IDENTITY_DOOR
STRANGER = pair("ES256", "stranger")
GONE = object()


def changed(claims: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**claims, **changes}.items() if value is not GONE}


def local(key: Pair = OWN, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
    return key.token(changed(LOCAL_CLAIMS, claims), header)


def oidc(key: Pair = IDP, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
    return key.token(changed(OIDC_CLAIMS, claims), header)


def svid(key: Pair = MESH, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
    return key.token(changed(SVID_CLAIMS, claims), header)


def headed(header: Mapping[str, Any], sign: Callable[[bytes], bytes], claims: Mapping[str, Any] = OIDC_CLAIMS) -> str:
    return compact(header, dict(claims), sign)


def doubled(claims: Mapping[str, Any], name: str, value: str) -> bytes:
    """The claim a second time, at the end, where most parsers would believe it."""
    return text(dict(claims))[:-1] + f', "{name}": "{value}"}}'.encode()


def padded(token: str) -> str:
    return ".".join(part + "=" * (-len(part) % 4) for part in token.split("."))


def respelt(token: str) -> str:
    """The same bytes in another base64url spelling: a bit that decodes to nothing is set in the last character."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(token.rpartition(".")[2]) % 4, "an ES256 signature leaves spare bits"
    return token[:-1] + alphabet[alphabet.index(token[-1]) + 1]


PASS = {
    "an agent's own key": local(),
    "the gateway's key, for a task": local(GATEWAY, task="task-1"),
    "an audience array of one": local(aud=[ENDPOINT]),
    "Ed25519 by its name": local(OTHERS, sub=f"spiffe://{DOMAIN}/agent/other"),
    "Ed25519 by its old name": local(OTHERS, {"alg": "EdDSA"}, sub=f"spiffe://{DOMAIN}/agent/other"),
    "a clock half a minute apart": local(iat=NOW + CLOCK_SKEW_S, exp=NOW + 300),
    "expired within the skew": local(iat=NOW - 300, exp=NOW - CLOCK_SKEW_S + 1),
    "an external workload": oidc(),
    "EC at the same issuer": oidc(IDP_EC),
    "one of several audiences": oidc(aud=["elsewhere", "gate"]),
    "an access token's type": oidc(header={"typ": "application/at+jwt"}),
    "no type": compact({"alg": "RS256", "kid": IDP.kid}, dict(OIDC_CLAIMS), IDP.sign),
    "without iat, within the lifetime": oidc(iat=GONE, exp=NOW + 3600),
    "a fractional time": oidc(exp=NOW + 300.5),
    "a JWT-SVID": svid(),
    "a JWT-SVID of type JOSE": svid(header={"typ": "JOSE"}),
    "a JWT-SVID with an issuer URL, which means nothing": svid(iss="https://spire.test"),
}

ATTACKS: dict[str, tuple[str, Reason]] = {
    # the algorithm
    "none": (headed({"alg": "none", "kid": IDP.kid}, lambda _: b"x"), INVALID),
    "none, empty signature": (headed({"alg": "none", "kid": IDP.kid}, lambda _: b""), INVALID),
    "None in another case": (headed({"alg": "nOnE", "kid": IDP.kid}, lambda _: b"x"), INVALID),
    "HMAC with the RSA public key": (
        headed({"alg": "HS256", "kid": IDP.kid}, hmac_with(IDP.key.as_pem(private=False))),
        INVALID,
    ),
    "RS256 named for an EC key": (oidc(IDP_EC, {"alg": "RS256"}), INVALID),
    "ES256 named for an RSA key": (oidc(IDP, {"alg": "ES256"}), INVALID),
    "Ed25519 named for an EC key": (oidc(IDP_EC, {"alg": "Ed25519"}), INVALID),
    "PS256, which the issuer does not use": (Pair(IDP.key, "PS256", IDP.kid).token(dict(OIDC_CLAIMS)), INVALID),
    "a curve nobody allowed": (oidc(pair("ES256K", IDP_EC.kid)), INVALID),
    "no alg": (headed({"kid": IDP.kid}, IDP.sign), INVALID),
    "alg not a string": (headed({"alg": ["RS256"], "kid": IDP.kid}, IDP.sign), INVALID),
    # the key
    "an unknown kid": (oidc(STRANGER), INVALID),
    "a stranger's key under a known kid": (oidc(pair("ES256", IDP_EC.kid + "x"), {"kid": IDP_EC.kid}), INVALID),
    "no kid": (headed({"alg": "RS256"}, IDP.sign), INVALID),
    "an empty kid": (oidc(header={"kid": ""}), INVALID),
    "a kid of 300 characters": (oidc(header={"kid": "k" * 300}), INVALID),
    "kid points to another agent's key": (local(header={"kid": OTHERS.kid}), INVALID),
    "an agent's key signs for another agent": (local(sub=f"spiffe://{DOMAIN}/agent/other"), INVALID),
    "an agent's key signs for an external issuer": (oidc(OWN), INVALID),
    "an issuer's key signs for the local domain": (local(IDP), INVALID),
    "one issuer's key signs for another": (svid(IDP_EC), INVALID),
    "an embedded jwk": (oidc(STRANGER, {"jwk": STRANGER.jwk}), INVALID),
    "an embedded jwk, right key": (oidc(header={"jwk": IDP.jwk}), INVALID),
    "a jku": (oidc(STRANGER, {"jku": "https://evil.test/jwks"}), INVALID),
    "an x5u": (oidc(STRANGER, {"x5u": "https://evil.test/chain"}), INVALID),
    "an x5c": (oidc(STRANGER, {"x5c": ["MIIB"]}), INVALID),
    "crit": (oidc(header={"crit": ["exp"]}), INVALID),
    "crit, empty": (oidc(header={"crit": []}), INVALID),
    "an unencoded payload": (oidc(header={"b64": False}), INVALID),
    # the spelling
    "nothing": (".", INVALID),
    "two parts": (local().rpartition(".")[0], INVALID),
    "four parts": (local() + ".AAAA", INVALID),
    "five parts, like a JWE": (local() + ".AAAA.AAAA", INVALID),
    "a signature cut short": (local()[:-4], INVALID),
    "an empty signature": (local().rpartition(".")[0] + ".", INVALID),
    "leading space": (" " + local(), INVALID),
    "trailing newline": (local() + "\n", INVALID),
    "padding": (padded(local()), INVALID),
    "another base64url spelling": (respelt(local()), INVALID),
    "base64 instead of base64url": (local().replace("_", "/").replace("-", "+") + "+", INVALID),
    "not ASCII": (local() + "é", INVALID),
    "too long": (local(more="x" * TOKEN_BYTES_MAX), INVALID),
    "a header that is no object": (compact(["RS256"], dict(OIDC_CLAIMS), IDP.sign), INVALID),
    "a header that is no JSON": (compact(b"{alg:RS256}", dict(OIDC_CLAIMS), IDP.sign), INVALID),
    "claims that are no object": (IDP.token("claims"), INVALID),
    "one spare base64 character": (f"{b64(b'{}')}A.e30.AAAA", INVALID),
    "alg twice": (
        compact(b'{"alg":"RS256","kid":"' + IDP.kid.encode() + b'","alg":"none"}', dict(OIDC_CLAIMS), IDP.sign),
        INVALID,
    ),
    "sub twice": (OWN.token(doubled(LOCAL_CLAIMS, "sub", f"spiffe://{DOMAIN}/agent/other")), INVALID),
    "aud twice": (OWN.token(doubled(LOCAL_CLAIMS, "aud", ENDPOINT)), INVALID),
    # the issuer
    "an issuer nobody knows": (oidc(iss="https://evil.test"), INVALID),
    "the issuer with a trailing slash": (oidc(iss="https://idp.test/"), INVALID),
    "the issuer in another case": (oidc(iss="https://IDP.test"), INVALID),
    "the issuer with a space": (oidc(iss="https://idp.test "), INVALID),
    "no issuer": (oidc(iss=GONE), INVALID),
    "an issuer that is no string": (oidc(iss=["https://idp.test"]), INVALID),
    "the catalogue's name as issuer": (oidc(iss="idp"), INVALID),
    # the subject
    "no subject": (oidc(sub=GONE), INVALID),
    "an empty subject": (oidc(sub=""), INVALID),
    "a subject that is no string": (oidc(sub=1), INVALID),
    "a subject with a line break": (oidc(sub="repo:org/cloud\n"), INVALID),
    "a subject nobody catalogued": (oidc(sub="repo:org/else"), UNMAPPED),
    "the subject in another case": (oidc(sub="repo:Org/cloud"), UNMAPPED),
    "the subject and more": (oidc(sub="repo:org/cloud/x"), UNMAPPED),
    "an agent nobody catalogued": (local(GATEWAY, task="task-1", sub=f"spiffe://{DOMAIN}/agent/nobody"), UNMAPPED),
    "the local subject in another case": (local(GATEWAY, task="task-1", sub=f"spiffe://{DOMAIN}/agent/Bot"), UNMAPPED),
    "a local subject that is no agent": (local(GATEWAY, task="task-1", sub=f"spiffe://{DOMAIN}/service/bot"), UNMAPPED),
    "a local subject below an agent": (local(GATEWAY, task="task-1", sub=f"spiffe://{DOMAIN}/agent/bot/x"), UNMAPPED),
    "a local subject of another trust domain": (
        local(GATEWAY, task="task-1", sub="spiffe://mesh.test/agent/bot"),
        INVALID,
    ),
    "a local subject without trust domain": (local(GATEWAY, task="task-1", sub="bot"), INVALID),
    # the times
    "expired": (local(iat=NOW - 600, exp=NOW - CLOCK_SKEW_S), EXPIRED),
    "not valid yet": (local(nbf=NOW + CLOCK_SKEW_S + 1), INVALID),
    "issued in the future": (local(iat=NOW + CLOCK_SKEW_S + 1, exp=NOW + 300), INVALID),
    "issued in the future, valid from now": (local(iat=NOW + CLOCK_SKEW_S + 1, nbf=NOW, exp=NOW + 300), INVALID),
    "a local JWT-SVID without issuer": (local(iss=GONE), INVALID),
    "lives too long": (local(exp=NOW + 601), INVALID),
    "lives too long, counted from iat": (local(iat=NOW - 500, exp=NOW + 200), INVALID),
    "lives too long for its issuer": (oidc(exp=NOW + 3601), INVALID),
    "lives too long, without iat": (svid(exp=NOW + 24 * 3600 + 1), INVALID),
    "no exp": (local(exp=GONE), INVALID),
    "no exp in a JWT-SVID": (svid(exp=GONE), INVALID),
    "no iat in a local token": (local(iat=GONE), INVALID),
    "exp a string": (local(exp=str(NOW + 300)), INVALID),
    "exp a truth": (local(exp=True), INVALID),
    "exp negative": (local(exp=-1), INVALID),
    "exp beyond all numbers": (OWN.token(text(dict(LOCAL_CLAIMS)).replace(b"1800000300", b"1e400")), INVALID),
    "iat null": (oidc(iat=None), INVALID),
    # the audience
    "another endpoint": (local(aud="https://gate.test/mcp/time"), AUDIENCE),
    "the gateway instead of the endpoint": (local(aud=GATE), AUDIENCE),
    "a prefix of the endpoint": (local(aud=ENDPOINT[:-1]), AUDIENCE),
    "the endpoint with a trailing slash": (local(aud=ENDPOINT + "/"), AUDIENCE),
    "the endpoint in another case": (local(aud=ENDPOINT.upper()), AUDIENCE),
    "the endpoint among others": (local(aud=[ENDPOINT, "https://gate.test/mcp/time"]), AUDIENCE),
    "no audience": (local(aud=GONE), AUDIENCE),
    "an empty list of audiences": (local(aud=[]), AUDIENCE),
    "an audience that is no string": (local(aud=[1]), AUDIENCE),
    "an audience that is an object": (local(aud={ENDPOINT: 1}), AUDIENCE),
    "external, for nobody here": (oidc(aud="https://elsewhere.test"), AUDIENCE),
    "external, no audience": (oidc(aud=GONE), AUDIENCE),
    "a JWT-SVID without audience": (svid(aud=GONE), AUDIENCE),
    # another kind of token
    "an ID token of a person": (PEOPLE.token(dict(PERSON_CLAIMS)), DOOR),
    "a service's token": (oidc(sub="flows"), DOOR),
    "a DPoP proof": (oidc(header={"typ": "dpop+jwt"}), INVALID),
    "an ID-JAG": (oidc(header={"typ": "oauth-id-jag+jwt"}), INVALID),
    "a local token of no type": (compact({"alg": "ES256", "kid": OWN.kid}, dict(LOCAL_CLAIMS), OWN.sign), INVALID),
    "a token bound to a key": (oidc(cnf={"jkt": "x"}), INVALID),
    "a jti that is no string": (local(jti=1), INVALID),
    "the gateway's key, for no task": (local(GATEWAY), INVALID),
    "a task that is no string": (local(task=["t"]), INVALID),
    # SPIFFE IDs
    "another trust domain": (svid(sub="spiffe://evil.test/ns/a/sa/pod"), INVALID),
    "another trust domain, named by iss": (svid(sub="spiffe://evil.test/ns/a", iss="spiffe://mesh.test"), INVALID),
    "the trust domain in another case": (svid(sub="spiffe://MESH.test/ns/a/sa/pod"), INVALID),
    "the scheme in another case": (svid(sub="SPIFFE://mesh.test/ns/a/sa/pod"), INVALID),
    "a trust domain alone": (svid(sub="spiffe://mesh.test"), INVALID),
    "a trailing slash": (svid(sub="spiffe://mesh.test/ns/a/sa/pod/"), INVALID),
    "an empty segment": (svid(sub="spiffe://mesh.test/ns//a/sa/pod"), INVALID),
    "a dot segment": (svid(sub="spiffe://mesh.test/ns/./a/sa/pod"), INVALID),
    "a way up": (svid(sub="spiffe://mesh.test/x/../ns/a/sa/pod"), INVALID),
    "percent-encoded": (svid(sub="spiffe://mesh.test/ns/%61/sa/pod"), INVALID),
    "a port": (svid(sub="spiffe://mesh.test:8443/ns/a/sa/pod"), INVALID),
    "a user": (svid(sub="spiffe://x@mesh.test/ns/a/sa/pod"), INVALID),
    "a query": (svid(sub="spiffe://mesh.test/ns/a/sa/pod?x=1"), INVALID),
    "a fragment": (svid(sub="spiffe://mesh.test/ns/a/sa/pod#x"), INVALID),
    "not ASCII in the path": (svid(sub="spiffe://mesh.test/ns/а/sa/pod"), INVALID),
    "a SPIFFE ID of 2050 characters": (svid(sub="spiffe://mesh.test/" + "a" * 2031), INVALID),
    "no SPIFFE ID at all": (svid(sub="pod", iss="spiffe://mesh.test"), INVALID),
    "a JWT-SVID of type at+jwt": (svid(header={"typ": "at+jwt"}), INVALID),
}


@pytest.mark.parametrize("token", PASS.values(), ids=PASS)
async def test_a_right_token_is_accepted(token):
    principal = await World().authenticator.agent(token, ENDPOINT)

    assert principal.kind == "agent"


@pytest.mark.holds("IDENT-ALGORITHM", "IDENT-AUDIENCE", "IDENT-EXPIRED", "IDENT-ISSUER", "IDENT-SPIFFE", "IDENT-DOOR")
@pytest.mark.parametrize("token,reason", ATTACKS.values(), ids=ATTACKS)
async def test_a_wrong_token_is_refused(token, reason):
    with pytest.raises(Denied) as refused:
        await World().authenticator.agent(token, ENDPOINT)

    assert refused.value.reason is reason


@pytest.mark.parametrize("token", [token for token, _ in ATTACKS.values()], ids=ATTACKS)
async def test_a_refusal_never_quotes_the_token(token):
    with pytest.raises(Denied) as refused:
        await World().authenticator.agent(token, ENDPOINT)

    detail = refused.value.detail
    assert not any(part in detail for part in token.split(".") if len(part) > 8)
    assert "signature" not in detail


async def test_all_refusals_before_the_signature_read_the_same():
    told = set()
    for token in (oidc(STRANGER), oidc(IDP, {"alg": "ES256"}), oidc(iss="https://evil.test"), local()[:-4], "x"):
        with pytest.raises(Denied) as refused:
            await World().authenticator.agent(token, ENDPOINT)
        told.add((refused.value.reason, refused.value.detail))

    assert told == {(INVALID, "")}
