"""What the steps have established, said in the words of policy and of the record: translation, and nothing else."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from remit.catalogue import Classified, View
from remit.catalogue.model import Agent, Connector
from remit.policy.model import (
    AgentFacts,
    ConnectorFacts,
    Facts,
    HistoryFacts,
    ModelFacts,
    TaskFacts,
    TimeFacts,
    ToolFacts,
)
from remit.task.model import History, Task


def of_agent(agent: Agent) -> AgentFacts:
    """`principal`, as policy sees it."""
    model = ModelFacts(provider=agent.model.provider, name=agent.model.name, version=agent.model.version)
    return AgentFacts(
        owner=agent.owner, environment=agent.environment, tenant=agent.tenant, model=model, version=agent.version
    )


def of_connector(connector: Connector) -> ConnectorFacts:
    """`resource`, as policy sees it."""
    return ConnectorFacts(owner=connector.owner, environment=connector.environment, tenant=connector.tenant)


def of_task(task: Task, past: History, *, now: int) -> TaskFacts:
    """`context.task`. `now` is epoch ms; whole seconds since the opening, never negative."""
    return TaskFacts(
        purpose=task.purpose,
        origin=task.origin,
        age_s=max(0, now - task.opened_at) // 1000,
        calls_left=max(0, task.budget.calls - past.calls),
        requester=task.requester.id,
        requester_proof=task.requester.proof,
        environment=task.scope.environment,
        tenant=task.scope.tenant,
    )


def of_history(past: History) -> HistoryFacts:
    """`context.history`: what the task committed so far, calls in flight included."""
    return HistoryFacts(
        calls=past.calls,
        reads=past.tiers.get("read", 0),
        writes=past.tiers.get("write", 0),
        privileged=past.tiers.get("privileged", 0),
        tools=_counted(past.tools),
        data_classes=_counted(past.data_classes),
    )


class Circumstances(Struct, frozen=True, kw_only=True):
    """What surrounds a call when policy is asked. `environment` is the connector's, where it would act."""

    task: Task
    past: History
    classified: Classified
    open_schema: bool
    method: str
    environment: str
    boundary: str


def context(around: Circumstances, now: int) -> Facts:
    """`context` without the arguments; `now` is epoch ms."""
    classified = around.classified
    return Facts(
        task=of_task(around.task, around.past, now=now),
        history=of_history(around.past),
        tool=ToolFacts(tier=classified.tier, data_classes=classified.data_classes, open_schema=around.open_schema),
        time=TimeFacts.at(now),
        method=around.method,
        environment=around.environment,
        boundary=around.boundary,
    )


def on_record(known: Mapping[str, Any], *, task: Task | None) -> dict[str, Any]:
    """The fields of `receipt.Asked` that what is `known` of a case fills in; of tasks, only that which is given."""
    found: dict[str, Any] = {}
    for step, say in _SAYS.items():
        if step in known:
            found.update(say(known[step]))
    if task is not None:
        found.update(purpose=task.purpose, requester=task.requester.id, requester_proof=task.requester.proof)
    return found


def _counted(counts: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(sorted(name for name, count in counts.items() if count > 0))


def _view(view: View) -> dict[str, Any]:
    return {"boundary": view.declared.gateway.boundary, "catalogue": view.digest}


_SAYS: Final[Mapping[str, Callable[[Any], dict[str, Any]]]] = {
    "view": _view,
    "call": lambda call: {"method": call.method, "connector": call.connector, "name": call.name},
    "principal": lambda who: {"agent": who.name, "principal": who.id, "issuer": who.issuer, "key": who.key},
    "agent": lambda row: {"owner": row.owner, "model": f"{row.model.provider}/{row.model.name}/{row.model.version}"},
    "classified": lambda found: {"tier": found.tier, "data_classes": found.data_classes},
    "tool": lambda tool: {"contract": tool.contract.digest},
    "decision": lambda made: {"policy_set": made.policy_set, "basis": made.basis, "policies": made.policies},
}
