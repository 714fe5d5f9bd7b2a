"""Step 12, the answer: the outcome receipt, and the words for a no."""

from remit.answer import Refusal, Released, Withheld
from remit.ledger.receipt import Draft, Outcome
from remit.reasons import WORDS, Denied


def outcome(call: str, intent: int, *, ended: Released | Withheld, duration_ms: int, upstream: str) -> Outcome:
    """The receipt body of how the call of receipt `intent` ended."""
    if isinstance(ended, Withheld):
        return Outcome(
            call=call,
            intent=intent,
            outcome=ended.ending,
            reason=ended.reason,
            detail=ended.detail,
            duration_ms=duration_ms,
            upstream=upstream,
        )
    return Outcome(
        call=call,
        intent=intent,
        outcome=ended.ending,
        detail=f"error {ended.error[0]}" if ended.error else "",
        labels=ended.labels,
        received=len(bytes(ended.result)),
        duration_ms=duration_ms,
        upstream=upstream,
    )


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
