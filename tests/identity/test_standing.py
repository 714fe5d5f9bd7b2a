"""Standing tokens: worth exactly their row, from the next request on, whatever is remembered of them."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from remit.catalogue import View
from remit.catalogue.model import ExternalIdentity, StandingToken
from remit.edge.keys.files import TokenKey
from remit.edge.keys.local import LocalIssuer
from remit.errors import StoreFault
from remit.identity import admitted
from remit.identity.model import STANDING_TYP, Key
from remit.limits import CLOCK_SKEW_S, STANDING_TOKEN_DAYS_MAX, TOKEN_LIFETIME_MAX_S
from remit.reasons import Denied, Reason
from tests.identity.forge import Pair, pair
from tests.identity.world import (
    DOMAIN,
    ENDPOINT,
    GATEWAY,
    IDP,
    LOCAL_CLAIMS,
    MESH,
    NOW,
    OIDC_CLAIMS,
    OTHERS,
    OWN,
    SVID_CLAIMS,
    World,
    agent,
    declared,
    enrolment,
)

DAY = 24 * 3600
JTI = "5f0c9a1be2d34c6b7a80"
UNTIL = NOW + 30 * DAY
STANDING: Mapping[str, Any] = {**LOCAL_CLAIMS, "exp": UNTIL, "jti": JTI}
INVALID, EXPIRED = Reason.IDENTITY_INVALID, Reason.IDENTITY_EXPIRED
AUDIENCE, REVOKED = Reason.IDENTITY_AUDIENCE, Reason.IDENTITY_REVOKED


def row(**changes: Any) -> StandingToken:
    as_issued = {
        "agent": "bot",
        "audience": ENDPOINT,
        "at": NOW * 1000,
        "expires": UNTIL * 1000,
        "actor": "ada",
        "reason": "an editor",
    }
    return StandingToken(**{**as_issued, **changes})


def view(*revoked: str, rows: Mapping[str, StandingToken] | None = None, **changes: Any) -> View:
    given = {JTI: row()} if rows is None else rows
    return View.of(
        declared(**changes),
        "sha256:0",
        pins={},
        seen={},
        keys=enrolment(OWN, "bot") | enrolment(OTHERS, "other"),
        revoked=dict.fromkeys(revoked, b"{}"),
        standing={jti: msgspec.json.encode(one) for jti, one in given.items()},
    )


def token(key: Pair = GATEWAY, typ: str = STANDING_TYP, **changes: Any) -> str:
    return key.token({**STANDING, **changes}, {"typ": typ})


def without(name: str) -> str:
    return GATEWAY.token({key: value for key, value in STANDING.items() if key != name}, {"typ": STANDING_TYP})


@pytest.fixture
def world() -> World:
    made = World()
    made.view = view()
    return made


async def refused(world: World, shown: str, *, at: str = ENDPOINT, door: str = "agent") -> Reason:
    with pytest.raises(Denied) as no:
        await getattr(world.authenticator, door)(shown, at)
    return no.value.reason


async def test_a_standing_token_makes_its_bearer_the_agent_of_its_row(world: World) -> None:
    principal = await world.authenticator.agent(token(), ENDPOINT)

    assert (principal.name, principal.jti, principal.standing, principal.task) == ("bot", JTI, True, None)
    assert principal.expires == UNTIL


async def test_it_stands_until_its_last_day(world: World) -> None:
    world.now_s = UNTIL - 1
    assert (await world.authenticator.agent(token(), ENDPOINT)).name == "bot"
    world.now_s = UNTIL + CLOCK_SKEW_S
    assert await refused(world, token()) is EXPIRED


# What is wrong → the token, and the reason. Each is signed rightly unless its name says otherwise.
ATTACKS: dict[str, tuple[str, Reason]] = {
    "without a row": (token(jti="another"), INVALID),
    "without a jti": (without("jti"), INVALID),
    "another agent under this jti": (token(sub=f"spiffe://{DOMAIN}/agent/other"), INVALID),
    "nobody of the catalogue": (token(sub=f"spiffe://{DOMAIN}/agent/nobody"), Reason.IDENTITY_UNMAPPED),
    "longer than its row": (token(exp=UNTIL + 1), INVALID),
    "shorter than its row": (token(exp=UNTIL - 1), INVALID),
    "longer than any may": (token(exp=NOW + STANDING_TOKEN_DAYS_MAX * DAY + 1), INVALID),
    "backdated to fit": (token(iat=NOW - (STANDING_TOKEN_DAYS_MAX - 30) * DAY - 1), INVALID),
    "issued in the future": (token(iat=NOW + CLOCK_SKEW_S + 1), INVALID),
    "not yet valid": (token(nbf=NOW + CLOCK_SKEW_S + 1), INVALID),
    "without iat": (without("iat"), INVALID),
    "without exp": (without("exp"), INVALID),
    "for another endpoint": (token(aud="https://gate.test/mcp/files"), AUDIENCE),
    "for all endpoints": (token(aud="https://gate.test/mcp"), AUDIENCE),
    "for two endpoints": (token(aud=[ENDPOINT, "https://gate.test/mcp/files"]), AUDIENCE),
    "for none": (without("aud"), AUDIENCE),
    "bound to a key": (token(cnf={"jkt": "x"}), INVALID),
    "of the agent's own key": (token(OWN), INVALID),
    "of another agent's key": (token(OTHERS), INVALID),
    "of a key under the gateway's id": (token(Pair(OWN.key, "ES256", GATEWAY.kid)), INVALID),
    "of a stranger's key": (token(pair("ES256", "stranger")), INVALID),
    "of an external issuer": (IDP.token({**OIDC_CLAIMS, "jti": JTI}, {"typ": STANDING_TYP}), INVALID),
    "of a mesh": (MESH.token({**SVID_CLAIMS, "jti": JTI}, {"typ": STANDING_TYP}), INVALID),
    "of another trust domain": (token(iss="spiffe://mesh.test"), INVALID),
    "of no issuer": (without("iss"), INVALID),
    "typed as a token of minutes": (token(typ="JWT"), INVALID),
    "typed as nothing": (token(typ=""), INVALID),
    "long, of the agent's own key, as a token of minutes": (token(OWN, typ="JWT"), INVALID),
    "of minutes, of the gateway, without a task": (token(typ="JWT", exp=NOW + 300), INVALID),
}


@pytest.mark.parametrize("shown, reason", ATTACKS.values(), ids=ATTACKS)
async def test_what_is_not_the_token_of_its_row_is_refused(world: World, shown: str, reason: Reason) -> None:
    assert await refused(world, shown) is reason


async def test_an_agent_s_own_key_still_signs_for_minutes_only(world: World) -> None:
    long = OWN.token({**LOCAL_CLAIMS, "exp": NOW + TOKEN_LIFETIME_MAX_S + 1})
    assert await refused(world, long) is INVALID


async def test_it_opens_nothing_at_the_people_s_door(world: World) -> None:
    assert await refused(world, token(), door="service") is Reason.IDENTITY_DOOR


# What happened since it was accepted, and remembered → why the next request is refused.
SINCE: dict[str, tuple[View, Reason]] = {
    "revoked": (view(f"token/{JTI}"), REVOKED),
    "its row is gone": (view(rows={}), INVALID),
    "its row is another agent's": (view(rows={JTI: row(agent="other")}), INVALID),
    "its row ends earlier": (view(rows={JTI: row(expires=UNTIL * 1000 - 1)}), INVALID),
    "its agent is revoked": (view("agent/bot"), REVOKED),
    "its agent is gone": (view(agents={"other": agent()}), Reason.IDENTITY_UNMAPPED),
    "its agent has an issuer": (
        view(agents={"bot": agent(identity=ExternalIdentity(issuer="idp", subject="bot"))}),
        INVALID,
    ),
    "the gateway's key is revoked": (view("key/" + GATEWAY.key.thumbprint()), REVOKED),
}


@pytest.mark.holds("IDENT-STANDING", "IDENT-REVOKED")
@pytest.mark.parametrize("now, reason", SINCE.values(), ids=SINCE)
async def test_what_was_remembered_of_it_goes_with_its_row(world: World, now: View, reason: Reason) -> None:
    shown = token()
    principal = await world.authenticator.agent(shown, ENDPOINT)
    assert await world.authenticator.agent(shown, ENDPOINT) is principal

    world.view = now

    assert await refused(world, shown) is reason
    with pytest.raises(Denied):  # nor does a call go on that began before
        admitted(principal, now)


async def test_a_revocation_of_another_token_leaves_it(world: World) -> None:
    await world.authenticator.agent(token(), ENDPOINT)
    world.view = view("token/another")
    assert (await world.authenticator.agent(token(), ENDPOINT)).jti == JTI


async def test_each_door_it_was_not_issued_for_stays_closed_though_it_is_remembered(world: World) -> None:
    shown = token()
    await world.authenticator.agent(shown, ENDPOINT)
    assert await refused(world, shown, at="https://gate.test/mcp/files") is AUDIENCE


def test_a_row_that_cannot_be_read_stops_the_view() -> None:
    with pytest.raises(StoreFault, match="standing token `x`"):
        View.of(declared(), "", pins={}, seen={}, keys={}, revoked={}, standing={"x": b"{}"})


async def test_what_the_local_issuer_signs_is_what_is_accepted(world: World) -> None:
    key = TokenKey(GATEWAY.key.private_key)
    signed = LocalIssuer(key, DOMAIN).stand(JTI, row())
    public: Key = key.public
    world.authenticator._token_keys = {public.kid: public}

    assert (await world.authenticator.agent(signed, ENDPOINT)).jti == JTI
