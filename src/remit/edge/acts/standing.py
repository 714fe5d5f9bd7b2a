"""Standing tokens: for clients that can hold nothing but a static header, for days, and never unnoticed.

Whoever holds one is the agent, so an operator has to ask for it and say why; it is named in the inventory with its age
until it expires or is revoked; it opens one endpoint. The store keeps a row of it and the ledger a receipt, neither
the token: it is told once, to the one who asked. Without its row it is refused, also by what was remembered of it.
"""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from remit.catalogue import View
from remit.catalogue.model import StandingToken
from remit.commit.model import Put, Write
from remit.edge.acts.live import Live
from remit.edge.acts.who import Who, may
from remit.errors import CallerFault
from remit.ledger.receipt import Draft, InventoryEvent
from remit.limits import STANDING_TOKEN_DAYS_MAX

NewId = Callable[[], str]

_DAY_MS: Final = 24 * 3600 * 1000


class StandingAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how many days, why, and for which connector's endpoint; else for that of all connectors."""

    days: int
    reason: str
    connector: str | None = None


class StandingIssued(Struct, frozen=True, kw_only=True):
    """The token, told this once, and what the inventory says of it. Its repr keeps the token to itself."""

    token: str
    jti: str
    url: str
    expires: int
    receipt: int

    def __repr__(self) -> str:
        return f"<StandingIssued {self.jti}>"


class StandingListed(Struct, frozen=True, kw_only=True):
    """A token that still opens a door: standing privilege. `issued` and `expires` are epoch ms."""

    jti: str
    agent: str
    url: str
    issued: int
    expires: int
    actor: str
    reason: str


class StandingTokens:
    """Issues standing tokens. `url` is the gateway's, as agents are told; `now` is epoch ms, `new_id` makes a `jti`."""

    def __init__(
        self, live: Live, sign: Callable[[str, StandingToken], str], *, url: str, now: Callable[[], int], new_id: NewId
    ) -> None:
        self._live = live
        self._sign = sign
        self._url = url
        self._now = now
        self._new_id = new_id

    def listed(self, who: Who) -> tuple[StandingListed, ...]:
        """Every token that stands now, the oldest first."""
        may(who, "inventory.see")
        return standing_privilege(self._live.view(), self._now())

    async def issue(self, who: Who, agent: str, *, asked: StandingAsked) -> StandingIssued:
        """Issue one and put it on record. Raises `CallerFault`, `NotPermitted`."""
        may(who, "agent.issue")
        async with self._live.changing:
            view, now = self._live.view(), self._now() // 1000 * 1000
            _issuable(view, agent, asked=asked)
            jti = self._new_id()
            row = StandingToken(
                agent=agent,
                audience=f"{self._url}/mcp/{asked.connector}" if asked.connector else f"{self._url}/mcp",
                at=now,
                expires=now + asked.days * _DAY_MS,
                actor=who.actor.name,
                reason=asked.reason,
            )
            put = Put(kind="standing", key=jti, value=msgspec.json.encode(row), expect=0)
            draft = Draft(body=_issued(jti, row, who=who))
            written = await self._live.change(Write(puts=(put, *_spent(view, now)), drafts=(draft,)))
        # Signed last: what is told stands on record already.
        token = self._sign(jti, row)
        return StandingIssued(token=token, jti=jti, url=row.audience, expires=row.expires, receipt=written.seqs[0])


def standing_privilege(view: View, now: int, *, agent: str | None = None) -> tuple[StandingListed, ...]:
    """Every standing token that opens a door now, the oldest first; of one agent if named."""
    found = [
        StandingListed(
            jti=jti,
            agent=token.agent,
            url=token.audience,
            issued=token.at,
            expires=token.expires,
            actor=token.actor,
            reason=token.reason,
        )
        for jti, token in view.standing.items()
        if now < token.expires and agent in (None, token.agent) and not view.is_revoked("token", jti)
    ]
    return tuple(sorted(found, key=lambda token: (token.issued, token.jti)))


def _issued(jti: str, row: StandingToken, *, who: Who) -> InventoryEvent:
    return InventoryEvent(
        event="issued",
        what="token",
        name=jti,
        agent=row.agent,
        audience=row.audience,
        expires=row.expires,
        reason=row.reason,
        actor=who.actor,
    )


def _issuable(view: View, agent: str, *, asked: StandingAsked) -> None:
    row = view.declared.agents.get(agent)
    if row is None:
        raise CallerFault(f"the catalogue knows no agent `{agent}`", "add it to remit.yaml, with an owner")
    if row.identity is not None:
        raise CallerFault(f"`{agent}` is known by its issuer's tokens", "its issuer makes them")
    if view.is_revoked("agent", agent):
        raise CallerFault(f"`{agent}` is revoked", "`remit agent restore` lets it act again")
    if asked.connector is not None and asked.connector not in view.declared.connectors:
        raise CallerFault(f"there is no connector `{asked.connector}`", "`remit tool list` shows what there is")
    if not 1 <= asked.days <= STANDING_TOKEN_DAYS_MAX:
        raise CallerFault(f"a standing token lives 1 to {STANDING_TOKEN_DAYS_MAX} days", "ask for fewer")
    if not asked.reason.strip():
        raise CallerFault("a standing token needs a reason", "say which client needs it, and why")


def _spent(view: View, now: int) -> list[Put]:
    """What is forgotten of tokens that have expired: the receipts keep it."""
    gone = [jti for jti, token in view.standing.items() if token.expires <= now]
    revoked = [jti for jti in gone if view.is_revoked("token", jti)]
    return [
        *(Put(kind="standing", key=jti, value=None) for jti in gone),
        *(Put(kind="revoked", key=f"token/{jti}", value=None) for jti in revoked),
    ]
