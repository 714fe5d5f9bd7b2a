"""One governed call, from what was asked to what really happened. Read this first.

    workload identity → a declared task → the exact call, checked against a pinned contract → policy →
    a person's approval → one commit that reserves and records it → forwarded → result checked → outcome recorded

`govern` is that sentence. Each step asks one question, which one pure function of the package of the same name
answers; between the steps, facts are fetched and effects performed through the ports of `World`. A step that says no
raises `Denied`; nothing reaches a tool server before step 8 has returned.

`answer` is what a door calls. What a door must still do: hand over an `Ask` whose `params` were read by
`canonical.parse`, call `case.cancel()` when its client goes away, and show a `Refusal` to the model as text, never as a
transport failure. `Asking` is a server that wants the client's answers first: they come back as a new call, which is
decided anew. `Accepted` is one that ends the call later; `operations.py` follows it.

The numbers are the design's; 5 (provenance) and 9 (credential) are not built, so they are not here.
"""

from remit.answer import Answered
from remit.approval import approved
from remit.call import call_digest, decode
from remit.case import Case
from remit.catalogue import classify
from remit.commit import plan, warrant
from remit.forward import outgoing
from remit.identity import admitted
from remit.limits import RESTARTS_MAX
from remit.reasons import Denied, Reason, Restart
from remit.records import conclude, or_no
from remit.result import inspect
from remit.schema import conforming
from remit.task import assigned, within
from remit.world import World


async def govern(case: Case, world: World) -> Answered:
    """Decide one call and, if it may pass, carry it out once. Raises `Denied` for a no, `Restart` to be asked again."""
    # 1 call: what exactly is asked?
    call = case.call = decode(case.ask, case.id)

    # 2 identity: who asks?
    case.epoch, case.view = world.store.epoch(), world.view()
    case.principal = await world.authenticator.agent(case.ask.token, case.ask.audience)
    case.agent = admitted(case.principal, case.view)
    case.enter(world)

    # 3 task: for what purpose, and is that still open?
    found = case.found = await world.tasks.of(case.principal, case.ask, view=case.view)
    task = case.task = assigned(found, case.standing(found, world))
    connector = case.connector = case.view.connector(call.connector)
    case.classified = classify(connector, call, classes=case.view.declared.data_classes)
    within(task, call, connector=connector, classified=case.classified)
    world.policies().reach(case.principal.name, call.action, connector_name=call.connector)

    # 4 schema: is it a well-formed call of the contract we pinned?
    tool = case.tool = conforming(call, case.view.tool(call))
    case.digest = call_digest(call, task=task.id, contract=tool.contract.digest)
    case.round = case.answering(world)

    # 6 policy: may this agent, for this task, do this, now?
    case.request = case.question(world, world.now())
    decision = case.decision = world.policies().decide(case.request)

    # 7 approval: must a person say yes, and have they, to exactly this?
    approved(decision)

    # 8 commit: may it be written down, and is there still enough?
    booking = case.booking(world)
    permission = warrant(booking, await world.store.write(plan(booking)), expires=task.expires_at)

    # 10 forward: what exactly goes out?
    sent = outgoing(call, tool.row, client=case.speaks(world))
    reply = await case.once(world.upstreams.forward(permission, tool.contract, outgoing=sent, told=case.told))

    # 11 result: what may come back?
    result = inspect(reply, tool, sender=case.sender(sent.client, world))

    # 12 outcome: what really happened?
    return await conclude(case, booking, intent=permission.intent, ended=result, world=world)


async def answer(case: Case, world: World) -> Answered:
    """Govern one call; a no is recorded and said. Whatever goes wrong is a no with a listed reason."""
    return await or_no(case, _govern_again(case, world), world=world)


async def _govern_again(case: Case, world: World) -> Answered:
    """Start again while what the decision rests on moves under it, within a bound."""
    for _ in range(RESTARTS_MAX):
        try:
            return await govern(case, world)
        except Restart:
            case.forget()
    raise Denied(Reason.COMMIT_CONTENDED)
