"""What is served at the people's door: each path, the act behind it, and the shape of its input."""

from collections.abc import Callable
from typing import Any, Final, cast

from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request

from remit.edge.acts.contracts import Contracts, Pin
from remit.edge.acts.gateway import Keeper
from remit.edge.acts.inventory import Enrolment, Inventory, Revocation
from remit.edge.acts.ledger import Erase, Records
from remit.edge.acts.policies import Files, PolicySets
from remit.edge.acts.standing import StandingAsked, StandingTokens
from remit.edge.acts.tasks import Given, Tasks
from remit.edge.acts.who import Who
from remit.edge.api.door import Handler
from remit.errors import CallerFault
from remit.identity.facts import Authenticator
from remit.task import Move, Task, TaskSpec

_MOVES: Final = ("suspend", "resume", "renew", "complete", "revoke")


class Acts(Struct, frozen=True, kw_only=True):
    """Everything the door can do. `step_token` mints a short token of a task's agent for that task."""

    tasks: Tasks
    contracts: Contracts
    inventory: Inventory
    standing: StandingTokens
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
    """`(method, path)` to handler and input type; None takes no input."""
    tasks, things = _TaskPaths(acts), _Paths(acts)
    return {
        ("GET", "/v1/status"): (things.status, None),
        ("POST", "/v1/tasks"): (tasks.open, OpenTask),
        ("GET", "/v1/tasks"): (tasks.listed, None),
        ("GET", "/v1/tasks/{task}"): (tasks.see, None),
        ("POST", "/v1/tasks/{task}/{move}"): (tasks.move, Given),
        ("GET", "/v1/contracts"): (things.contracts, None),
        ("GET", "/v1/contracts/diff"): (things.difference, None),
        ("POST", "/v1/contracts/pin"): (things.pin, Pin),
        ("GET", "/v1/agents"): (things.agents, None),
        ("POST", "/v1/agents/{agent}/enroll"): (things.enroll, Enrolment),
        ("POST", "/v1/agents/{agent}/standing-tokens"): (things.stand, StandingAsked),
        ("POST", "/v1/revocations"): (things.revoke, Revocation),
        ("POST", "/v1/restorations"): (things.restore, Revocation),
        ("GET", "/v1/policy"): (things.policy, None),
        ("POST", "/v1/policy/check"): (things.check, Files),
        ("POST", "/v1/policy/apply"): (things.apply, Files),
        ("POST", "/v1/erasures"): (things.erase, Erase),
    }


class _TaskPaths:
    def __init__(self, acts: Acts) -> None:
        self._acts = acts

    async def open(self, who: Who, _: Request, given: OpenTask) -> Any:
        token = given.subject_token
        subject = await self._acts.authenticator.subject(token) if token else None
        task = await self._acts.tasks.open(who, given, on_behalf=subject)
        return {"task": task} | ({"token": self._acts.step_token(task)} if given.token else {})

    async def listed(self, who: Who, request: Request, _: None) -> Any:
        wanted = {key: request.query_params[key] for key in ("agent", "state") if key in request.query_params}
        found = self._acts.tasks.listed(who)
        return {"tasks": [task for task in found if all(getattr(task, key) == value for key, value in wanted.items())]}

    async def see(self, who: Who, request: Request, _: None) -> Any:
        task = await self._acts.tasks.see(who, request.path_params["task"])
        return {"task": task, "used": self._acts.tasks.history(task)}

    async def move(self, who: Who, request: Request, given: Given) -> Any:
        name = request.path_params["move"]
        if name not in _MOVES:
            raise CallerFault(f"`{name}` is no move of a task", f"one of {', '.join(_MOVES)}")
        return {
            "task": await self._acts.tasks.move(who, request.path_params["task"], move=cast("Move", name), given=given)
        }


class _Paths:
    def __init__(self, acts: Acts) -> None:
        self._acts = acts

    async def status(self, who: Who, _: Request, __: None) -> Any:
        return replace(self._acts.keeper.status(who), standing=self._acts.standing.listed(who))

    async def contracts(self, who: Who, request: Request, _: None) -> Any:
        return {"contracts": self._acts.contracts.listed(who, request.query_params.get("connector"))}

    async def difference(self, who: Who, request: Request, _: None) -> Any:
        return self._acts.contracts.difference(who, request.query_params.get("target", ""))

    async def pin(self, who: Who, _: Request, given: Pin) -> Any:
        return await self._acts.contracts.pin(who, given)

    async def agents(self, who: Who, _: Request, __: None) -> Any:
        return {"agents": self._acts.inventory.agents(who)}

    async def enroll(self, who: Who, request: Request, given: Enrolment) -> Any:
        return await self._acts.inventory.enroll(who, request.path_params["agent"], jwk=given.jwk)

    async def stand(self, who: Who, request: Request, given: StandingAsked) -> Any:
        return await self._acts.standing.issue(who, request.path_params["agent"], asked=given)

    async def revoke(self, who: Who, _: Request, given: Revocation) -> Any:
        return await self._acts.inventory.revoke(who, given)

    async def restore(self, who: Who, _: Request, given: Revocation) -> Any:
        return await self._acts.inventory.restore(who, given)

    async def policy(self, who: Who, _: Request, __: None) -> Any:
        return self._acts.policies.current(who)

    async def check(self, who: Who, _: Request, given: Files) -> Any:
        return await self._acts.policies.check(who, given)

    async def apply(self, who: Who, _: Request, given: Files) -> Any:
        return await self._acts.policies.apply(who, given)

    async def erase(self, who: Who, _: Request, given: Erase) -> Any:
        return await self._acts.records.erase(who, given)
