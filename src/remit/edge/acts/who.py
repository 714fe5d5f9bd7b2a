"""Who acts at the people's door, and who may do what: one table."""

from typing import Final

from msgspec import Struct

from remit.catalogue.model import Role
from remit.errors import NotPermitted
from remit.ledger.receipt import Actor

# Everybody with a role may stop things; only operators may widen what is possible.
MAY: Final[dict[str, frozenset[Role]]] = {
    "task.open": frozenset({"requester", "operator"}),
    "task.see": frozenset({"requester", "operator", "auditor"}),
    "task.move": frozenset({"requester", "operator"}),
    "contract.see": frozenset({"operator", "auditor"}),
    "contract.pin": frozenset({"operator"}),
    "agent.enroll": frozenset({"operator"}),
    "agent.issue": frozenset({"operator"}),
    "inventory.see": frozenset({"requester", "operator", "auditor"}),
    "inventory.revoke": frozenset({"requester", "operator", "auditor"}),
    "inventory.restore": frozenset({"operator"}),
    "policy.see": frozenset({"operator", "auditor"}),
    "policy.apply": frozenset({"operator"}),
    "ledger.erase": frozenset({"operator"}),
}


class Who(Struct, frozen=True, kw_only=True):
    """An authenticated person or service. `id` is what a task's `requester` or `opened_by` says of them."""

    actor: Actor
    id: str
    roles: frozenset[Role]


GATEWAY: Final = Who(
    actor=Actor(name="gateway", kind="gateway", via="self"), id="gateway", roles=frozenset({"requester", "operator"})
)


def may(who: Who, act: str) -> Who:
    """The one who asks, if a role of theirs allows the act; else `NotPermitted`."""
    if not who.roles & MAY[act]:
        needed = " or ".join(f"`{role}`" for role in sorted(MAY[act]))
        raise NotPermitted(f"`{who.actor.name}` may not do `{act}`", f"it takes the role {needed}")
    return who
