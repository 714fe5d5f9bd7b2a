"""Step 12, the answer: the outcome receipt, and the words for a no."""

from typing import NamedTuple

import msgspec

from remit.answer import Accepted, Asking, Ended, Refusal, Released, Withheld
from remit.ledger.receipt import Draft, Outcome
from remit.reasons import WORDS, Denied


class Course(NamedTuple):
    """How it went, whatever came of it: milliseconds, who answered, how much was passed on meanwhile and its digest."""

    duration_ms: int
    upstream: str
    notes: int = 0
    notes_digest: str = ""


def outcome(call: str, intent: int, *, ended: Ended, course: Course) -> Outcome:
    """The receipt body of how the call of receipt `intent` ended."""
    reason = detail = ""
    labels: tuple[str, ...] = ()
    received = 0
    if isinstance(ended, Withheld):
        reason, detail = ended.reason, ended.detail
    else:
        labels = ended.labels
    if isinstance(ended, Released):
        detail = f"error {ended.error.code}" if ended.error else ""
        received = len(memoryview(ended.result))
    return Outcome(
        call=call,
        intent=intent,
        outcome=ended.ending,
        reason=reason,
        detail=detail,
        labels=labels,
        received=received,
        duration_ms=course.duration_ms,
        upstream=course.upstream,
        notes=course.notes,
        notes_digest=course.notes_digest,
        operation=ended.operation if isinstance(ended, Accepted) else "",
    )


def shown(ended: Ended) -> bytes | None:
    """What the agent is given, as it lies beside the outcome; None where that is nothing of the server's."""
    if isinstance(ended, Released):
        return bytes(ended.result)
    if isinstance(ended, Accepted):
        return msgspec.json.encode(ended.about)
    return msgspec.json.encode(ended.questions) if isinstance(ended, Asking) else None


def outcome_draft(body: Outcome, *, task: str, result: bytes | None, keep: bool) -> Draft:
    """The outcome with the result beside it, hashed only where the tool's row keeps none."""
    values = {} if result is None else {"result": result}
    return Draft(body=body, task=task, values=values, hash_only=frozenset() if keep else frozenset(values))


def refused(no: Denied, receipt: str) -> Refusal:
    """What the agent is told. Where reasons must look alike, detail and receipt are left out."""
    reason = WORDS[no.reason].like or no.reason
    if WORDS[reason].quiet:
        return Refusal(reason=reason, detail="", verdict=no.verdict)
    return Refusal(reason=reason, detail=no.detail, verdict=no.verdict, receipt=receipt, approvals=no.approvals)
