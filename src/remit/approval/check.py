"""Step 7, the answer: no missing approval, or no."""

from remit.decision import Decision, Verdict
from remit.reasons import Denied, Reason


def approved(decision: Decision) -> Decision:
    """The decision, when it allows the call as it stands; else `Denied` (`policy.*` or `approval.required`).

    Absence never means more power: a verdict this stage does not know is a no.
    """
    match decision.verdict:
        case Verdict.ALLOW:
            return decision
        case Verdict.STEP_UP:
            names = ", ".join(f"`{name}`" for name in decision.approvals)
            raise Denied(
                Reason.APPROVAL_REQUIRED,
                f"needed: {names}",
                approvals=decision.approvals,
                policies=decision.policies,
            )
        case _:
            reason = Reason.POLICY_ERROR if decision.errors else Reason.POLICY_DENIED
            raise Denied(reason, _why(decision), policies=decision.policies)


def _why(decision: Decision) -> str:
    if decision.errors:
        return "a policy could not be evaluated"
    if not decision.policies:
        return "no policy permits it"
    return "by " + ", ".join(f"`{policy}`" for policy in decision.policies)
