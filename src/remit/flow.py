"""One governed call, from what was asked to what really happened. Read this first.

    workload identity → a declared task → the exact call, checked against a pinned contract → policy →
    a person's approval → one commit that reserves and records it → forwarded → result checked → outcome recorded

`govern` is that sentence. Each step asks one question, which one pure function of the package of the same name
answers; between the steps, facts are fetched and effects performed through the ports of `World`. A step that says no
raises `Denied`, and `answer` writes the receipt of it. Nothing reaches a tool server before step 8 has returned.

What the caller must still do: hand over an `Ask` whose `params` were read by `canonical.parse`, give every `Denied`
outside of here the same treatment, and show a `Refusal` to the model as text, not as a transport failure.

The numbers are the design's; 5 (provenance) and 9 (credential) are not built, so they are not here.
"""

from remit.approval import approved
from remit.call import Ask, decode
from remit.case import Case
from remit.catalogue import classify
from remit.commit import plan
from remit.errors import StoreFault
from remit.forward import outgoing
from remit.identity import admitted
from remit.limits import RESTARTS_MAX
from remit.outcome import Refusal, Released, denial, ended, refusal
from remit.reasons import Denied, Reason, Restart
from remit.result import inspect
from remit.schema import conforming
from remit.task import within
from remit.world import World


async def govern(case: Case, world: World) -> Released | Refusal:
    """Decide one call and, if it may pass, carry it out once. Raises `Denied` for a no, `Restart` to be asked again."""
    # 1 call: what exactly is asked?
    case.call = decode(case.ask, case.id)

    # 2 identity: who asks?
    case.epoch, case.view = world.store.epoch(), world.catalogue()
    case.principal = await world.authenticator.agent(case.ask.token, case.ask.audience)
    case.agent = admitted(case.principal, case.view)
    world.limiter.enter(case)

    # 3 task: for what purpose, and is that still open?
    case.connector = case.view.connector(case.call.connector)
    case.classified = classify(case.connector, case.call, case.view.declared.data_classes)
    case.task = within(await world.tasks.of(case), case.call, case.connector, case.classified, world.now())

    # 4 schema: is it a well-formed call of the contract we pinned?
    case.tool = conforming(case.call, case.view.tool(case.call))

    # 6 policy: may this agent, for this task, do this, now?
    case.history = world.store.counters(case.counters)
    case.decision = world.policies().decide(case.request(world.now()))

    # 7 approval: must a person say yes, and have they, to exactly this?
    approved(case.decision)

    # 8 commit: write it down and use it up
    warrant = case.warrant(await world.store.write(plan(case)), world.now())

    # 10 forward: what exactly goes out?
    reply = await case.once(world.upstreams.forward(warrant, case.tool.contract, outgoing(case.call, case.tool)))

    # 11 result: what may come back?
    result = inspect(reply, case.tool)

    # 12 outcome: what really happened?
    return await ended(case, warrant, reply, result, world)
