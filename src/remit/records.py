"""How a call's record is closed: with the receipt of a denial, or with its outcome.

These two are the shell's side of every ending. Neither decides; both refuse to hand anything to the agent that is not
on record first.
"""

from remit.answer import Asking, Refusal, Released, Withheld
from remit.case import Case
from remit.commit import returned
from remit.commit.model import Booking, Write
from remit.errors import RemitError
from remit.identity import admitted
from remit.ledger.receipt import Denial, Draft
from remit.outcome import Course, outcome, outcome_draft, refused, shown
from remit.reasons import Denied, Reason
from remit.world import World


async def deny(case: Case, no: Denied, *, world: World) -> Refusal:
    """Record a no and say it. Without a proven identity it is only counted; what cannot be recorded is a no as well."""
    if not await _identified(case, world):
        world.denials.noise(no.reason)
        return refused(no, "")
    body = Denial(
        asked=case.asked(),
        verdict=no.verdict,
        reason=no.reason,
        detail=no.detail,
        approvals=no.approvals,
        errors=case.decision.errors if case.has("decision") else (),
    )
    try:
        receipt = await world.denials.record(_draft(body, case))
    except (RemitError, Denied):
        return refused(Denied(Reason.COMMIT_STORE), "")
    return refused(no, receipt)


async def conclude(
    case: Case, booking: Booking, *, intent: int, ended: Released | Asking | Withheld, world: World
) -> Released | Asking | Refusal:
    """Record the outcome and release the result, or withhold it when the outcome cannot be recorded.

    Durable before the release for `write` and `privileged`; for `read` sequenced, and durable with the next group
    commit: a crash in between reads «outcome unknown». The budget is given back only for a call certainly not sent.
    """
    course = Course(world.now() - case.received, case.upstream, case.notes, case.notes_digest())
    body = outcome(case.id, intent, ended=ended, course=course)
    draft = outcome_draft(body, task=booking.task, result=shown(ended), keep=case.keeps("result"))
    world.tasks.used(case.task)
    write = Write(drafts=(draft,), reserves=returned(booking) if body.outcome == "not_sent" else ())
    try:
        if case.classified.tier == "read":
            await world.store.enqueue(write)
        else:
            await world.store.write(write)
    except (RemitError, Denied):
        world.upstreams.abandon(case.held)
        return refused(Denied(Reason.OUTCOME_UNRECORDED), str(intent))
    if isinstance(ended, Withheld):
        world.upstreams.abandon(case.held)  # what nobody is told, nobody answers
        return refused(Denied(ended.reason, ended.detail), str(intent))
    return ended


async def _identified(case: Case, world: World) -> bool:
    """Whether it is proven who asks, also when step 1 said no before anybody looked: then it is counted in here."""
    if not case.has("principal"):
        try:
            case.principal = await world.authenticator.agent(case.ask.token, case.ask.audience)
            case.view = world.view()
            case.agent = admitted(case.principal, case.view)
            case.enter(world)
        except (RemitError, Denied):
            return False
    return True


def _draft(body: Denial, case: Case) -> Draft:
    task = case.own_task()
    return Draft(body=body, task=task.id if task else None, values=case.values(), hash_only=case.hash_only())
