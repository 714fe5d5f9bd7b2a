"""Strict validation: every policy against the vocabulary, every fault with its place and a way out.

Cedar checks each policy against each action of the schema, so a policy that names its actions is checked against
those alone, in batches; what it says of other actions would not be evaluated for them anyway. Policies about groups or
about any action are checked against everything.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Final

import cedarpy
from cedarpy import pst

from remit.catalogue.model import TIERS
from remit.errors import ConfigFault
from remit.policy.cedar_schema import cedar_schema
from remit.policy.model import Known
from remit.policy.source import Policy, joined

_BATCH: Final = 64
_POSITIONAL: Final = re.compile(r"for policy `policy[0-9]+`, ")
_UNKNOWN_ACTION: Final = re.compile(r'unrecognized action `Action::"(.*)"`')


def validate(found: Sequence[Policy], catalogue: Known) -> None:
    """Nothing, or `ConfigFault` about the first fault, naming the other faulty policies."""
    wrong = [fault for batch, known in _batches(found, catalogue) for fault in _faults(batch, known)]
    if not wrong:
        return
    wrong.sort(key=lambda fault: fault[0].id)
    policy, error = wrong[0]
    others = sorted({f"`{other.id}` ({other.where})" for other, _ in wrong if other is not policy})
    advice = _advice(error, catalogue) + (f"; also wrong: {', '.join(others)}" if others else "")
    raise ConfigFault(f"policy `{policy.id}`: {error}", advice, where=policy.where)


def _faults(batch: Sequence[Policy], known: Known) -> Iterator[tuple[Policy, str]]:
    result = cedarpy.validate_policies(joined(tuple(batch)), cedar_schema(known))
    for error in result.errors:
        # Cedar numbers policies as they stand in the text, which is the order of the batch.
        yield batch[int(error.policy_id.removeprefix("policy"))], _POSITIONAL.sub("", error.error)


def _batches(found: Sequence[Policy], catalogue: Known) -> Iterator[tuple[Sequence[Policy], Known]]:
    shapes = {shape.name: shape for shape in catalogue.actions}
    wide = [policy for policy in found if not _names_actions(policy)]
    if wide:
        yield wide, catalogue
    named = sorted((policy for policy in found if _names_actions(policy)), key=lambda policy: sorted(_actions(policy)))
    for start in range(0, len(named), _BATCH):
        batch = named[start : start + _BATCH]
        spoken_of = sorted({name for policy in batch for name in _actions(policy)} & shapes.keys())
        yield batch, Known(actions=tuple(shapes[name] for name in spoken_of))


def _names_actions(policy: Policy) -> bool:
    scope = policy.tree.action
    if isinstance(scope, pst.ActionIn):
        return all(entity.id not in TIERS for entity in scope.entities)
    return isinstance(scope, pst.ActionEq)


def _actions(policy: Policy) -> set[str]:
    return {uid.id for uid in policy.names if str(uid.type) == "Action"}


def _advice(error: str, catalogue: Known) -> str:
    unknown = _UNKNOWN_ACTION.search(error)
    if unknown:
        return _instead(unknown[1], catalogue)
    if "optional attribute" in error:
        return "ask first: `context.args has x && …`"
    return "the policy reference lists what a policy may read"


def _instead(action: str, catalogue: Known) -> str:
    connector, pinned = action.partition("/")[0], [shape.name for shape in catalogue.actions]
    near = difflib.get_close_matches(action, [name for name in pinned if name.startswith(f"{connector}/")] or pinned, 1)
    if connector not in catalogue.connectors:
        return f"did you mean `{near[0]}`?" if near else "`remit tool list` shows what is pinned"
    waits = f"`{action}` is not pinned yet: `remit tool diff {connector}`"
    return f"{waits}; or did you mean `{near[0]}`?" if near else waits
