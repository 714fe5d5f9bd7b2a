"""Which policies can speak of a call at all: an index over their scopes.

Cedar looks at every policy for every request; a policy whose scope does not match is never evaluated further. So those
whose scope cannot match are left out, by the same rules: `any`, `==`, `in` and `is` for principal and resource (agents
and connectors have no parents, so `in` is themselves), and `any`, `==`, `in` for the action (its parent is the group
of this very call's tier). Decisions, reasons and errors are those of the whole set; a test holds that.
"""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Final

from cedarpy import pst

from remit.policy.source import Policy

Key = tuple[str, str]

_ANY: Final[Key] = ("any", "")


class Index:
    """Policies by what their scope asks for. Immutable once made."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        self._buckets: dict[tuple[Key, Key, Key], list[Policy]] = {}
        for policy in policies:
            tree = policy.tree
            keys = product(_party(tree.principal, "Agent"), _action(tree.action), _party(tree.resource, "Connector"))
            for key in keys:
                self._buckets.setdefault(key, []).append(policy)

    def matching(self, agent: str, connector: str, *, action: str, tier: str) -> tuple[Policy, ...]:
        """Every policy whose scope fits a call, sorted by id. Names are compared exactly."""
        groups = (_ANY, ("eq", action), ("in", action), ("in", tier))
        found = {
            policy.id: policy
            for key in product(_asking(agent), groups, _asking(connector))
            for policy in self._buckets.get(key, ())
        }
        return tuple(found[name] for name in sorted(found))


def _asking(name: str) -> tuple[Key, ...]:
    return (_ANY, ("eq", name))


def _party(scope: pst.PrincipalOrResourceConstraint, kind: str) -> Iterator[Key]:
    """What a scope asks of a party of `kind`; nothing when no such party can fit it."""
    if isinstance(scope, pst.ScopeAny):
        yield _ANY
        return
    if isinstance(scope, pst.ScopeIs | pst.ScopeIsIn) and str(scope.entity_type) != kind:
        return
    if isinstance(scope, pst.ScopeIs):
        yield _ANY
    elif isinstance(scope.entity, pst.EntityUid) and str(scope.entity.type) == kind:
        yield ("eq", scope.entity.id)


def _action(scope: pst.ActionConstraint) -> Iterator[Key]:
    if isinstance(scope, pst.ScopeAny):
        yield _ANY
    elif isinstance(scope, pst.ActionEq):
        yield ("eq", scope.entity.id)
    else:
        yield from {("in", entity.id) for entity in scope.entities}
