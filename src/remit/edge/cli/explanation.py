"""`remit policy explain`: one decision derived again from the record, and held against what the record says of it.

Everything it is derived from is found by the digests the receipt holds, so it takes the receipt's word and nobody's
beside it. A call that another step refused says so: one before policy, which was not asked then, or one after it.
"""

import json
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from remit.call import Call, Method, call_digest, recalled
from remit.canonical import digest
from remit.decision import Decision
from remit.edge.cli.home import existing
from remit.edge.cli.output import Screen, visible
from remit.edge.cli.records import Record
from remit.edge.store.export import load
from remit.errors import CallerFault, Unverified
from remit.ledger.receipt import Asked, Denial, Intent, Outcome, Receipt, Value
from remit.ledger.walk import check_value, decode
from remit.policy import explain as derived
from remit.policy.model import Explained, Explanation, Request

# The steps before policy, by what their reasons begin with, and their numbers in the flow.
_BEFORE_POLICY: Final = {"call": 1, "identity": 2, "task": 3, "schema": 4}
# Reasons of steps 6 and 7 begin with these: the decision itself was the no. After any other, it was a yes.
_BY_POLICY: Final = ("policy", "approval")


class Evidence(Struct, frozen=True, kw_only=True):
    """A receipt of a decision, the values kept beside it by name, and the blobs it names by digest."""

    receipt: Receipt
    body: Denial | Intent
    values: Mapping[str, bytes]
    blobs: Mapping[str, bytes]


def explain(options: Namespace, screen: Screen) -> None:
    """Raises `CallerFault` when the record does not hold what it takes, `Unverified` when it leads elsewhere."""
    if options.bundle is not None:
        evidence = _in_bundle(options.bundle, options.receipt)
    else:
        evidence = _in_store(options, options.receipt)
    if (no := _without_policy(evidence.body)) is not None:
        _tell_unasked(evidence, no, screen=screen)
        return
    _needed(evidence.values, "arguments", what="the call's arguments")
    found = derived(
        facts=_needed(evidence.values, "facts", what="what the decision was made from"),
        arguments=msgspec.json.encode(_call_of(evidence).shown),
        contract=evidence.blobs.get(evidence.body.asked.contract, b"{}"),
        text=_needed(evidence.blobs, evidence.body.asked.policy_set, what="the policy set").decode(),
    )
    _same_call(evidence)
    _agreeing(evidence.body, found.decision)
    screen.answer(msgspec.to_builtins(found), _told(evidence, found, screen=screen))


def _same_call(evidence: Evidence) -> None:
    """Facts and arguments are of the call that the receipt names: another's would explain another decision."""
    asked, facts = evidence.body.asked, msgspec.json.decode(evidence.values["facts"], type=Request)
    call = _call_of(evidence)
    bound = call_digest(call, task=evidence.receipt.task or "", contract=asked.contract)
    named = (asked.agent, call.action, asked.tier, evidence.values.get("digest", bound.encode()).decode())
    if named != (facts.agent_name, facts.action, facts.tier, bound):
        raise Unverified("what lies beside the receipt is of another call than it names", "verify it; then report this")


def _call_of(evidence: Evidence) -> Call:
    asked = evidence.body.asked
    return recalled(msgspec.convert(asked.method, Method), asked.connector, name=asked.name, kept=evidence.values)


def _agreeing(body: Denial | Intent, decision: Decision) -> None:
    asked, no = body.asked, body if isinstance(body, Denial) and _stage(body) in _BY_POLICY else None
    said = (no.verdict, no.approvals, no.errors) if no else ("ALLOW", (), ())
    recorded = (*said, sorted(asked.policies), asked.policy_set, asked.basis)
    again = (decision.verdict, decision.approvals, decision.errors)
    if recorded != (*again, sorted(decision.policies), decision.policy_set, decision.basis):
        raise Unverified("the record leads to another decision than the one it states", "verify it; then report this")


def _told(evidence: Evidence, found: Explanation, *, screen: Screen) -> Iterator[str]:
    decision = found.decision
    style = {"ALLOW": "good", "DENY": "bad"}.get(decision.verdict, "wait")
    yield screen.paint(f"receipt {evidence.receipt.seq}: {decision.verdict}, derived again and the same", style)
    yield _call(evidence.body.asked)
    if isinstance(evidence.body, Denial):
        yield _reason(evidence.body)
        if _stage(evidence.body) not in _BY_POLICY:
            yield screen.paint("  refused   after policy had allowed it", "bad")
    yield f"  policies  {decision.policy_set}"
    if decision.approvals:
        yield f"  needs     {visible(', '.join(decision.approvals))}"
    yield ""
    yield from _policies("decided by", found.determining)
    yield from _policies("also looked at", found.considered)


def _policies(title: str, policies: Iterable[Explained]) -> Iterator[str]:
    for policy in policies:
        yield f"{title} {visible(policy.id)} ({policy.effect})"
        yield from (f"    {visible(line, most=None)}" for line in policy.text.strip().splitlines())
        yield from (f"  {visible(path)} = {visible(json.dumps(value))}" for path, value in policy.facts.items())
        yield ""


def _without_policy(body: Denial | Intent) -> Denial | None:
    """The denial, when policy did not take part in it."""
    if isinstance(body, Denial) and (_stage(body) in _BEFORE_POLICY or not body.asked.policy_set):
        return body
    return None


def _tell_unasked(evidence: Evidence, no: Denial, *, screen: Screen) -> None:
    stage, seq = _stage(no), evidence.receipt.seq
    if stage in _BEFORE_POLICY:
        why = f"step {_BEFORE_POLICY[stage]}, {stage}, refused the call, and policy is step 6"
    else:
        why = "none was in force" if no.reason == "policy.none" else "the gateway failed before"
    told = {"receipt": seq, "verdict": no.verdict, "reason": no.reason, "detail": no.detail, "policy_asked": False}
    lines = (
        screen.paint(f"receipt {seq}: {no.verdict}; policy was not asked", "bad"),
        _call(no.asked),
        _reason(no),
        f"  policy    not asked: {why}",
    )
    screen.answer(told, lines)


def _stage(body: Denial) -> str:
    return body.reason.partition(".")[0]


def _reason(body: Denial) -> str:
    return f"  reason    {visible(body.reason)}{': ' if body.detail else ''}{visible(body.detail)}"


def _call(asked: Asked) -> str:
    return (
        f"  call      {visible(asked.agent)} {visible(asked.method)} {visible(asked.connector)}/{visible(asked.name)}"
    )


def _needed(found: Mapping[str, bytes], name: str, *, what: str) -> bytes:
    if name not in found:
        raise CallerFault(f"{what} is not in the record", "it was erased, or the catalogue keeps none")
    return found[name]


def _in_bundle(directory: Path, seq: int) -> Evidence:
    bundle = load(directory)
    numbers = [proof.seq for proof in bundle.proofs] or list(range(len(bundle.leaves)))
    if seq not in numbers:
        raise CallerFault(f"there is no receipt {seq} in `{directory}`", "`remit ledger verify` says what is in it")
    blobs = {blob.digest: blob.data for blob in bundle.blobs}
    values = [value for value in bundle.values if value.seq == seq]
    return _evidence(decode(seq, bundle.leaves[numbers.index(seq)]), values, blobs=blobs)


def _in_store(options: Namespace, seq: int) -> Evidence:
    with Record(existing(options.home)) as record:
        leaf = record.ledger.leaf(seq)
        if leaf is None:
            raise CallerFault(f"there is no receipt {seq}", "`remit ledger show` lists them")
        receipt = decode(seq, leaf)
        asked = getattr(receipt.body, "asked", None)
        named = (asked.contract, asked.policy_set) if isinstance(asked, Asked) else ()
        blobs = {name: data for name in named if name and (data := record.ledger.blob(name)) is not None}
        return _evidence(receipt, record.ledger.values(seq, seq + 1), blobs=blobs)


def _evidence(receipt: Receipt, values: Iterable[Value], *, blobs: Mapping[str, bytes]) -> Evidence:
    """What a receipt names, once each piece is the one it names."""
    body = receipt.body
    if not isinstance(body, Denial | Intent):
        if isinstance(body, Outcome):
            raise CallerFault(
                f"{receipt.seq} is the outcome of {body.intent}", f"explain {body.intent}, the call's decision"
            )
        raise CallerFault(f"receipt {receipt.seq} is no decision about a call", "name a denial or an intent")
    kept = {}
    for value in values:
        check_value(value, receipt.values.get(value.name))
        kept[value.name] = value.data
    for name in {body.asked.contract, body.asked.policy_set} & blobs.keys():
        if digest(blobs[name]) != name:
            raise Unverified(f"the blob `{name}` does not have that digest")
    return Evidence(receipt=receipt, body=body, values=kept, blobs=blobs)
