"""What stays the same from call to call: the slice of policies that can speak of it, its entities, its basis.

The basis is the hash of everything a decision rests on that is not a fact of the moment: an approval given under one
basis is worth nothing under another.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import cedarpy
import msgspec
from cedarpy import pst

from remit.canonical import digest, digest_of
from remit.decision import Verdict
from remit.policy.context import entities_of
from remit.policy.model import Request
from remit.policy.reads import Path, Tree, overlap, tree
from remit.policy.source import Policy

# The minor that `pyproject.toml` pins, a constant because asking the installation reads files; a test keeps it true.
ENGINE: Final = "cedarpy 4.12"

# Counters move with every commit: a decision that read one is checked against them again when it is committed.
COUNTED: Final[tuple[Path, ...]] = (("context", "history"), ("context", "task", "calls_left"))


_ARGUMENTS: Final = ("args", "untyped")

# What may differ between any two calls of a task.
_MOVING: Final[tuple[Path, ...]] = (
    *COUNTED,
    ("context", "task", "age_s"),
    ("context", "time"),
    *(("context", name) for name in _ARGUMENTS),
)


class Answer(NamedTuple):
    """The engine's answer, approvals resolved."""

    verdict: Verdict
    policies: tuple[str, ...] = ()
    approvals: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


class Said(NamedTuple):
    """What the engine says of some policies: which of them determined it, and diagnostics."""

    allowed: bool
    reasons: frozenset[str]
    errors: tuple[str, ...]


class Part(NamedTuple):
    """Policies evaluated together. `reads` is what of the context they read; `said` what the engine said of them, by
    the digest of that: arguments can be large, and whoever calls chooses them.
    """

    handle: cedarpy.PolicySet
    reads: Tree
    said: dict[bytes, Said]

    @classmethod
    def of(cls, policies: tuple[Policy, ...]) -> "Part":
        """The part of these policies, compiled."""
        trees = {policy.id: policy.tree for policy in policies}
        return cls(
            handle=cedarpy.PolicySet.from_pst(pst.PolicySet(templates={}, static_policies=trees, template_links=())),
            reads=tree(path[1:] for policy in policies for path in policy.reads if path[0] == "context"),
            said={},
        )


class Slice(NamedTuple):
    """Policies ready to evaluate, those that read what moves from call to call apart from those that need not be asked
    again. `approvals` maps policy to name.

    `guards` are the arguments (`a.b`) that policies rely on without asking what is `untyped`.
    """

    parts: tuple[Part, ...]
    approvals: dict[str, str]
    reads_history: bool
    reads_arguments: bool
    guards: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, policies: tuple[Policy, ...]) -> "Slice":
        """The slice of these policies, compiled."""
        steady = tuple(policy for policy in policies if not _reads(policy, _MOVING))
        moving = tuple(policy for policy in policies if _reads(policy, _MOVING))
        arguments = [("context", name) for name in _ARGUMENTS]
        return cls(
            parts=tuple(Part.of(some) for some in (steady, moving) if some),
            approvals={policy.id: policy.approval for policy in policies if policy.approval is not None},
            reads_history=reads_counters(policies),
            guards=tuple(_guards(policies)),
            reads_arguments=any(_reads(policy, arguments) for policy in policies),
        )


class Ground(NamedTuple):
    """Everything about a request that can be remembered."""

    slice: Slice
    entities: cedarpy.Entities
    basis: str

    @classmethod
    def of(cls, request: Request, policies: tuple[Policy, ...], *, arguments_type: bytes) -> "Ground":
        """The ground of a request, given the policies whose scope fits it and the type of the action's arguments."""
        basis = {
            "engine": ENGINE,
            "policies": {policy.id: digest(policy.text.encode()) for policy in policies},
            "action": [request.action, request.tier, digest(arguments_type)],
            "agent": [request.agent_name, msgspec.to_builtins(request.agent)],
            "connector": [request.connector_name, msgspec.to_builtins(request.connector)],
            "rows": list(request.rows),
        }
        return cls(slice=Slice.of(policies), entities=entities_of(request), basis=digest_of(basis))


def _guards(policies: tuple[Policy, ...]) -> Iterator[tuple[str, str]]:
    for policy in policies:
        if not any(path[:2] == ("context", "untyped") for path in policy.reads):
            yield from ((policy.id, ".".join(path[2:])) for path in policy.reads if path[:2] == ("context", "args"))


def reads_counters(policies: tuple[Policy, ...]) -> bool:
    """Whether any of them reads what commits move."""
    return any(_reads(policy, COUNTED) for policy in policies)


def _reads(policy: Policy, facts: Iterable[Path]) -> bool:
    return any(overlap(path, fact) for path in policy.reads for fact in facts)
