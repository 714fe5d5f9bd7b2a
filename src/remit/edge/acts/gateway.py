"""The gateway's own acts: closing what a crash left open, saying that it starts and stops, raising alarms, telling how
it stands.
"""

import asyncio
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from remit import __version__
from remit.commit.facts import Store
from remit.commit.model import Write, Written
from remit.commit.state import OpenIntent
from remit.edge.acts.live import Live
from remit.edge.acts.standing import StandingListed
from remit.edge.acts.who import Who, may
from remit.errors import RemitError
from remit.forward.facts import Upstreams
from remit.ledger.receipt import Alarm, Draft, GatewayEvent, Outcome
from remit.policy import ENGINE
from remit.reasons import Denied


class ConnectorStatus(Struct, frozen=True, kw_only=True):
    """One connector: `reachable`, `unreachable` or `not looked at`, why, and what of it may be called."""

    name: str
    state: str
    detail: str
    tools: int
    quarantined: int


class WorkerStatus(Struct, frozen=True, kw_only=True):
    """One worker: its process id (0 while it is being started), whether it serves agents, how many of their calls it
    committed since the gateway started, and how often it was started again.
    """

    index: int
    pid: int
    serving: bool
    calls: int
    restarts: int


class Status(Struct, frozen=True, kw_only=True):
    """How the gateway stands. `boundary` is what separates agents from it, as declared; `standing` are the tokens that
    stand for days, the oldest first; `workers` is empty where one process does everything.
    """

    version: str
    url: str
    boundary: str
    epoch: int
    policy_set: str
    catalogue: str
    connectors: tuple[ConnectorStatus, ...]
    alarms: tuple[str, ...]
    warnings: tuple[str, ...]
    standing: tuple[StandingListed, ...] = ()
    workers: tuple[WorkerStatus, ...] = ()


async def recover(
    store: Store,
    open_intents: tuple[OpenIntent, ...],
    *,
    why: str = "the gateway stopped before the outcome was recorded",
) -> int:
    """Close the record of calls that a crash cut off between intent and outcome: their outcome is unknown."""
    for seq, intent, task in open_intents:
        body = Outcome(call=intent.asked.call, intent=seq, outcome="unknown", detail=why)
        await store.write(Write(drafts=(Draft(body=body, task=task),)))
    return len(open_intents)


class Keeper:
    """Looks after one running gateway. `sequence` is the store's for who cannot wait, `url` what agents are told,
    `text` the catalogue file's; `workers` tells of worker processes, if there are any.
    """

    def __init__(
        self, live: Live, upstreams: Upstreams, *, sequence: Callable[[Write], Written], url: str, text: str
    ) -> None:
        self._live = live
        self._upstreams = upstreams
        self._sequence = sequence
        self._url = url
        self._text = text
        self._alarms: dict[str, str] = {}
        self._found: dict[str, str] = {}
        self.workers: Callable[[], tuple[WorkerStatus, ...]] = tuple

    async def started(self) -> None:
        """Put the start on record, with the catalogue in force as a blob."""
        await self._say("started")

    async def stopped(self) -> None:
        """Put an orderly stop on record."""
        await self._say("stopped")

    def alarm(self, name: str, detail: str) -> None:
        """Put something an operator has to see on record, once as long as it stays the same."""
        if self._alarms.get(name) != detail:
            self._alarms[name] = detail
            self._sequence(Write(drafts=(Draft(body=Alarm(alarm=name, detail=detail)),)))

    def calm(self, name: str) -> None:
        """The cause of an alarm is gone."""
        self._alarms.pop(name, None)

    async def look(self) -> None:
        """See what every tool server says of itself now; who watches contracts takes note of what changed."""
        await asyncio.gather(*map(self._look_at, self._live.view().declared.connectors))

    async def _look_at(self, connector: str) -> None:
        try:
            self._live.view().connector(connector)
            await self._upstreams.advertised(connector)
            self._found[connector] = ""
        except Denied as no:
            self._found[connector] = no.detail
        except RemitError as e:
            self._found[connector] = e.message

    def status(self, who: Who) -> Status:
        """How things stand now."""
        may(who, "inventory.see")
        view = self._live.view()
        return Status(
            version=__version__,
            url=self._url,
            boundary=view.declared.gateway.boundary,
            epoch=self._live.store.epoch(),
            policy_set=self._live.applied().digest,
            catalogue=view.digest,
            connectors=tuple(self._connector(name) for name in sorted(view.declared.connectors)),
            alarms=tuple(f"{name}: {detail}" for name, detail in sorted(self._alarms.items())),
            warnings=self._live.warnings(),
            workers=self.workers(),
        )

    def _connector(self, name: str) -> ConnectorStatus:
        tools = self._live.view().tools(name)
        detail = self._found.get(name)
        return ConnectorStatus(
            name=name,
            state="not looked at" if detail is None else "unreachable" if detail else "reachable",
            detail=detail or "",
            tools=len(tools),
            quarantined=sum(tool.quarantined is not None for tool in tools),
        )

    async def _say(self, event: Literal["started", "stopped"]) -> None:
        view = self._live.view()
        body = GatewayEvent(
            event=event,
            version=__version__,
            engine=ENGINE,
            boundary=view.declared.gateway.boundary,
            catalogue=view.digest,
            policy_set=self._live.applied().digest,
        )
        write = Write(drafts=(Draft(body=body),), blobs={view.digest: self._text.encode()})
        await self._live.store.write(write)
