"""The gateway as the agents' door sees it: `backend.Backend` over the world."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from remit.answer import Answered, Asking, Followed, Refusal
from remit.call import Ask
from remit.case import Case, Hears
from remit.catalogue.model import Contract, ContractKind
from remit.edge.mcp.leaving import Cancelled
from remit.errors import RemitError
from remit.flow import answer
from remit.identity.model import Principal
from remit.ledger.receipt import Asked, Denial, Draft
from remit.listing import listed
from remit.operations import Operations
from remit.reasons import Denied, Reason
from remit.world import World


class Governed:
    """Implements `Backend`. `jwks` gives the public keys of the local trust domain as they are now."""

    def __init__(self, world: World, jwks: Callable[[], Mapping[str, Any]]) -> None:
        self._world = world
        self._jwks = jwks
        self._operations = Operations(world)

    async def authenticate(self, token: str | None, audience: str) -> Principal:
        return await self._world.authenticator.agent(token, audience)

    async def answer(self, ask: Ask, cancelled: Cancelled, *, hears: Hears | None) -> Answered:
        case = self._case(ask)
        case.hears = hears
        cancelled.then(case.cancel)
        return await answer(case, self._world)

    async def tended(self, ask: Ask, cancelled: Cancelled) -> Answered | Followed:
        case = self._case(ask)
        cancelled.then(case.cancel)
        return await self._operations.answer(case)

    def abandon(self, asking: Asking) -> None:
        self._world.upstreams.abandon(asking.round.held)

    async def listed(self, ask: Ask, kind: ContractKind) -> tuple[Contract, ...] | Refusal:
        return await listed(self._case(ask), kind, world=self._world)

    def tool(self, connector: str, name: str) -> Contract | None:
        found = self._world.view().callables.get(f"{connector}/tool/{name}")
        return None if found is None else found.contract

    def instructions(self, connector: str) -> str:
        server = self._world.view().servers.get(connector)
        said = server.body.get("instructions") if server is not None else None
        return said if isinstance(said, str) else ""

    def capabilities(self, connector: str) -> Mapping[str, Any] | None:
        return self._world.upstreams.capabilities(connector)

    async def attend(self, connector: str, agent: str) -> None:
        await self._world.upstreams.attend(connector, agent)

    async def leave(self, connector: str, agent: str, *, uris: Iterable[str] = ()) -> None:
        await self._world.upstreams.leave(connector, agent, uris=tuple(uris))

    def open_stream(self, principal: Principal) -> None:
        self._world.admission.open_stream(principal.name, self._world.view().agent(principal.name).limits)

    def close_stream(self, principal: Principal) -> None:
        self._world.admission.close_stream(principal.name)

    def sessions_max(self, agent: str) -> int:
        return self._world.view().declared.agents[agent].limits.streams

    def jwks(self) -> Mapping[str, Any]:
        return self._jwks()

    async def refused(self, reason: Reason, detail: str, *, who: Principal | None) -> None:
        if who is None or not self._admitted(who):
            self._world.denials.noise(reason)
            return
        asked = Asked(
            call=self._world.new_id(),
            door="mcp-http",
            agent=who.name,
            principal=who.id,
            issuer=who.issuer,
            key=who.key,
        )
        with suppress(RemitError, Denied):  # it is a no already, on record or not
            await self._world.denials.record(
                Draft(body=Denial(asked=asked, verdict="DENY", reason=reason, detail=detail))
            )

    def _admitted(self, who: Principal) -> bool:
        """Whether the agent may ask more now: what it sends malformed costs what calls cost."""
        world = self._world
        try:
            world.admission.enter(who.name, world.view().agent(who.name).limits, now=world.now())
        except Denied:
            return False
        world.admission.leave(who.name)
        return True

    def _case(self, ask: Ask) -> Case:
        return Case(ask, self._world.new_id(), received=self._world.now())
