"""Who may issue: the local trust domain and the catalogue's external issuers.

A token finds its issuer by its exact `iss`, or, as JWT-SVIDs need none, by the trust domain of its subject. One
identity provider may serve people and workloads under one `iss`: then it has two rows, and the door decides.

The local trust domain issues two sorts of token, told apart by `typ`: those of minutes, and standing ones.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, structs

from remit.catalogue.model import Declared, IssuerRow
from remit.identity.jwk import modern
from remit.identity.model import STANDING_TYP, Issuer, Peeked
from remit.identity.spiffe import spiffe_id, trust_domain_id
from remit.limits import STANDING_TOKEN_DAYS_MAX, TOKEN_LIFETIME_MAX_S
from remit.reasons import Denied, Reason

LOCAL: Final = "local"
_LOCAL_ALGORITHMS: Final = frozenset({"ES256", "Ed25519"})


class Issuers(Struct, frozen=True, kw_only=True):
    """By exact `iss`: those for workloads (the local trust domain among them), and those for people. `standing` is the
    local trust domain for tokens that say by `typ` that they are standing ones.
    """

    workloads: Mapping[str, Issuer]
    people: Mapping[str, Issuer]
    standing: Issuer

    def of_workload(self, peeked: Peeked) -> Issuer:
        """Whose token this claims to be. Raises `Denied`: `identity.door` for a person's, `identity.invalid`."""
        named = peeked.issuer or ""
        issuer = self.workloads.get(named) or self._by_trust_domain(peeked.subject)
        if issuer is None:
            raise Denied(Reason.IDENTITY_DOOR if named in self.people else Reason.IDENTITY_INVALID)
        return self.standing if issuer.kind == LOCAL and peeked.typ == STANDING_TYP else issuer

    def of_person(self, peeked: Peeked) -> Issuer:
        """The issuer of a person's ID token. Raises `Denied`: `identity.door` for a workload's, `identity.invalid`."""
        named = peeked.issuer or ""
        issuer = self.people.get(named)
        if issuer is None:
            raise Denied(Reason.IDENTITY_DOOR if named in self.workloads else Reason.IDENTITY_INVALID)
        return issuer

    def _by_trust_domain(self, subject: str) -> Issuer | None:
        if not subject.startswith("spiffe://"):
            return None
        return self.workloads.get(trust_domain_id(spiffe_id(subject).trust_domain))


def issuers_of(declared: Declared) -> Issuers:
    """All issuers in force. The local trust domain cannot be claimed by a row."""
    rows = declared.issuers.items()
    local = _local(declared.trust_domain)
    return Issuers(
        workloads={row.issuer: _external(name, row) for name, row in rows if not row.for_people}
        | {local.issuer: local},
        people={row.issuer: _external(name, row) for name, row in rows if row.for_people},
        standing=structs.replace(local, standing=True, lifetime_max_s=STANDING_TOKEN_DAYS_MAX * 24 * 3600),
    )


def _local(trust_domain: str) -> Issuer:
    return Issuer(
        name=LOCAL,
        issuer=trust_domain_id(trust_domain),
        kind="local",
        algorithms=_LOCAL_ALGORITHMS,
        lifetime_max_s=TOKEN_LIFETIME_MAX_S,
    )


def _external(name: str, row: IssuerRow) -> Issuer:
    return Issuer(
        name=name,
        issuer=row.issuer,
        kind=row.kind,
        algorithms=frozenset(map(modern, row.algorithms)),
        lifetime_max_s=row.lifetime_max_s,
        audiences=frozenset(row.audiences),
        for_people=row.for_people,
    )
