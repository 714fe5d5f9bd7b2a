"""Files → a policy set that may be put in force, or what is wrong and where.

All or nothing, beside whatever is running: every policy is read (`source`), named once, validated strictly against the
schema of the catalogue and the pinned contracts, and linted. A policy that speaks of every call says why with
`@unscoped("reason")`, or is warned about; there may be `UNSCOPED_POLICIES_MAX` of them.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec import json

from remit.canonical import digest
from remit.catalogue import View
from remit.errors import ConfigFault
from remit.limits import UNSCOPED_POLICIES_MAX
from remit.policy.check import Policies
from remit.policy.known import known
from remit.policy.model import Difference, Known
from remit.policy.source import Policy, policies
from remit.policy.validate import validate

_REMEMBERED: Final[dict[str, Policies]] = {}
_REMEMBERED_MAX: Final = 2


def load(files: Mapping[str, str], catalogue: Known) -> Policies:
    """The set the files (name → text) hold. Raises `ConfigFault` naming file, line and policy."""
    found = policies(files)
    validate(found, catalogue)
    unscoped = [policy for policy in found if policy.unscoped]
    if len(unscoped) > UNSCOPED_POLICIES_MAX:
        raise ConfigFault(
            f"{len(unscoped)} policies have no scope, at most {UNSCOPED_POLICIES_MAX} may",
            "name an agent, action or connector in their scope: these are evaluated for every call",
            where=unscoped[UNSCOPED_POLICIES_MAX].where,
        )
    return Policies(found, catalogue, warnings=tuple(_warnings(found, catalogue)))


def compiled(text: str, view: View) -> Policies:
    """A merged text over a view of the catalogue. Raises `ConfigFault`.

    The same set as before when neither the text nor anything policies may speak of has changed: a revocation costs
    no compilation.
    """
    catalogue = known(view)
    key = _key(text, catalogue)
    if key not in _REMEMBERED:
        _remember(key, load({"policy": text}, catalogue))
    return _REMEMBERED[key]


def remember(made: Policies, view: View) -> None:
    """Spare `compiled` the work: `made` was loaded over this view and is about to be put in force."""
    _remember(_key(made.text, known(view)), made)


def _key(text: str, catalogue: Known) -> str:
    return digest(json.encode((text, catalogue)))


def _remember(key: str, made: Policies) -> None:
    while len(_REMEMBERED) >= _REMEMBERED_MAX:
        del _REMEMBERED[next(iter(_REMEMBERED))]
    _REMEMBERED[key] = made


def difference(old: str, new: str) -> Difference:
    """What applying `new` in place of `old` changes. Both are texts; raises `ConfigFault` if one cannot be read."""
    before = {policy.id: policy.text for policy in policies({"old": old})}
    after = {policy.id: policy.text for policy in policies({"new": new})}
    both = before.keys() & after.keys()
    lines = difflib.unified_diff(_lines(before), _lines(after), "in force", "new", lineterm="")
    return Difference(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(name for name in both if before[name] != after[name])),
        text="\n".join(lines),
    )


def _lines(texts: Mapping[str, str]) -> list[str]:
    return [line for name in sorted(texts) for line in (*texts[name].splitlines(), "")]


def _warnings(found: Sequence[Policy], catalogue: Known) -> Iterator[str]:
    names = {"Agent": catalogue.agents, "Connector": catalogue.connectors}
    for policy in found:
        if policy.unscoped and not policy.tree.annotations.get("unscoped"):
            yield f"{policy.where}: `{policy.id}` has no scope: it speaks of every call (say why with @unscoped)"
        for uid in sorted(policy.names, key=str):
            if str(uid.type) in names and uid.id not in names[str(uid.type)]:
                yield f"{policy.where}: `{policy.id}` names `{uid}`, which is not in the catalogue"
