"""What a caller may see: the pinned contracts within its reach, and nothing about the rest.

In reach is what the task's scope shows, what is pinned and not in quarantine, and what some permit's scope fits: the
same walls a call meets, so a list never promises what a call could not even try. It is not a call: no receipt.
"""

from remit.answer import Refusal
from remit.case import Case
from remit.catalogue.model import Contract, ContractKind, Tool
from remit.errors import RemitError
from remit.identity import admitted
from remit.outcome import refused
from remit.reasons import Denied, Reason
from remit.task import visible
from remit.task.model import State, Task
from remit.world import World


async def listed(case: Case, kind: ContractKind, *, world: World) -> tuple[Contract, ...] | Refusal:
    """The contracts of one kind the caller could use, by connector and name; of `case.ask.connector`, or of all."""
    try:
        task = await _task(case, world)
        return tuple(tool.contract for tool in _shown(case, task) if _usable(tool, kind, case=case, world=world))
    except Denied as no:
        world.denials.noise(no.reason)
        return refused(no, "")
    except RemitError:
        return refused(Denied(Reason.COMMIT_STORE), "")
    finally:
        case.leave(world)


async def _task(case: Case, world: World) -> Task:
    case.view = world.view()
    case.principal = await world.authenticator.agent(case.ask.token, case.ask.audience)
    case.agent = admitted(case.principal, case.view)
    case.enter(world)
    task = await world.tasks.of(case.principal, case.ask, view=case.view)
    if task is None:
        raise Denied(Reason.TASK_MISSING)
    if task.agent != case.principal.name or task.scope.tenant != case.agent.tenant:
        raise Denied(Reason.TASK_UNKNOWN)
    if task.state is not State.OPEN or world.now() >= task.expires_at:
        raise Denied(Reason.TASK_NOT_OPEN)
    return task


def _shown(case: Case, task: Task) -> list[Tool]:
    wanted = case.ask.connector
    names = [wanted] if wanted is not None else sorted(case.view.declared.connectors)
    shown: list[Tool] = []
    for name in names:
        try:
            connector = case.view.connector(name)
        except Denied:
            continue
        shown += visible(task, case.view.tools(name), connector=connector)
    return shown


def _usable(tool: Tool, kind: ContractKind, *, case: Case, world: World) -> bool:
    contract = tool.contract
    if contract.kind != kind or tool.quarantined is not None:
        return False
    return world.policies().reaches(case.principal.name, action_of(contract), connector_name=contract.connector)


def action_of(contract: Contract) -> str:
    """What policy calls a contract's calls: its target, and one action for all resources of a connector."""
    return contract.target if contract.kind in ("tool", "prompt") else f"{contract.connector}/resource:*"
