"""Whom a token makes its bearer, at which door, and for how long that is remembered."""

import pytest

from remit.catalogue.model import ExternalIdentity
from remit.edge.keys import authenticator
from remit.limits import CLOCK_SKEW_S, JWKS_REFRESH_S
from remit.reasons import Denied, Reason
from tests.identity.forge import pair
from tests.identity.world import (
    DOMAIN,
    ENDPOINT,
    GATEWAY,
    IDP,
    LOCAL_CLAIMS,
    MESH,
    NOW,
    OIDC_CLAIMS,
    OWN,
    PEOPLE,
    PERSON_CLAIMS,
    SVID_CLAIMS,
    World,
    agent,
    declared,
    jwks,
    view,
)

LOCAL = OWN.token(dict(LOCAL_CLAIMS))
STEP = GATEWAY.token({**LOCAL_CLAIMS, "task": "task-1"})
CLOUD = IDP.token(dict(OIDC_CLAIMS))
FLOWS = IDP.token({**OIDC_CLAIMS, "sub": "flows"})
POD = MESH.token(dict(SVID_CLAIMS))
GRACE = PEOPLE.token(dict(PERSON_CLAIMS))


@pytest.fixture
def world():
    return World()


async def reason(world, token, door="agent"):
    """Why a token is refused at a door."""
    shown = (token,) if door == "subject" else (token, ENDPOINT)
    with pytest.raises(Denied) as refused:
        await getattr(world.authenticator, door)(*shown)
    return refused.value.reason


@pytest.mark.parametrize("token", [None, ""])
async def test_without_a_token_nobody_comes_in(world, token):
    assert await reason(world, token) is Reason.IDENTITY_MISSING
    assert await reason(world, token, "service") is Reason.IDENTITY_MISSING


async def test_a_local_agent_is_known_by_its_spiffe_id(world):
    principal = await world.authenticator.agent(LOCAL, ENDPOINT)

    assert (principal.kind, principal.name, principal.issuer) == ("agent", "bot", "local")
    assert principal.id == principal.subject == f"spiffe://{DOMAIN}/agent/bot"
    assert (principal.key, principal.jti, principal.task) == (OWN.key.thumbprint(), "1", None)
    assert principal.expires == NOW + 300


async def test_a_step_token_names_its_task(world):
    assert (await world.authenticator.agent(STEP, ENDPOINT)).task == "task-1"


async def test_a_task_an_external_issuer_names_is_not_ours(world):
    token = IDP.token({**OIDC_CLAIMS, "task": "task-1"})

    assert (await world.authenticator.agent(token, ENDPOINT)).task is None


@pytest.mark.holds("IDENT-ISSUER")
async def test_an_external_agent_is_known_by_issuer_and_subject(world):
    principal = await world.authenticator.agent(CLOUD, ENDPOINT)

    assert (principal.name, principal.issuer, principal.id) == ("cloud", "idp", "https://idp.test#repo:org/cloud")


@pytest.mark.holds("IDENT-SPIFFE")
async def test_a_workload_with_an_svid_is_known_by_its_spiffe_id(world):
    principal = await world.authenticator.agent(POD, ENDPOINT)

    assert (principal.name, principal.issuer, principal.id) == ("pod", "mesh", "spiffe://mesh.test/ns/a/sa/pod")


@pytest.mark.holds("IDENT-DOOR")
@pytest.mark.parametrize(
    "door,token,why",
    [
        ("agent", GRACE, Reason.IDENTITY_DOOR),
        ("agent", FLOWS, Reason.IDENTITY_DOOR),
        ("service", GRACE, Reason.IDENTITY_DOOR),
        ("service", CLOUD, Reason.IDENTITY_DOOR),
        ("service", LOCAL, Reason.IDENTITY_DOOR),
        ("service", STEP, Reason.IDENTITY_DOOR),
        ("service", IDP.token({**OIDC_CLAIMS, "sub": "nobody"}), Reason.IDENTITY_UNMAPPED),
        ("subject", CLOUD, Reason.IDENTITY_DOOR),
        ("subject", LOCAL, Reason.IDENTITY_DOOR),
        ("subject", POD, Reason.IDENTITY_INVALID),
        ("subject", PEOPLE.token({**PERSON_CLAIMS, "iss": "https://evil.test"}), Reason.IDENTITY_INVALID),
        ("subject", PEOPLE.token({**PERSON_CLAIMS, "aud": "another-app"}), Reason.IDENTITY_AUDIENCE),
        ("subject", PEOPLE.token(dict(PERSON_CLAIMS), {"typ": "at+jwt"}), Reason.IDENTITY_INVALID),
        ("subject", PEOPLE.token({**PERSON_CLAIMS, "exp": NOW - CLOCK_SKEW_S}), Reason.IDENTITY_EXPIRED),
    ],
)
async def test_each_door_takes_its_own_kind_of_token(world, door, token, why):
    assert await reason(world, token, door) is why


async def test_a_service_comes_in_at_its_door(world):
    principal = await world.authenticator.service(FLOWS, ENDPOINT)

    assert (principal.kind, principal.name, principal.id) == ("service", "flows", "https://idp.test#flows")


async def test_a_person_is_named_by_issuer_and_subject(world):
    assert await world.authenticator.subject(GRACE) == "https://people.test#grace"


async def test_one_provider_may_serve_people_and_workloads(world):
    rows = declared().issuers
    shared = {**rows, "staff": type(rows["staff"])(**{**_fields(rows["staff"]), "issuer": "https://idp.test"})}
    world.view = view(rows=declared(issuers=shared))
    person = PEOPLE.token({**PERSON_CLAIMS, "iss": "https://idp.test"})

    assert (await world.authenticator.agent(CLOUD, ENDPOINT)).name == "cloud"
    assert await world.authenticator.subject(person) == "https://idp.test#grace"
    assert await reason(world, person) is Reason.IDENTITY_INVALID


async def test_the_local_trust_domain_cannot_be_claimed_by_a_row(world):
    rows = declared().issuers
    claimed = {**rows, "mesh": type(rows["mesh"])(**{**_fields(rows["mesh"]), "issuer": f"spiffe://{DOMAIN}"})}
    world.view = view(rows=declared(issuers=claimed))

    assert await reason(world, MESH.token(dict(LOCAL_CLAIMS))) is Reason.IDENTITY_INVALID
    assert await reason(world, MESH.token({**SVID_CLAIMS, "sub": LOCAL_CLAIMS["sub"]})) is Reason.IDENTITY_INVALID
    assert (await world.authenticator.agent(LOCAL, ENDPOINT)).name == "bot"


REVOKED = {
    "the agent": ("agent/bot", LOCAL, "agent"),
    "the agent, with a step token": ("agent/bot", STEP, "agent"),
    "the agent's key": (f"key/{OWN.key.thumbprint()}", LOCAL, "agent"),
    "the gateway's key": (f"key/{GATEWAY.key.thumbprint()}", STEP, "agent"),
    "an external agent": ("agent/cloud", CLOUD, "agent"),
    "an external issuer's key, by thumbprint": (f"key/{IDP.key.thumbprint()}", CLOUD, "agent"),
    "a service": ("service/flows", FLOWS, "service"),
    "the key a service's issuer signs with": (f"key/{IDP.key.thumbprint()}", FLOWS, "service"),
}


@pytest.mark.holds("IDENT-REVOKED")
@pytest.mark.parametrize("what,token,door", REVOKED.values(), ids=REVOKED)
async def test_what_is_revoked_stops_at_once_though_the_token_is_remembered(world, what, token, door):
    await getattr(world.authenticator, door)(token, ENDPOINT)

    world.view, world.epoch = view(what), world.epoch + 1

    # An enrolled key goes with its agent: then nobody signed at all.
    assert await reason(world, token, door) in (Reason.IDENTITY_REVOKED, Reason.IDENTITY_INVALID)


async def test_nobody_s_agent_and_nobody_s_service_are_refused(world):
    world.view = view(rows=declared(people={}))

    assert await reason(world, LOCAL) is Reason.IDENTITY_NO_OWNER
    assert await reason(world, FLOWS, "service") is Reason.IDENTITY_NO_OWNER


async def test_an_agent_moved_to_an_external_issuer_loses_its_local_key(world):
    moved = agent(identity=ExternalIdentity(issuer="idp", subject="repo:org/bot"))
    world.view = view(rows=declared(agents={"bot": moved}))

    assert await reason(world, LOCAL) is Reason.IDENTITY_INVALID


@pytest.fixture
def verified(monkeypatch):
    """How many tokens were really verified."""
    real, seen = authenticator.verify, []
    monkeypatch.setattr(authenticator, "verify", lambda *a, **k: (seen.append(a), real(*a, **k))[1])
    return seen


async def test_a_token_is_verified_once_while_nothing_moves(world, verified):
    for _ in range(5):
        await world.authenticator.agent(CLOUD, ENDPOINT)
        world.now_s += 1

    assert len(verified) == 1


@pytest.mark.parametrize("move", ["epoch", "catalogue", "keys", "refresh"])
async def test_a_token_is_verified_again_when_something_moved(world, verified, move):
    await world.authenticator.agent(CLOUD, ENDPOINT)
    if move == "epoch":
        world.epoch += 1
    elif move == "catalogue":
        world.view = view()
    elif move == "keys":
        world.directory.generation += 1
    else:
        world.now_s += JWKS_REFRESH_S

    await world.authenticator.agent(CLOUD, ENDPOINT)

    assert len(verified) == 2


@pytest.mark.holds("IDENT-EVERY", "IDENT-EXPIRED")
async def test_a_remembered_token_expires(world):
    await world.authenticator.agent(LOCAL, ENDPOINT)

    world.now_s = NOW + 300 + CLOCK_SKEW_S

    assert await reason(world, LOCAL) is Reason.IDENTITY_EXPIRED


@pytest.mark.holds("IDENT-AUDIENCE")
async def test_a_remembered_token_is_for_its_endpoint_and_door_only(world):
    await world.authenticator.agent(LOCAL, ENDPOINT)

    with pytest.raises(Denied) as refused:
        await world.authenticator.agent(LOCAL, ENDPOINT + "/other")

    assert refused.value.reason is Reason.IDENTITY_AUDIENCE
    assert await reason(world, LOCAL, "service") is Reason.IDENTITY_DOOR


async def test_a_refusal_is_not_remembered(world):
    rotated = pair("RS256", "idp-later")
    token = rotated.token(dict(OIDC_CLAIMS))
    assert await reason(world, token) is Reason.IDENTITY_INVALID

    world.documents["https://idp.test/jwks"] = jwks(rotated)
    world.now_s += 60

    assert (await world.authenticator.agent(token, ENDPOINT)).name == "cloud"


async def test_what_is_remembered_is_bounded(world, verified, monkeypatch):
    monkeypatch.setattr(authenticator, "TOKENS_REMEMBERED_MAX", 3)
    tokens = [OWN.token({**LOCAL_CLAIMS, "jti": str(n)}) for n in range(5)]
    for token in tokens:
        await world.authenticator.agent(token, ENDPOINT)

    await world.authenticator.agent(tokens[4], ENDPOINT)
    assert len(verified) == 5

    await world.authenticator.agent(tokens[0], ENDPOINT)
    assert len(verified) == 6


async def test_what_is_remembered_holds_no_token(world):
    await world.authenticator.agent(LOCAL, ENDPOINT)

    assert LOCAL.rpartition(".")[2] not in repr(vars(world.authenticator))


def _fields(row):
    return {name: getattr(row, name) for name in row.__struct_fields__}
