"""Step 3, the answer: the task that covers a call, or no.

Another agent's task and another tenant's answer as unknown. What the task's scope does not reach answers, towards the
agent, as if it did not exist; what it reaches in principle but not like this says why.
"""

from collections.abc import Iterable

from remit.call import Call
from remit.catalogue.classify import Classified, possible_tiers
from remit.catalogue.model import Connector, Tool
from remit.catalogue.patterns import concerns, reaches
from remit.catalogue.resources import covers as template_covers
from remit.catalogue.schemas import validator
from remit.errors import CallerFault
from remit.reasons import Denied, Reason
from remit.task.model import Scope, Standing, State, Task


def assigned(task: Task | None, standing: Standing) -> Task:
    """The task, if it is the agent's own and open; else `Denied(task.*)`. Nothing about the call is looked at before.

    Source: design, flow step 3 and invariant 12. An idle limit counts from the last committed call, or the opening.
    """
    if task is None:
        raise Denied(Reason.TASK_MISSING)
    if task.agent != standing.agent or task.scope.tenant != standing.tenant:
        raise Denied(Reason.TASK_UNKNOWN, f"`{task.id}` is another's")
    _alive(task, standing)
    return task


def within(task: Task, call: Call, *, connector: Connector, classified: Classified) -> Task:
    """The task, if it reaches this call; else `Denied(task.*)`. `classified` is what the call amounts to."""
    _in_scope(task.scope, call.target, connector=connector, classified=classified)
    _fitting(task.scope, call)
    return task


def visible(task: Task, tools: Iterable[Tool], *, connector: Connector) -> tuple[Tool, ...]:
    """Those of a connector's tools whose calls the task does not answer as unknown, in the same order."""
    return tuple(
        tool
        for tool in tools
        if connector.tenant == task.scope.tenant
        and possible_tiers(tool.row) & set(task.scope.tiers)
        and any(_shows(pattern, tool) for pattern in task.scope.tools)
    )


def _alive(task: Task, standing: Standing) -> None:
    if task.state is State.EXPIRED:
        raise Denied(Reason.TASK_EXPIRED)
    if task.state is not State.OPEN:
        raise Denied(Reason.TASK_NOT_OPEN, f"it is {task.state}")
    if standing.now >= task.expires_at:
        raise Denied(Reason.TASK_EXPIRED)
    idle_since = max(task.opened_at, standing.last_used or 0)
    if task.idle_s is not None and standing.now - idle_since >= task.idle_s * 1000:
        raise Denied(Reason.TASK_EXPIRED, f"it was idle for {task.idle_s} s")


def _in_scope(scope: Scope, target: str, *, connector: Connector, classified: Classified) -> None:
    possible = possible_tiers(classified.row)
    if not any(reaches(pattern, target) for pattern in scope.tools) or possible.isdisjoint(scope.tiers):
        raise Denied(Reason.TASK_SCOPE, f"`{target}` is not in the task's scope")
    if connector.tenant != scope.tenant:
        raise Denied(Reason.TASK_TENANT, f"`{target}` is another tenant's")
    if connector.environment != scope.environment:
        raise Denied(Reason.TASK_ENVIRONMENT, f"the task is for `{scope.environment}`")
    if classified.tier not in scope.tiers:
        raise Denied(Reason.TASK_ARGUMENTS, f"with these arguments it is `{classified.tier}`, beyond the task")
    beyond = [name for name in classified.data_classes if name not in scope.data_classes]
    if beyond or not classified.data_classes:
        raise Denied(Reason.TASK_DATA_CLASS, ", ".join(f"`{name}`" for name in beyond))


def _fitting(scope: Scope, call: Call) -> None:
    for pattern, schema in scope.arguments.items():
        if not concerns(pattern, call.target):
            continue
        try:
            wrong = next(validator(schema).iter_errors(call.shown), None)
        except CallerFault as e:
            raise Denied(Reason.TASK_ARGUMENTS, "the task's constraint on them cannot be read") from e
        if wrong is not None:
            where = "".join(f"/{step}" for step in wrong.instance_path)[:200]
            raise Denied(Reason.TASK_ARGUMENTS, f"at `{where}`" if where else "as a whole")


def _shows(pattern: str, tool: Tool) -> bool:
    contract = tool.contract
    if contract.kind != "template":
        return reaches(pattern, contract.target)
    owner, _, uri = pattern.partition("/resource:")
    if owner != contract.connector:
        return reaches(pattern, contract.target)
    if not uri.endswith("*"):
        return template_covers(contract.name, uri)
    literal, prefix = contract.name.partition("{")[0], uri[:-1]
    return literal.startswith(prefix) or prefix.startswith(literal)
