"""What is served at the people's door: each path, the act behind it, and the shape of its input."""

from collections.abc import Callable
from typing import Any, cast

from msgspec import Struct
from starlette.requests import Request

from remit.edge.acts.contracts import Contracts, Pin
from remit.edge.acts.gateway import Keeper
from remit.edge.acts.inventory import Enrolment, Inventory, Revocation
from remit.edge.acts.ledger import Erase, Records
from remit.edge.acts.policies import Files, PolicySets
from remit.edge.acts.tasks import Given, Tasks
from remit.edge.acts.who import Who
from remit.edge.api.door import Handler
from remit.errors import CallerFault
from remit.identity.facts import Authenticator
from remit.task import Move, Task, TaskSpec

_MOVES = ("suspend", "resume", "renew", "complete", "revoke")


class Acts(Struct, frozen=True, kw_only=True):
    """Everything the door can do. `step_token` mints a short token of a task's agent for that task."""

    tasks: Tasks
    contracts: Contracts
    inventory: Inventory
    policies: PolicySets
    records: Records
    authenticator: Authenticator
    keeper: Keeper
    step_token: Callable[[Task], str]


class OpenTask(TaskSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A task's spec, an ID token of the person it is for, and whether a step token is wanted."""

    subject_token: str | None = None
    token: bool = False


def routes(acts: Acts) -> dict[tuple[str, str], tuple[Handler, Any]]:
    """`(method, path)` to handler and input type."""

    async def status(who: Who, request: Request, given: None) -> Any:
        return acts.keeper.status(who)

    async def open_task(who: Who, request: Request, given: OpenTask) -> Any:
        subject = await acts.authenticator.subject(given.subject_token) if given.subject_token else None
        task = await acts.tasks.open(who, given, on_behalf=subject)
        token = {"token": acts.step_token(task)} if given.token else {}
        return {"task": task, **token}

    async def tasks(who: Who, request: Request, given: None) -> Any:
        wanted = {key: request.query_params[key] for key in ("agent", "state") if key in request.query_params}
        found = acts.tasks.listed(who)
        return {"tasks": [task for task in found if all(getattr(task, key) == value for key, value in wanted.items())]}

    async def task(who: Who, request: Request, given: None) -> Any:
        return await acts.tasks.see(who, request.path_params["task"])

    async def move(who: Who, request: Request, given: Given) -> Any:
        name = request.path_params["move"]
        if name not in _MOVES:
            raise CallerFault(f"`{name}` is no move of a task", f"one of {', '.join(_MOVES)}")
        return {"task": await acts.tasks.move(who, request.path_params["task"], cast("Move", name), given)}

    async def contracts(who: Who, request: Request, given: None) -> Any:
        return {"contracts": acts.contracts.listed(who, request.query_params.get("connector"))}

    async def difference(who: Who, request: Request, given: None) -> Any:
        return acts.contracts.difference(who, request.query_params.get("target", ""))

    async def pin(who: Who, request: Request, given: Pin) -> Any:
        return await acts.contracts.pin(who, given)

    async def agents(who: Who, request: Request, given: None) -> Any:
        return {"agents": acts.inventory.agents(who)}

    async def enroll(who: Who, request: Request, given: Enrolment) -> Any:
        return await acts.inventory.enroll(who, request.path_params["agent"], given.jwk)

    async def revoke(who: Who, request: Request, given: Revocation) -> Any:
        return await acts.inventory.revoke(who, given)

    async def restore(who: Who, request: Request, given: Revocation) -> Any:
        return await acts.inventory.restore(who, given)

    async def policy(who: Who, request: Request, given: None) -> Any:
        return acts.policies.current(who)

    async def check(who: Who, request: Request, given: Files) -> Any:
        return acts.policies.check(who, given)

    async def apply(who: Who, request: Request, given: Files) -> Any:
        return await acts.policies.apply(who, given)

    async def erase(who: Who, request: Request, given: Erase) -> Any:
        return await acts.records.erase(who, given)

    return {
        ("GET", "/v1/status"): (status, None),
        ("POST", "/v1/tasks"): (open_task, OpenTask),
        ("GET", "/v1/tasks"): (tasks, None),
        ("GET", "/v1/tasks/{task}"): (task, None),
        ("POST", "/v1/tasks/{task}/{move}"): (move, Given),
        ("GET", "/v1/contracts"): (contracts, None),
        ("GET", "/v1/contracts/diff"): (difference, None),
        ("POST", "/v1/contracts/pin"): (pin, Pin),
        ("GET", "/v1/agents"): (agents, None),
        ("POST", "/v1/agents/{agent}/enroll"): (enroll, Enrolment),
        ("POST", "/v1/revocations"): (revoke, Revocation),
        ("POST", "/v1/restorations"): (restore, Revocation),
        ("GET", "/v1/policy"): (policy, None),
        ("POST", "/v1/policy/check"): (check, Files),
        ("POST", "/v1/policy/apply"): (apply, Files),
        ("POST", "/v1/erasures"): (erase, Erase),
    }
