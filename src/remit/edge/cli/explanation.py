"""`remit policy explain`: one decision derived again from the record, and held against what the record says of it.

Everything it is derived from is found by the digests the receipt holds, so it takes the receipt's word and nobody's
beside it. A call refused before policy was asked is told with its reason.
"""

import hashlib
import json
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from remit.canonical import digest
from remit.decision import Decision
from remit.edge.cli.home import existing
from remit.edge.cli.output import Screen, visible
from remit.edge.cli.records import Record
from remit.edge.store.export import load
from remit.errors import CallerFault, Unverified
from remit.ledger.receipt import Asked, Denial, Intent, Receipt, Value
from remit.ledger.walk import decode
from remit.policy import explain as derived
from remit.policy.model import Explained, Explanation


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
    if "facts" not in evidence.values:
        _before_policy(evidence, screen)
        return
    found = derived(
        facts=evidence.values["facts"],
        arguments=_needed(evidence.values, "arguments", what="the call's arguments"),
        contract=evidence.blobs.get(evidence.body.asked.contract, b"{}"),
        text=_needed(evidence.blobs, evidence.body.asked.policy_set, what="the policy set").decode(),
    )
    _agreeing(evidence.body, found.decision)
    screen.answer(msgspec.to_builtins(found), _told(evidence, found, screen=screen))


def _agreeing(body: Denial | Intent, decision: Decision) -> None:
    asked, verdict = body.asked, body.verdict if isinstance(body, Denial) else "ALLOW"
    recorded = (verdict, sorted(asked.policies), asked.policy_set, asked.basis)
    if recorded != (decision.verdict, sorted(decision.policies), decision.policy_set, decision.basis):
        raise Unverified("the record leads to another decision than the one it states", "verify it; then report this")


def _told(evidence: Evidence, found: Explanation, *, screen: Screen) -> Iterator[str]:
    decision = found.decision
    style = {"ALLOW": "good", "DENY": "bad"}.get(decision.verdict, "wait")
    yield screen.paint(f"receipt {evidence.receipt.seq}: {decision.verdict}, derived again and the same", style)
    yield _call(evidence.body.asked)
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


def _before_policy(evidence: Evidence, screen: Screen) -> None:
    body = evidence.body
    if not isinstance(body, Denial) or "facts" in evidence.receipt.values:
        raise CallerFault("the facts of this decision are not kept", "they were erased, or the catalogue keeps none")
    told = {"receipt": evidence.receipt.seq, "verdict": body.verdict, "reason": body.reason, "detail": body.detail}
    detail = f": {visible(body.detail)}" if body.detail else ""
    lines = (
        screen.paint(f"receipt {evidence.receipt.seq}: {body.verdict}, before policy was asked", "bad"),
        _call(body.asked),
        f"  reason    {body.reason}{detail}",
    )
    screen.answer(told, lines)


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
        raise CallerFault(f"receipt {receipt.seq} is no decision about a call", "name a denial or an intent")
    kept = {}
    for value in values:
        if "sha256:" + hashlib.sha256(value.salt + value.data).hexdigest() != receipt.values.get(value.name):
            raise Unverified(f"receipt {receipt.seq}: the value `{value.name}` is not the one that was recorded")
        kept[value.name] = value.data
    for name in {body.asked.contract, body.asked.policy_set} & blobs.keys():
        if digest(blobs[name]) != name:
            raise Unverified(f"the blob `{name}` does not have that digest")
    return Evidence(receipt=receipt, body=body, values=kept, blobs=blobs)
