"""A small world for identity: a catalogue, a clock, issuers whose key documents are strings, one authenticator."""

import json
from collections.abc import Mapping
from typing import Any

from remit.catalogue import View
from remit.catalogue.model import Agent, Declared, ExternalIdentity, IssuerRow, Model, Person, Service
from remit.edge.keys.authenticator import Standing, TokenAuthenticator
from remit.edge.keys.fetch import KeysUnavailable, Source
from remit.edge.keys.jwks import KeyDirectory
from remit.identity.jwk import enrollable, public_key
from tests.identity.forge import Pair, pair

DOMAIN = "local.test"
ENDPOINT = "https://gate.test/mcp/git"
GATE = "https://gate.test"
NOW = 1_800_000_000

OWN = pair("ES256", "")
OTHERS = pair("Ed25519", "")
GATEWAY = pair("ES256", "gateway")
IDP = pair("RS256", "idp-1")
IDP_EC = pair("ES256", "idp-2")
MESH = pair("ES256", "mesh-1")
PEOPLE = pair("ES256", "people-1")


def agent(**more: Any) -> Agent:
    model = Model(provider="example", name="model", version="1")
    return Agent(owner="ada", model=model, version="1", environment="dev", **more)


def declared(**changes: Any) -> Declared:
    issuers = {
        "idp": IssuerRow(
            kind="oidc",
            issuer="https://idp.test",
            owner="ada",
            audiences=(GATE, "gate"),
            algorithms=("ES256", "RS256", "EdDSA"),
            jwks_url="https://idp.test/jwks",
            lifetime_max_s=3600,
        ),
        "mesh": IssuerRow(
            kind="spiffe", issuer="spiffe://mesh.test", owner="ada", audiences=(GATE,), bundle_file="mesh.json"
        ),
        "staff": IssuerRow(
            kind="oidc",
            issuer="https://people.test",
            owner="ada",
            audiences=("remit",),
            jwks_file="people.json",
            for_people=True,
        ),
    }
    rows = {
        "version": 1,
        "trust_domain": DOMAIN,
        "environments": ("dev",),
        "people": {"ada": Person(email="ada@example.org")},
        "issuers": issuers,
        "agents": {
            "bot": agent(),
            "other": agent(),
            "cloud": agent(identity=ExternalIdentity(issuer="idp", subject="repo:org/cloud")),
            "pod": agent(identity=ExternalIdentity(issuer="mesh", subject="spiffe://mesh.test/ns/a/sa/pod")),
        },
        "services": {
            "flows": Service(owner="ada", identity=ExternalIdentity(issuer="idp", subject="flows")),
        },
    }
    return Declared(**{**rows, **changes})


def enrolment(key: Pair, name: str) -> dict[str, bytes]:
    kid, jwk = enrollable(key.jwk).kid, dict(enrollable(key.jwk).jwk)
    return {kid: json.dumps({"agent": name, "jwk": jwk, "at": 1}).encode()}


def view(*revoked: str, rows: Declared | None = None) -> View:
    keys = enrolment(OWN, "bot") | enrolment(OTHERS, "other")
    gone = dict.fromkeys(revoked, b'{"at":1,"reason":"","actor":"ada"}')
    return View.of(rows or declared(), "sha256:0", pins={}, seen={}, keys=keys, revoked=gone)


def jwks(*keys: Pair | Mapping[str, Any], use: str = "sig") -> bytes:
    return json.dumps({"keys": [{**k.jwk, "use": use} if isinstance(k, Pair) else k for k in keys]}).encode()


class World:
    """`documents` is what a source answers, None for nothing; `asked` counts how often each was asked."""

    def __init__(self) -> None:
        self.now_s = NOW
        self.epoch = 1
        self.view = view()
        self.documents: dict[str, bytes | None] = {
            "https://idp.test/jwks": jwks(IDP, IDP_EC),
            "mesh.json": jwks(MESH, use="jwt-svid"),
            "people.json": jwks(PEOPLE),
        }
        self.asked: dict[str, int] = {}
        self.directory = KeyDirectory(self._fetch, lambda: self.now_s * 1000)
        standing = Standing(view=lambda: self.view, epoch=lambda: self.epoch, now_ms=lambda: self.now_s * 1000)
        self.authenticator = TokenAuthenticator(
            standing, self.directory, token_keys={GATEWAY.kid: public_key(GATEWAY.jwk)}
        )

    async def _fetch(self, source: Source) -> bytes:
        self.asked[source.location] = self.asked.get(source.location, 0) + 1
        document = self.documents[source.location]
        if document is None:
            raise KeysUnavailable("no answer")
        return document


LOCAL_CLAIMS: Mapping[str, Any] = {
    "iss": f"spiffe://{DOMAIN}",
    "sub": f"spiffe://{DOMAIN}/agent/bot",
    "aud": ENDPOINT,
    "iat": NOW,
    "exp": NOW + 300,
    "jti": "1",
}
OIDC_CLAIMS: Mapping[str, Any] = {
    "iss": "https://idp.test",
    "sub": "repo:org/cloud",
    "aud": GATE,
    "iat": NOW,
    "exp": NOW + 3600,
}
SVID_CLAIMS: Mapping[str, Any] = {"sub": "spiffe://mesh.test/ns/a/sa/pod", "aud": [GATE], "exp": NOW + 300}
PERSON_CLAIMS: Mapping[str, Any] = {
    "iss": "https://people.test",
    "sub": "grace",
    "aud": "remit",
    "iat": NOW,
    "exp": NOW + 300,
}
