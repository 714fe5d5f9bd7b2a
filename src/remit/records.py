"""How a call's record is closed: with the receipt of a denial, or with its outcome.

This is the shell's side of every ending. Nothing here decides, or hands anything to the agent that is not on record
first.
"""

from collections.abc import Awaitable
from typing import TypeVar

import msgspec

from remit.answer import Accepted, Answered, Ended, Refusal, Withheld
from remit.case import Case
from remit.commit import returned
from remit.commit.model import Booking, Put, Reserve, Write
from remit.errors import Conflict, RemitError, StoreFault
from remit.identity import admitted
from remit.ledger.receipt import Denial, Draft
from remit.outcome import (
    Came,
    Course,
    Operation,
    closed,
    operations_of,
    outcome,
    outcome_draft,
    refused,
    shown,
)
from remit.reasons import Denied, Reason
from remit.world import World

T = TypeVar("T")


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


async def or_no(case: Case, work: Awaitable[T], *, world: World) -> T | Refusal:
    """What `work` comes to; whatever goes wrong is a no with a listed reason, recorded and said. The case is left."""
    try:
        return await work
    except Denied as no:
        return await deny(case, no, world=world)
    except StoreFault:
        return await deny(case, Denied(Reason.COMMIT_STORE), world=world)
    except RemitError as e:
        return await deny(case, Denied(Reason.GATEWAY_FAULT, e.message), world=world)
    finally:
        case.leave(world)


async def conclude(case: Case, booking: Booking, *, intent: int, ended: Ended, world: World) -> Answered:
    """Record the outcome and release the result, or withhold it when the outcome cannot be recorded.

    Durable before the release for `write` and `privileged`; for `read` sequenced, and durable with the next group
    commit: a crash in between reads «outcome unknown». The budget is given back only for a call certainly not sent.
    A call that ends later is followed from the same write on.
    """
    if isinstance(ended, Accepted):
        ended = msgspec.structs.replace(ended, operation=world.new_id())
    course = Course(world.now() - case.received, case.upstream, case.notes, case.notes_digest())
    body = outcome(case.id, intent, ended=ended, course=course)
    draft = outcome_draft(body, task=booking.task, result=shown(ended), keep=case.keeps("result"))
    world.tasks.used(case.task)
    reserves = returned(booking) if body.outcome == "not_sent" else ()
    write = Write(drafts=(draft,), reserves=reserves)
    if isinstance(ended, Accepted):
        write = _following(case, ended, write, now=world.now())
    try:
        if case.classified.tier == "read" and not isinstance(ended, Accepted):
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


async def complete(name: str, came: Came, *, world: World) -> Operation | None:
    """Put on record how an operation ended, once, durably: as it is then, whoever wrote that; None if it is forgotten.

    Raises `StoreFault` or `Denied`: then nothing of what came may be shown.
    """
    while (row := await world.store.row("operation", name)) is not None:
        operation = msgspec.json.decode(row.value, type=Operation)
        if operation.ended is not None:
            return operation
        after, draft = closed(operation, came)
        put = Put(kind="operation", key=name, value=msgspec.json.encode(after), expect=row.version)
        try:
            await world.store.write(Write(puts=(put,), drafts=(draft,)))
        except Conflict:  # somebody wrote to it meanwhile: look again
            continue
        return after
    return None


def _following(case: Case, accepted: Accepted, write: Write, *, now: int) -> Write:
    """The same write with the row by which the operation is found again."""
    operation = case.operation(accepted, write.drafts[0].body.intent, now=now)
    put = Put(kind="operation", key=operation.id, value=msgspec.json.encode(operation), expect=0)
    counted = Reserve(counter=operations_of(operation.agent))
    return msgspec.structs.replace(write, puts=(put,), reserves=(counted,))


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
