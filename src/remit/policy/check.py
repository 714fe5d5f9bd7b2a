"""Step 6, the answer: what the policies in force say of one request.

Only an evaluation that Cedar finished without a single diagnostic can allow anything: a policy that fails to evaluate
is skipped by Cedar, and a skipped forbid would be a permission. No policies, an unknown action, a tier it cannot have,
no decision: DENY.

*Approval.* Evaluate without approvals. While the answer is no and every determining policy is an approval forbid, add
their names and evaluate again. When the answer becomes yes, the call needs a person's yes under *all* those names
(STEP_UP); else it is a plain no. Approvals occur in no other form, so a name can only take a forbid away, and adding a
permit can never make one unnecessary.
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

import cedarpy
from msgspec import json

from remit.canonical import digest
from remit.decision import Decision, Verdict
from remit.limits import POLICY_ANSWERS_MAX, POLICY_SLICES_MAX
from remit.policy.cedar_schema import arguments_type
from remit.policy.context import asked_of, context_of
from remit.policy.ground import Answer, Ground, Part, Said, reads_counters
from remit.policy.index import Index
from remit.policy.model import Known, Request
from remit.policy.reads import pruned
from remit.policy.source import Policy, joined
from remit.policy.typed import RecordOf, typed
from remit.reasons import Denied, Reason

_FAILED: Final = re.compile(r"error while evaluating policy `([^`]*)`: (record does not have the attribute `[^`]*`)?")


class _Action(NamedTuple):
    tiers: tuple[str, ...]
    record: RecordOf
    type: bytes


class Policies:
    """A policy set in force over a catalogue. Made by `load`; immutable, what is remembered inside is derived.

    `text` reads back as the same set, whatever files it came from; `digest` is its SHA-256.
    """

    def __init__(self, policies: tuple[Policy, ...], known: Known, *, warnings: tuple[str, ...] = ()) -> None:
        self._index = Index(policies)
        self._actions = {
            shape.name: _Action(shape.tiers, typed(shape.schema), arguments_type(shape)) for shape in known.actions
        }
        self._grounds: dict[tuple[Any, ...], Ground] = {}
        self._reached: dict[tuple[str, str, str], bool] = {}
        self.text = joined(policies)
        self.digest = digest(self.text.encode())
        self.ids = tuple(policy.id for policy in policies)
        self.warnings = warnings
        self.needs_history = reads_counters(policies)

    def decide(self, request: Request) -> Decision:
        """ALLOW, DENY or STEP_UP. Raises for nothing a request can hold: what cannot be evaluated is a DENY."""
        action = self._actions.get(request.action)
        if action is None or request.tier not in action.tiers:
            unknown = f"`{request.action[:200]}` is no action of tier `{request.tier[:20]}` here"
            return Decision(
                verdict=Verdict.DENY, policies=(), policy_set=self.digest, basis=digest(b""), errors=(unknown,)
            )
        ground = self._ground(request, action)
        answer = _answered(ground, request, record=action.record)
        return Decision(
            verdict=answer.verdict,
            policies=answer.policies,
            policy_set=self.digest,
            basis=ground.basis,
            approvals=answer.approvals,
            errors=answer.errors,
            reads_history=ground.slice.reads_history,
        )

    def reaches(self, agent_name: str, action: str, *, connector_name: str) -> bool:
        """Whether some permit's scope fits the agent, the action in a tier it can have, and the connector."""
        key = (agent_name, action, connector_name)
        known = self._reached.get(key)
        if known is None:
            found = self._actions.get(action)
            if found is None:  # any name at all: not worth remembering
                return False
            known = self._reached[key] = any(
                policy.tree.effect == "permit"
                for tier in found.tiers
                for policy in self._index.matching(agent_name, connector_name, action=action, tier=tier)
            )
        return known

    def reach(self, agent_name: str, action: str, *, connector_name: str) -> None:
        """Raise `Denied(policy.reach)` where no permit's scope fits: towards the agent that is not there at all."""
        if not self.reaches(agent_name, action, connector_name=connector_name):
            raise Denied(Reason.POLICY_REACH, f"no permit reaches `{action[:200]}`")

    def considered(self, request: Request) -> tuple[Policy, ...]:
        """The policies whose scope fits a request, sorted by id."""
        return self._index.matching(
            request.agent_name, request.connector_name, action=request.action, tier=request.tier
        )

    def _ground(self, request: Request, action: _Action) -> Ground:
        who = (request.agent_name, request.agent, request.connector_name, request.connector)
        key = (*who, request.action, request.tier, request.rows)
        found = self._grounds.get(key)
        if found is None:
            found = Ground.of(request, self.considered(request), arguments_type=action.type)
            while len(self._grounds) >= POLICY_SLICES_MAX:
                del self._grounds[next(iter(self._grounds))]
            self._grounds[key] = found
        return found


def _answered(ground: Ground, request: Request, *, record: RecordOf) -> Answer:
    context = context_of(request, record if ground.slice.reads_arguments else None)
    if blind := _blind(ground, context["untyped"]):
        return Answer(Verdict.DENY, blind, errors=tuple(f"`{one}` reads an argument without a type" for one in blind))
    return evaluated(ground, request, context=context)


def evaluated(ground: Ground, request: Request, *, context: dict[str, Any]) -> Answer:
    """What the slice says of a context, with approvals added to the fixed point."""
    approvals: frozenset[str] = frozenset()
    stepping: frozenset[str] = frozenset()
    while True:
        allowed, reasons, errors = said(ground, request, context=context)
        if errors:
            return Answer(Verdict.DENY, tuple(sorted(reasons)), errors=errors)
        if allowed and approvals:
            return Answer(Verdict.STEP_UP, tuple(sorted(stepping)), tuple(sorted(approvals)))
        if allowed:
            return Answer(Verdict.ALLOW, tuple(sorted(reasons)))
        if not reasons or not reasons <= ground.slice.approvals.keys():
            return Answer(Verdict.DENY, tuple(sorted(reasons)))
        # Each round takes away every forbid that determined it, so there are at most as many as there are forbids.
        stepping |= reasons
        approvals |= {ground.slice.approvals[reason] for reason in reasons}
        context["approvals"] = sorted(approvals)


def said(ground: Ground, request: Request, *, context: dict[str, Any]) -> Said:
    """What the engine says of the slice, from what it says of each part.

    Policies know nothing of each other: a forbid that holds in any part determines a no, whatever other parts permit;
    else the permits that hold in all of them are the answer (Cedar, authorization semantics). A test holds it against
    the engine asked of all at once.
    """
    forbids: set[str] = set()
    permits: set[str] = set()
    errors: set[str] = set()
    for part in ground.slice.parts:
        heard = _heard(part, ground, request, context=context)
        (permits if heard.allowed else forbids).update(heard.reasons)
        errors.update(heard.errors)
    return Said(bool(permits) and not forbids, frozenset(forbids or permits), tuple(sorted(errors)))


def _heard(part: Part, ground: Ground, request: Request, *, context: dict[str, Any]) -> Said:
    """The engine is a function of policies, entities and what the policies read: the same question is asked once."""
    read = json.encode(pruned(context, part.reads))
    key = sha256(read).digest()
    known = part.said.get(key)
    if known is None:
        result = cedarpy.is_authorized(asked_of(request, read), part.handle, ground.entities)
        known = Said(result.allowed, frozenset(result.diagnostics.reasons), _failures(result))
        while len(part.said) >= POLICY_ANSWERS_MAX:
            del part.said[next(iter(part.said))]
        part.said[key] = known
    return known


def _blind(ground: Ground, untyped: Sequence[str]) -> tuple[str, ...]:
    """The policies that rely on an argument which this call sends in a form Cedar cannot type.

    `context.args has amount` would be false of it, and a forbid that asks so would not hold.
    """
    if not untyped:
        return ()
    return tuple(sorted({policy for policy, read in ground.slice.guards for sent in untyped if _overlap(read, sent)}))


def _overlap(read: str, sent: str) -> bool:
    return read in (sent, "") or read.startswith(f"{sent}.") or sent.startswith(f"{read}.")


def _failures(result: cedarpy.AuthzResult) -> tuple[str, ...]:
    """Diagnostics without values: an engine message can quote an argument, and these go into the record."""
    if result.decision is cedarpy.Decision.NoDecision:
        return ("the engine gave no decision",)
    errors = result.diagnostics.errors
    if not errors:
        return ()
    found = (_FAILED.match(error) for error in errors)
    failed = (f"`{match[1]}` cannot be evaluated: {match[2] or 'a value does not suit it'}" for match in found if match)
    return tuple(sorted(failed)) or ("a policy cannot be evaluated",)
