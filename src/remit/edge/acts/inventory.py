"""Enrolling agents and revoking anything. A revocation raises the epoch: no call decided before it can commit."""

import re
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from remit.commit.model import Put, Write
from remit.edge.acts.live import Live
from remit.edge.acts.standing import StandingListed, standing_privilege
from remit.edge.acts.who import Who, may
from remit.errors import CallerFault
from remit.forward.facts import Upstreams
from remit.identity.jwk import enrollable
from remit.identity.model import Key
from remit.ledger.receipt import Draft, InventoryEvent
from remit.reasons import Denied

What = Literal["agent", "connector", "service", "key", "token"]


_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_LISTED: Final = {
    "agent": "`remit agent list` shows what there is",
    "connector": "`remit tool list` shows what there is",
    "service": "`services` in remit.yaml names them",
    "key": "give its RFC 7638 thumbprint; `remit agent list` shows those of agents",
    "token": "`remit agent list` shows standing tokens",
}


class Revocation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to stop or to let again, and why."""

    what: What
    name: str
    reason: str


class Enrolment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An agent's public key, RFC 7517."""

    jwk: dict[str, Any]


class Changed(Struct, frozen=True, kw_only=True):
    """What an act made true: its receipt, and the revocation epoch after it."""

    receipt: int
    epoch: int
    kid: str = ""


class AgentListed(Struct, frozen=True, kw_only=True):
    """One agent and how it proves who it is."""

    name: str
    owner: str
    model: str
    environment: str
    tenant: str
    identity: str
    keys: tuple[str, ...]
    revoked: bool
    standing: tuple[StandingListed, ...] = ()


class Inventory:
    """Acts on agents, connectors, services and keys. `now` is epoch ms; `reserved` are the gateway's own key ids."""

    def __init__(
        self, live: Live, upstreams: Upstreams, *, now: Callable[[], int], reserved: frozenset[str] = frozenset()
    ) -> None:
        self._live = live
        self._upstreams = upstreams
        self._now = now
        self._reserved = reserved

    def agents(self, who: Who) -> tuple[AgentListed, ...]:
        """Every agent the catalogue declares, with its keys that are in force and its standing tokens."""
        may(who, "inventory.see")
        view, now = self._live.view(), self._now()
        return tuple(
            AgentListed(
                name=name,
                owner=row.owner,
                model=f"{row.model.provider}/{row.model.name}/{row.model.version}",
                environment=row.environment,
                tenant=row.tenant,
                identity=f"{row.identity.issuer}#{row.identity.subject}" if row.identity else "local",
                keys=tuple(sorted(kid for kid, key in view.keys.items() if key.agent == name and view.agent_key(kid))),
                revoked=view.is_revoked("agent", name),
                standing=standing_privilege(view, now, agent=name),
            )
            for name, row in sorted(view.declared.agents.items())
        )

    async def enroll(self, who: Who, agent: str, *, jwk: dict[str, Any]) -> Changed:
        """Accept a public key as an agent's own; it signs for nobody else. Several may stand side by side."""
        may(who, "agent.enroll")
        async with self._live.changing:
            row = self._live.view().declared.agents.get(agent)
            if row is None:
                raise CallerFault(f"the catalogue knows no agent `{agent}`", "add it to remit.yaml, with an owner")
            if row.identity is not None:
                raise CallerFault(
                    f"`{agent}` is known by its issuer's tokens", "remove its `identity` to enrol it here"
                )
            key = _usable(jwk)
            if key.kid in self._reserved:
                raise CallerFault("this is the gateway's own key", "an agent has a key of its own")
            value = msgspec.json.encode({"agent": agent, "jwk": key.jwk, "at": self._now()})
            event = InventoryEvent(event="enrolled", what="agent", name=agent, key=key.kid, actor=who.actor)
            put = Put(kind="agent_key", key=key.kid, value=value, expect=0)
            written = await self._live.change(Write(puts=(put,), drafts=(Draft(body=event),)))
            return Changed(receipt=written.seqs[0], epoch=written.epoch, kid=key.kid)

    async def revoke(self, who: Who, given: Revocation) -> Changed:
        """Stop something now. When this returns, no call of it commits any more, those committed before and not yet
        sent are not sent any more, and its sessions are closed.
        """
        may(who, "inventory.revoke")
        agent = self._speaker(given)
        changed = await self._change(who, given, revoke=True)
        if given.what == "connector":
            await self._upstreams.end(connector=given.name, before=changed.receipt)
        elif agent is not None:
            await self._upstreams.end(agent=agent, before=changed.receipt)
        return changed

    async def restore(self, who: Who, given: Revocation) -> Changed:
        """Let something revoked act again; an agent gets default tasks again, too. What was ended stays ended, and so
        does a standing token: whoever else may have it by now would be let in with it.
        """
        may(who, "inventory.restore")
        if given.what == "token":
            raise CallerFault("a revoked token stays revoked", "`remit agent standing-token` issues another")
        return await self._change(who, given, revoke=False)

    async def _change(self, who: Who, given: Revocation, *, revoke: bool) -> Changed:
        async with self._live.changing:
            self._known(given)
            if self._stopped(given, revoke=revoke) == revoke:
                raise CallerFault(f"{given.what} `{given.name}` is {'already' if revoke else 'not'} revoked")
            about = {"at": self._now(), "reason": given.reason, "actor": who.actor.name}
            value = msgspec.json.encode(about) if revoke else None
            event = InventoryEvent(
                event="revoked" if revoke else "restored",
                what=given.what,
                name=given.name,
                agent=(self._speaker(given) or "") if given.what == "token" else "",
                reason=given.reason,
                actor=who.actor,
            )
            puts = [Put(kind="revoked", key=f"{given.what}/{given.name}", value=value)]
            if given.what == "agent" and not revoke:
                puts.append(Put(kind="halted", key=given.name, value=None))
            write = Write(puts=tuple(puts), drafts=(Draft(body=event),), raise_epoch=True)
            written = await self._live.change(write)
            return Changed(receipt=written.seqs[0], epoch=written.epoch)

    def _speaker(self, given: Revocation) -> str | None:
        """The agent that speaks by it: itself, or by its key or token."""
        view = self._live.view()
        match given.what:
            case "agent":
                return given.name
            case "key":
                key = view.keys.get(given.name)
                return key.agent if key else None
            case "token":
                token = view.standing.get(given.name)
                return token.agent if token else None
        return None

    def _stopped(self, given: Revocation, *, revoke: bool) -> bool:
        """Whether it is revoked; to restore an agent it is enough that its default tasks were stopped."""
        halted = given.what == "agent" and not revoke and given.name in self._live.store.rows("halted")
        return self._live.view().is_revoked(given.what, given.name) or halted

    def _known(self, given: Revocation) -> None:
        view = self._live.view()
        declared = view.declared
        if given.what == "key" and _THUMBPRINT.fullmatch(given.name):
            return  # any key may be refused for ever, an issuer's too, whether or not it was seen yet
        names = {
            "agent": declared.agents,
            "connector": declared.connectors,
            "service": declared.services,
            "key": (),
            "token": view.standing,
        }[given.what]
        if given.name not in names:
            raise CallerFault(f"there is no {given.what} `{given.name}`", _LISTED[given.what])


def _usable(jwk: dict[str, Any]) -> Key:
    try:
        return enrollable(jwk)
    except Denied as no:
        raise CallerFault(f"the key cannot be enrolled: {no.detail}", "send the public half of an ES256 key") from no
