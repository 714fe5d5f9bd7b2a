"""Opening, renewing and defaulting tasks: never wider than the purpose, in any dimension.

What a request leaves out is taken from the purpose or the agent; what it says may only narrow. The purpose's argument
constraints always hold, a request's come on top.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from remit.canonical import digest_of
from remit.catalogue.model import Agent, Purpose, Template
from remit.catalogue.patterns import covers, pattern
from remit.catalogue.schemas import checked
from remit.errors import CallerFault, NotPermitted
from remit.limits import REQUEST_TEXT_CHARS_MAX, TASK_CALLS_MAX, TASK_LIFETIME_MAX_S
from remit.task.model import Budget, Party, Requester, Scope, Source, Stamp, Task, TaskSpec
from remit.task.table import moved

_TRUST: Final[tuple[Source, ...]] = ("requester", "orchestrator", "agent")
_MAY_OPEN: Final = frozenset({"requester", "operator"})
_MINUTE_MS: Final = 60_000


def opened(spec: TaskSpec, by: Party, *, purpose: Purpose, agent: Agent, stamp: Stamp) -> Task:
    """The task a person or service asked for. `purpose` and `agent` are the rows the spec names.

    Raises `CallerFault` naming the dimension in which it would be wider than the purpose, `NotPermitted` when the one
    who asks may open none.
    """
    if by.kind not in ("human", "service") or not by.roles & _MAY_OPEN:
        raise NotPermitted(f"`{by.id}` may not open tasks", "it takes the role `requester` or `operator`")
    if len(spec.text) > REQUEST_TEXT_CHARS_MAX:
        raise CallerFault(f"the request's text is longer than {REQUEST_TEXT_CHARS_MAX} characters", "say it shorter")
    requester = _requester(spec, by)
    scope = _scope(spec, purpose, agent=agent)
    return Task(
        id=stamp.id,
        agent=spec.agent,
        purpose=spec.purpose,
        requester=requester,
        scope=scope,
        budget=_budget(spec, purpose, scope=scope),
        opened_at=stamp.at,
        expires_at=stamp.at + _minutes(spec.minutes, purpose) * _MINUTE_MS,
        opened_by=by.id,
        text=spec.text,
        text_source=_source(spec.text_source, requester, by=by),
    )


def template(name: str, agent: Agent, *, purpose: Purpose, client: str, stamp: Stamp) -> Task:
    """The default task of a client that names none: reads only, one per (agent, client), with an idle limit.

    `purpose` is the row the agent's template names. Raises `CallerFault` when the agent has no template, or one that
    its purpose no longer covers.
    """
    row = agent.template
    if row is None:
        raise CallerFault(f"`{name}` has no default task", "open one for it")
    spec = _spec(name, row, purpose=purpose)
    scope = _scope(spec, purpose, agent=agent)
    return Task(
        id=stamp.id,
        agent=name,
        purpose=row.purpose,
        requester=Requester(id=agent.owner, proof="asserted"),
        scope=scope,
        budget=_budget(spec, purpose, scope=scope),
        opened_at=stamp.at,
        expires_at=stamp.at + _minutes(spec.minutes, purpose) * _MINUTE_MS,
        opened_by="gateway",
        origin="template",
        client=client,
        idle_s=row.idle_minutes * 60,
    )


def renewed(task: Task, by: Party, *, purpose: Purpose, minutes: int | None = None, now: int) -> Task:
    """The task with a new expiry, counted from `now`; never later than `TASK_LIFETIME_MAX_S` after it was opened.

    `purpose` is the row as it is now: a task it no longer covers is not renewed.
    """
    if task.origin == "template":
        raise CallerFault("a default task cannot be renewed", "open one for the work")
    if not by.roles & _MAY_OPEN:
        raise NotPermitted(f"`{by.id}` may not renew tasks", "it takes the role `requester` or `operator`")
    after = moved(task, "renew", by=by, now=now)
    _within_purpose(task.scope, purpose)
    last = task.opened_at + TASK_LIFETIME_MAX_S * 1000
    expires = min(now + _minutes(minutes, purpose) * _MINUTE_MS, last)
    if expires <= now:
        raise CallerFault("the task has lived as long as a task may", "open a new one")
    return replace(after, expires_at=expires)


def _spec(name: str, row: Template, *, purpose: Purpose) -> TaskSpec:
    return TaskSpec(
        agent=name,
        purpose=row.purpose,
        tools=row.tools,
        tiers=("read",),
        calls=min(row.calls, purpose.calls),
        minutes=min(row.minutes, purpose.minutes),
    )


def _requester(spec: TaskSpec, by: Party) -> Requester:
    if by.on_behalf is not None:
        _agrees(spec, by.on_behalf)
        return Requester(id=by.on_behalf, proof="id_token")
    if spec.requester is not None and spec.requester != by.id:
        return Requester(id=spec.requester, proof="asserted")
    if by.kind == "human":
        return Requester(id=by.id, proof="authenticated")
    raise CallerFault("the task names no requester", "say who the work is for")


def _agrees(spec: TaskSpec, subject: str) -> None:
    if spec.requester not in (None, subject):
        raise CallerFault("the ID token is another person's than the requester named", "name one requester")


def _source(claimed: Source, requester: Requester, *, by: Party) -> Source:
    """Who supplied the text: as claimed, but never more trusted than the way it came."""
    came: Source = "requester" if requester.id == by.id else "orchestrator"
    return max(claimed, came, key=_TRUST.index)


def _scope(spec: TaskSpec, purpose: Purpose, *, agent: Agent) -> Scope:
    scope = Scope(
        tools=purpose.tools if spec.tools is None else tuple(map(pattern, spec.tools)),
        environment=_same("environment", spec.environment, own=agent.environment),
        tenant=_same("tenant", spec.tenant, own=agent.tenant),
        data_classes=purpose.data_classes if spec.data_classes is None else spec.data_classes,
        tiers=purpose.tiers if spec.tiers is None else spec.tiers,
        arguments=_both(purpose.arguments, spec.arguments),
    )
    return _within_purpose(scope, purpose)


def _within_purpose(scope: Scope, purpose: Purpose) -> Scope:
    """The scope, if the purpose covers it in every dimension; else `CallerFault` naming the first it does not."""
    tools = [tool for tool in scope.tools if not any(covers(wide, tool) for wide in purpose.tools)]
    _none_beyond("tool", tools)
    _none_beyond("tier", _beyond(scope.tiers, purpose.tiers))
    _none_beyond("data class", _beyond(scope.data_classes, purpose.data_classes))
    _none_beyond("environment", _beyond([scope.environment], purpose.environments))
    _none_beyond("tenant", _beyond([scope.tenant], purpose.tenants))
    _none_beyond("argument constraint", _unheld(scope.arguments, purpose.arguments))
    if not scope.tools or not scope.tiers:
        raise CallerFault("the task names no tool or no tier", "name one, or leave it to the purpose")
    return scope


def _beyond(asked: Iterable[str], allowed: Iterable[str]) -> list[str]:
    within = set(allowed)
    return [name for name in asked if name not in within]


def _none_beyond(dimension: str, beyond: list[str]) -> None:
    if beyond:
        raise CallerFault(
            f"the {dimension} `{beyond[0][:200]}` is beyond the purpose", "ask for what the purpose covers"
        )


def _same(dimension: str, asked: str | None, *, own: str) -> str:
    if asked not in (None, own):
        raise CallerFault(f"the {dimension} `{asked[:200]}` is not the agent's", f"it works in `{own}`")
    return own


def _both(
    ours: Mapping[str, Mapping[str, Any]], theirs: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    both = dict(ours)
    for key, schema in theirs.items():
        known = both.get(pattern(key))
        both[key] = checked(schema) if known is None else {"allOf": [_whole(known, "purpose"), _whole(schema, "task")]}
    return both


def _whole(schema: Mapping[str, Any], of: str) -> Mapping[str, Any]:
    """The schema as a resource of its own, so that its `#/$defs` stay its own. No schema of a person's has an `$id`."""
    return {"$id": f"urn:remit:{of}", **checked(schema)}


def _unheld(scope: Mapping[str, Mapping[str, Any]], purpose: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The purpose's constraints the scope does not hold to: neither as they are, nor as one of a conjunction."""
    return [key for key, schema in purpose.items() if digest_of(schema) not in map(digest_of, _parts(scope.get(key)))]


def _parts(schema: Mapping[str, Any] | None) -> list[Any]:
    if schema is None:
        return []
    both = schema["allOf"] if schema.keys() == {"allOf"} else ()
    return [schema, *({key: value for key, value in part.items() if key != "$id"} for part in both)]


def _budget(spec: TaskSpec, purpose: Purpose, *, scope: Scope) -> Budget:
    most = min(purpose.calls, TASK_CALLS_MAX)
    calls = most if spec.calls is None else spec.calls
    if not 1 <= calls <= most:
        raise CallerFault(f"{calls} calls are beyond the purpose", f"it allows 1 to {most}")
    for target, number in spec.per_tool.items():
        if "*" in target or not any(covers(wide, pattern(target)) for wide in scope.tools):
            raise CallerFault(f"the budget for `{target[:200]}` is for no tool of the task", "name one of its tools")
        if not 1 <= number <= calls:
            raise CallerFault(f"{number} calls of `{target}` are beyond the task's", f"it allows 1 to {calls}")
    return Budget(calls=calls, per_tool=dict(spec.per_tool))


def _minutes(asked: int | None, purpose: Purpose) -> int:
    most = min(purpose.minutes, TASK_LIFETIME_MAX_S // 60)
    minutes = most if asked is None else asked
    if not 1 <= minutes <= most:
        raise CallerFault(f"{minutes} minutes are beyond the purpose", f"it allows 1 to {most}")
    return minutes
