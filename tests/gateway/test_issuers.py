"""Agents of other issuers at the real door: their keys rotate, forged tokens flood it, and nobody restarts anything."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remit.limits import JWKS_REFETCH_MIN_S, JWKS_REFRESH_S
from tests.gateway.running import House, a_house, agent_row, talking
from tests.identity.conftest import IssuerProcess, issuer
from tests.identity.forge import Pair, pair

__all__ = ["issuer"]  # the fixture, made known here

pytestmark = pytest.mark.slow

SHIFTED = Path(__file__).with_name("shifted.py")
AUDIENCE = "https://gate.test"
OIDC = {"iss": "https://ci.test", "sub": "ci/bot", "aud": AUDIENCE}
SVID = {"sub": "spiffe://mesh.test/ns/a/sa/pod", "aud": [AUDIENCE]}


class Federation:
    """A house that knows one agent by an OIDC issuer and one by a SPIFFE trust domain, on a clock that can be moved."""

    def __init__(self, house: House, issuer: IssuerProcess) -> None:
        self.house, self.issuer = house, issuer
        self.bot, self.pod = (house.open(name) for name in ("bot", "pod"))
        self._shift = house.home.root / "shift"
        self._passed_s = 0

    def passes(self, seconds: int) -> None:
        """Let time pass for the gateway, and for whoever issues tokens."""
        self._passed_s += seconds
        self._shift.write_text(str(self._passed_s * 1000))

    def publish(self, *keys: Pair) -> None:
        """Replace the trust domain's bundle."""
        listed = [{**key.jwk, "use": "jwt-svid"} for key in keys]
        (self.house.home.root / "mesh.json").write_text(json.dumps({"keys": listed}))

    def times(self) -> dict[str, int]:
        now = int(time.time()) + self._passed_s
        return {"iat": now, "exp": now + 300}

    def token(self) -> str:
        return self.issuer.mint({**OIDC, **self.times()})

    def svid(self, key: Pair) -> str:
        return key.token({**SVID, **self.times()})

    async def status(self, token: str, task: str) -> int:
        """200 with the call's own answer, or how the door refused."""
        async with talking(self.house) as agent:
            answer = await agent.call("echo", {"n": 1}, token=token, headers={"Remit-Task": task})
            if answer.status == 200:
                assert answer.value == {"n": 1}
            return answer.status


@pytest.fixture
def federation(tmp_path: Path, issuer: IssuerProcess) -> Iterator[Federation]:
    more = f"""
issuers:
  ci:
    kind: oidc
    issuer: https://ci.test
    owner: op
    audiences: ["{AUDIENCE}"]
    jwks_url: {issuer.url}/jwks
  mesh:
    kind: spiffe
    issuer: spiffe://mesh.test
    owner: op
    audiences: ["{AUDIENCE}"]
    bundle_file: mesh.json
"""
    agents = "".join(
        (
            agent_row("scout"),
            agent_row("rival"),
            agent_row("bot", identity="{issuer: ci, subject: ci/bot}"),
            agent_row("pod", identity='{issuer: mesh, subject: "spiffe://mesh.test/ns/a/sa/pod"}'),
        )
    )
    with a_house(tmp_path, more=more, agents=agents) as (house, _):
        house.stop()
        (house.home.root / "shift").write_text("0")
        house.start((sys.executable, str(SHIFTED), str(house.home.root / "shift")))
        yield Federation(house, issuer)


@pytest.mark.holds("IDENT-ROTATION", "IDENT-ISSUER")
async def test_an_oidc_issuer_rotates_its_keys_while_its_agent_works(federation: Federation) -> None:
    old = federation.token()
    assert await federation.status(old, federation.bot) == 200
    federation.issuer.rotate(keep=1)
    federation.passes(JWKS_REFETCH_MIN_S)
    new = federation.token()
    assert await federation.status(new, federation.bot) == 200
    assert await federation.status(old, federation.bot) == 200
    federation.issuer.rotate(keep=0)
    federation.passes(JWKS_REFRESH_S)
    assert await federation.status(new, federation.bot) == 401
    assert await federation.status(federation.token(), federation.bot) == 200


@pytest.mark.holds("IDENT-SPIFFE", "IDENT-ROTATION")
async def test_a_trust_domain_rotates_its_bundle_while_its_workload_works(federation: Federation) -> None:
    first, second = pair("ES256", "svid-1"), pair("ES256", "svid-2")
    federation.publish(first)
    assert await federation.status(federation.svid(first), federation.pod) == 200
    assert await federation.status(federation.svid(second), federation.pod) == 401
    federation.publish(first, second)
    federation.passes(JWKS_REFETCH_MIN_S)
    assert await federation.status(federation.svid(second), federation.pod) == 200
    federation.publish(second)
    federation.passes(JWKS_REFRESH_S)
    assert await federation.status(federation.svid(first), federation.pod) == 401
    assert await federation.status(federation.svid(second), federation.pod) == 200


@pytest.mark.holds("IDENT-ISSUER", "IDENT-EXPIRED", "IDENT-AUDIENCE")
async def test_an_external_identity_is_exactly_its_own(federation: Federation) -> None:
    key = pair("ES256", "svid-1")
    federation.publish(key)
    wrong: list[dict[str, Any]] = [
        {"sub": "ci/bot2"},
        {"iss": "https://ci.test/"},
        {"aud": "https://other.test"},
        {"exp": int(time.time()) - 60, "iat": int(time.time()) - 120},
    ]
    for claims in wrong:
        token = federation.issuer.mint({**OIDC, **federation.times(), **claims})
        assert await federation.status(token, federation.bot) == 401, claims
    for subject in ("spiffe://mesh.test/ns/a/sa/other", "spiffe://other.test/ns/a/sa/pod"):
        assert await federation.status(key.token({**SVID, **federation.times(), "sub": subject}), federation.pod) == 401


@pytest.mark.holds("LIMIT-KIDS")
async def test_a_flood_of_unknown_key_ids_asks_the_issuer_a_bounded_number_of_times(federation: Federation) -> None:
    assert await federation.status(federation.token(), federation.bot) == 200
    asked = federation.issuer.count()
    forged = [pair("ES256", "svid-1").token({**OIDC, **federation.times()}, {"kid": f"k-{n}"}) for n in range(300)]
    async with talking(federation.house) as agent:

        async def status(token: str) -> int:
            return (await agent.call("echo", token=token)).status

        assert set(await asyncio.gather(*map(status, forged[:150]))) == {401}
        assert federation.issuer.count() == asked
        federation.passes(JWKS_REFETCH_MIN_S)
        assert set(await asyncio.gather(*map(status, forged[150:]))) == {401}
    assert federation.issuer.count() == asked + 1
    assert await federation.status(federation.token(), federation.bot) == 200
