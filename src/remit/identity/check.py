"""Step 2, the answer: which catalogued party is it, and may it come in?"""

from remit.catalogue import View
from remit.catalogue.model import Agent
from remit.identity.model import Claims, Issuer, Kind, Principal
from remit.identity.spiffe import agent_name, spiffe_id
from remit.reasons import Denied, Reason


def admitted(principal: Principal, view: View) -> Agent:
    """The agent's row, or `Denied`: no agent, not catalogued, ownerless, revoked, its key or standing token revoked."""
    if principal.kind != "agent":
        raise Denied(Reason.IDENTITY_DOOR, "agents only")
    agent = view.agent(principal.name)
    if view.is_revoked("key", principal.key):
        raise Denied(Reason.IDENTITY_REVOKED, "the key is revoked")
    if principal.standing:
        _stands(principal, view)
    return agent


def _stands(principal: Principal, view: View) -> None:
    """A standing token says no more than its row: issued to this agent, until then, and not revoked."""
    row = view.standing_token(principal.jti)
    if row.agent != principal.name or row.expires != principal.expires * 1000:
        raise Denied(Reason.IDENTITY_INVALID)


def agent_of(claims: Claims, issuer: Issuer, *, view: View) -> Principal:
    """The agent a verified token is from: by name in the local trust domain, by exact (issuer, subject) elsewhere.

    Whether the catalogue knows the name of a local one is for `admitted` to say.
    """
    if issuer.kind == "local":
        return _principal("agent", agent_name(spiffe_id(claims.subject)), claims=claims, issuer=issuer)
    found = view.agent_by_identity(issuer.name, claims.subject)
    if found is None:
        service = view.service_by_identity(issuer.name, claims.subject)
        raise Denied(Reason.IDENTITY_UNMAPPED if service is None else Reason.IDENTITY_DOOR)
    return _principal("agent", found, claims=claims, issuer=issuer)


def service_of(claims: Claims, issuer: Issuer, *, view: View) -> Principal:
    """The service a verified token is from, owned and unrevoked, or `Denied`. No local token is a service's."""
    name = view.service_by_identity(issuer.name, claims.subject)
    if name is None:
        agent = issuer.kind == "local" or view.agent_by_identity(issuer.name, claims.subject) is not None
        raise Denied(Reason.IDENTITY_DOOR if agent else Reason.IDENTITY_UNMAPPED)
    view.service(name)
    if view.is_revoked("key", claims.key):
        raise Denied(Reason.IDENTITY_REVOKED, "the key is revoked")
    return _principal("service", name, claims=claims, issuer=issuer)


def _principal(kind: Kind, name: str, *, claims: Claims, issuer: Issuer) -> Principal:
    return Principal(
        kind=kind,
        name=name,
        id=f"{claims.issuer}#{claims.subject}" if issuer.kind == "oidc" else claims.subject,
        issuer=issuer.name,
        subject=claims.subject,
        expires=claims.expires,
        key=claims.key,
        jti=claims.jti,
        task=claims.task,
        standing=issuer.standing,
    )
