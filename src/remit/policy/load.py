"""Files → a policy set that may be put in force, or what is wrong and where.

All or nothing, beside whatever is running: every policy is read (`source`), named once, validated strictly against the
schema of the catalogue and the pinned contracts, and linted. A policy that speaks of every call says why with
`@unscoped("reason")`, or is warned about; there may be `UNSCOPED_POLICIES_MAX` of them.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import cedarpy
from cedarpy import pst

from remit.catalogue import View
from remit.errors import ConfigFault
from remit.limits import UNSCOPED_POLICIES_MAX
from remit.policy.cedar_schema import cedar_schema
from remit.policy.check import Policies
from remit.policy.known import known
from remit.policy.model import Difference, Known
from remit.policy.source import Policy, joined, policies

_POSITIONAL: Final = re.compile(r"for policy `policy[0-9]+`, ")
_UNKNOWN_ACTION: Final = re.compile(r'unrecognized action `Action::"(.*)"`')


def load(files: Mapping[str, str], catalogue: Known) -> Policies:
    """The set the files (name → text) hold. Raises `ConfigFault` naming file, line and policy."""
    found = policies(files)
    _validate(found, catalogue)
    unscoped = [policy for policy in found if policy.unscoped]
    if len(unscoped) > UNSCOPED_POLICIES_MAX:
        raise ConfigFault(
            f"{len(unscoped)} policies have no scope, at most {UNSCOPED_POLICIES_MAX} may",
            "name an agent, action or connector in their scope: these are evaluated for every call",
            unscoped[UNSCOPED_POLICIES_MAX].where,
        )
    return Policies(found, catalogue, warnings=tuple(_warnings(found, catalogue)))


def compiled(text: str, view: View) -> Policies:
    """A merged text over a view of the catalogue. Raises `ConfigFault`."""
    return load({"policy": text}, known(view))


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


def _validate(found: Sequence[Policy], catalogue: Known) -> None:
    result = cedarpy.validate_policies(joined(tuple(found)), cedar_schema(catalogue))
    if result.validation_passed:
        return
    # Cedar numbers policies as they stand in the text, which is the order of `found`.
    wrong = [(found[int(error.policy_id.removeprefix("policy"))], error.error) for error in result.errors]
    policy, error = wrong[0]
    others = sorted({f"`{other.id}` ({other.where})" for other, _ in wrong} - {f"`{policy.id}` ({policy.where})"})
    advice = _advice(error, catalogue) + (f"; also wrong: {', '.join(others)}" if others else "")
    raise ConfigFault(f"policy `{policy.id}`: {_POSITIONAL.sub('', error)}", advice, policy.where)


def _advice(error: str, catalogue: Known) -> str:
    unknown = _UNKNOWN_ACTION.search(error)
    if unknown:
        near = difflib.get_close_matches(unknown[1], [shape.name for shape in catalogue.actions], 1)
        return f"did you mean `{near[0]}`?" if near else "`remit tool list` shows what is pinned"
    if "optional attribute" in error:
        return "ask first: `context.args has x && …`"
    return "the policy reference lists what a policy may read"


def _warnings(found: Sequence[Policy], catalogue: Known) -> Iterator[str]:
    names = {"Agent": catalogue.agents, "Connector": catalogue.connectors}
    for policy in found:
        if policy.unscoped and not policy.tree.annotations.get("unscoped"):
            yield f"{policy.where}: `{policy.id}` has no scope: it speaks of every call (say why with @unscoped)"
        for uid in sorted(pst.entity_uids(policy.tree), key=str):
            if str(uid.type) in names and uid.id not in names[str(uid.type)]:
                yield f"{policy.where}: `{policy.id}` names `{uid}`, which is not in the catalogue"
