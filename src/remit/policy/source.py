"""Policy text → policies, one by one, each with its `@id`, its place and what it reads.

Rules, all checked here: every policy has an `@id`, unique in the set; no templates; the context is read by attribute
only; and approval has exactly one form, which can only ever take a denial away when a person has said yes:

    @id("prod-writes") @approval("prod-change")
    forbid(principal, action in Action::"write", resource)
    when { context.environment == "prod" }
    unless { context.approvals.contains("prod-change") };

Any other use of `context.approvals` is refused.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import cedarpy
from cedarpy import pst
from msgspec import Struct

from remit.errors import ConfigFault
from remit.policy.reads import Path, reads

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}\Z")
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|;', re.DOTALL)
_BLANK: Final = re.compile(r"(?:\s++|//[^\n]*+)*+")  # possessive: an unfinished policy must not backtrack
_APPROVALS: Final = pst.GetAttr(base=pst.Var(name="context"), attr="approvals")
_APPROVALS_PATH: Final[Path] = ("context", "approvals")


class Policy(Struct, frozen=True, kw_only=True):
    """One policy. `text` is its source with the comments before it; `where` its `file:line`; `names` every agent,
    action and connector it speaks of.
    """

    id: str
    text: str
    where: str
    tree: pst.Template
    reads: frozenset[Path]
    names: frozenset[pst.EntityUid]
    approval: str | None = None

    @property
    def unscoped(self) -> bool:
        """Whether it is looked at for every call: principal, action and resource are all any."""
        scope = (self.tree.principal, self.tree.action, self.tree.resource)
        return all(isinstance(part, pst.ScopeAny | pst.ScopeIs) for part in scope)


def policies(files: Mapping[str, str]) -> tuple[Policy, ...]:
    """The policies of all files (name → text), sorted by id. Raises `ConfigFault` with file and line."""
    found: dict[str, Policy] = {}
    for file in sorted(files):
        for text, line in _statements(files[file], file):
            policy = _policy(text, f"{file}:{line}")
            if policy.id in found:
                raise ConfigFault(
                    f"policy id `{policy.id}` is taken",
                    f"it stands at {found[policy.id].where} too",
                    where=policy.where,
                )
            found[policy.id] = policy
    return tuple(found[name] for name in sorted(found))


def merged(files: Mapping[str, str]) -> str:
    """One text of all files' policies, sorted by id, that reads back as the same set. Raises `ConfigFault`."""
    return joined(policies(files))


def joined(found: tuple[Policy, ...]) -> str:
    """The text of policies already read."""
    return "".join(policy.text + "\n\n" for policy in found)


def _statements(text: str, file: str) -> Iterator[tuple[str, int]]:
    """Each policy's source, and the line its first token is on. A `;` outside strings and comments ends one."""
    text = text.replace("\r\n", "\n")
    start, line = 0, 1
    for token in _TOKEN.finditer(text):
        if token[0] == ";":
            yield text[start : token.end()].strip(), line + _blank_lines(text, start)
            line += text.count("\n", start, token.end())
            start = token.end()
    if _BLANK.fullmatch(text, start) is None:
        where = f"{file}:{line + _blank_lines(text, start)}"
        raise ConfigFault("the last policy does not end", "end every policy with `;`", where=where)


def _blank_lines(text: str, start: int) -> int:
    """How many lines of space and comments there are before the first token."""
    blank = _BLANK.match(text, start)
    return blank[0].count("\n") if blank else 0


def _policy(text: str, where: str) -> Policy:
    try:
        parsed = cedarpy.policies_to_pst(text)
        (tree,) = (*parsed.static_policies.values(), *parsed.templates.values())
    except ValueError as e:
        raise ConfigFault(f"not a Cedar policy: {e}", "see docs.cedarpolicy.com for the grammar", where=where) from e
    if parsed.templates:
        raise ConfigFault("a policy has a slot", "write the agent or connector instead of `?principal`", where=where)
    name = tree.annotations.get("id", "")
    if not _NAME.match(name):
        raise ConfigFault(
            f"a policy has {f'the id `{name[:80]}`' if name else 'no id'}",
            'give it one like @id("no-writes-at-night"): lower case letters, digits, `.`, `_`, `-`',
            where=where,
        )
    tree = replace(tree, id=name)  # so that the engine's diagnostics speak of our ids
    approval, paths = _approval(tree, where)
    names = frozenset(pst.entity_uids(tree))
    return Policy(id=name, text=text, where=where, tree=tree, reads=paths, names=names, approval=approval)


def _approval(tree: pst.Template, where: str) -> tuple[str | None, frozenset[Path]]:
    """The name a person's yes is needed under, None for a policy that knows no approval; and all that it reads."""
    name = tree.annotations.get("approval")
    form = pst.Unless(expr=pst.BinaryOp(op="contains", left=_APPROVALS, right=pst.StringLit(value=name or "")))
    rest = tuple(clause for clause in tree.clauses if name is None or clause != form)
    paths = reads(rest)
    if ("context",) in paths:
        raise ConfigFault(
            f"`{tree.id}` reads the context as a whole", "name the attribute: `context.task`", where=where
        )
    if any(path[:2] == _APPROVALS_PATH for path in paths):
        raise ConfigFault(f"`{tree.id}` uses `context.approvals` outside of the approval form", _FORM, where=where)
    if name is None:
        return None, paths
    if tree.effect != "forbid" or len(tree.clauses) - len(rest) != 1 or not _NAME.match(name):
        raise ConfigFault(
            f"`{tree.id}` is annotated with @approval but is not of the approval form", _FORM, where=where
        )
    return name, paths | {_APPROVALS_PATH}


_FORM: Final = 'write: @approval("name") forbid(…) unless { context.approvals.contains("name") };'
