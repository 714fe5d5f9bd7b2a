"""The upstreams: which session a call goes through, how many there are, and when they end.

Rules: a session belongs to one connector, agent and task; only a connector that says it is stateless is shared. An
agent's stdio servers are counted. A session nobody used for a while is closed, so is one whose connector has since been
declared otherwise.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
from msgspec import Raw, Struct

from remit.call import Client
from remit.catalogue.model import Connector, Contract
from remit.commit.model import Warrant
from remit.edge.upstream.opening import Opener
from remit.edge.upstream.session import NOTHING, Key, Leave, Session, Terms
from remit.errors import UpstreamFault
from remit.forward.facts import Aside, Told
from remit.forward.model import Committed, Outgoing, Reply
from remit.limits import CONTRACT_CHECK_S, UPSTREAM_IDLE_S, UPSTREAM_START_S
from remit.reasons import Denied, Reason

_REAP_S: Final = 15.0
# How many endings are remembered. A call committed before one arrives within moments of it, or never.
_ENDED_MAX: Final = 4096


class Overhears(Protocol):
    """Who wants to know what happens beside calls."""

    def said(self, aside: Aside) -> None:
        """A server said something beside its answers."""
        ...

    def look(self) -> None:
        """Sessions of a task, agent or connector end."""
        ...


class _Nobody:
    def said(self, aside: Aside) -> None:
        pass

    def look(self) -> None:
        pass


def _unheard(method: str, params: Raw) -> None:
    """What a server says beside an answer about an operation is heard by nobody."""


class Known(Struct, frozen=True, kw_only=True):
    """What sessions ask the catalogue: `connector` the effective row of a name (may raise `Denied`), `pinned_server`
    the digest of its pinned `server` contract (None: none is pinned, nothing may be called), `processes` how many stdio
    servers an agent may run.
    """

    connector: Callable[[str], Connector]
    pinned_server: Callable[[str], str | None]
    processes: Callable[[str], int]


class Pace(Struct, frozen=True, kw_only=True):
    """Seconds: how long a session lives unused, a look at a server's contracts lasts, and an opening may take."""

    idle_s: float = UPSTREAM_IDLE_S
    check_s: float = CONTRACT_CHECK_S
    start_s: float = UPSTREAM_START_S


class Sessions:
    """Implements `forward.facts.Upstreams`. `on_contracts` is awaited with everything a server advertises whenever a
    session was opened, and whenever that changed, before any call goes out; what it raises refuses the call.
    `logs` is the directory for what stdio servers write to stderr.
    """

    def __init__(
        self,
        known: Known,
        on_contracts: Callable[[str, Sequence[Contract]], Awaitable[None]],
        *,
        logs: Path,
        pace: Pace | None = None,
        overhears: Overhears | None = None,
    ) -> None:
        self._known = known
        self._pace = pace or Pace()
        self._opener = Opener(self._count, logs=logs, seconds=self._pace.start_s)
        self._overhears = overhears or _Nobody()
        self._attended: Counter[tuple[str, str]] = Counter()
        self._capabilities: dict[str, Mapping[str, Any]] = {}
        self._terms = Terms(
            open=self._opener.open,
            tell=on_contracts,
            said=lambda key, method, params: self._overhears.said(Aside(key.connector, key.agent, method, params)),
            attended=self._is_attended,
            check_s=self._pace.check_s,
        )
        self._sessions: dict[Key, Session] = {}
        self._ended: dict[tuple[str, str], int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._reaper: asyncio.Task[None] | None = None
        self._looks = count(1)
        self._closed = False

    async def forward(self, warrant: Warrant, contract: Contract, *, outgoing: Outgoing, told: Told) -> Reply:
        """Send one call, return the server's answer. Raises `UpstreamFault`, `Denied`."""
        self._refuse_ended(warrant)
        row = self._known.connector(warrant.connector)
        key = self._key(warrant, outgoing.client, stateless=row.stateless)
        session, pinned = self._session(key, row), self._known.pinned_server(warrant.connector)
        leave = Leave(pinned, lambda: self._refuse_ended(warrant), agent=warrant.agent)
        reply = await session.forward(contract, outgoing, told=told, leave=leave)
        self._found_modern(session)
        return reply

    async def tend(self, committed: Committed, contract: Contract, *, outgoing: Outgoing) -> Reply:
        """See `Upstreams.tend`. No stdio server is started only to stop something: what it ran ended with it."""
        row = self._known.connector(committed.connector)
        key = Key(committed.connector, *(("", "") if row.stateless else (committed.agent, committed.task)))
        stops = outgoing.method == "tasks/cancel"
        if not stops:
            self._refuse_ended(committed)
        elif row.command and key not in self._sessions:
            raise UpstreamFault("its tool server has ended, and the operation with it", sent=False)
        session, pinned = self._session(key, row), self._known.pinned_server(committed.connector)
        leave = Leave(pinned, lambda: None if stops else self._refuse_ended(committed), stops)
        return await session.forward(contract, outgoing, told=_unheard, leave=leave)

    def abandon(self, held: str) -> None:
        """Nobody will answer what the server asked on this exchange; unknown names are ignored."""
        for session in self._sessions.values():
            session.abandon(held)

    def capabilities(self, connector: str) -> Mapping[str, Any] | None:
        """What the server last said it can do; None if nobody has asked it yet."""
        for key, session in self._sessions.items():
            if key.connector == connector and session.capabilities is not None:
                self._capabilities[connector] = session.capabilities
                break
        return self._capabilities.get(connector)

    async def attend(self, connector: str, agent: str) -> None:
        """From now on, until `leave`, hear what a server says to this agent's sessions beside its answers."""
        self._attended[connector, agent] += 1
        await asyncio.gather(*(session.attend() for session in self._of(connector, agent)))

    async def leave(self, connector: str, agent: str, *, uris: Collection[str] = ()) -> None:
        """One who attended does so no more; `uris` are resources it wants to hear of no more."""
        self._attended -= Counter({(connector, agent): 1})
        await asyncio.gather(*(session.forget(uri, agent) for session in self._of(connector, agent) for uri in uris))

    def _key(self, warrant: Warrant, client: Client, *, stateless: bool) -> Key:
        """Each request of the newer generation says for itself what its client can do, so it is no matter there."""
        whose = ("", "") if stateless else (warrant.agent, warrant.task)
        if not client.session and self._opener.is_modern(warrant.connector):
            return Key(warrant.connector, *whose)
        return Key(warrant.connector, *whose, _able(client.capabilities), client.session)

    def _found_modern(self, session: Session) -> None:
        """A session opened before anybody knew that its server is of the newer generation serves all of its task."""
        known = session.key
        if known.able == NOTHING or known.legacy or not self._opener.is_modern(known.connector):
            return
        plain = Key(*known[:3])
        if plain not in self._sessions and self._sessions.get(known) is session:
            self._sessions[plain] = self._sessions.pop(known)
            session.key = plain

    def _of(self, connector: str, agent: str) -> list[Session]:
        return [one for key, one in self._sessions.items() if key.connector == connector and key.agent in ("", agent)]

    def _is_attended(self, key: Key) -> bool:
        """A session that all share is attended when anybody is."""
        if key.agent:
            return self._attended[key.connector, key.agent] > 0
        return not key.task and any(connector == key.connector for connector, _ in self._attended)

    async def advertised(self, connector: str) -> Sequence[Contract]:
        """What the server says of itself now, in a session of its own, closed again. Raises `UpstreamFault`."""
        key = Key(connector, "", f"look {next(self._looks)}")
        session = self._session(key, self._known.connector(connector))
        try:
            found = await session.look()
            self._capabilities[connector] = session.capabilities or {}
            return found
        finally:
            await self._end([key])

    async def end(
        self, *, task: str | None = None, connector: str | None = None, agent: str | None = None, before: int = 0
    ) -> None:
        """Close every session of a task, connector or agent; calls in flight there fail as sent.

        A call committed earlier may be on its way here and would open a session again: with `before`, the seq of the
        receipt that says why, every call of theirs whose intent is older is refused from now on.
        """
        asked = {"task": task, "connector": connector, "agent": agent}
        named = {(name, value) for name, value in asked.items() if value is not None}
        for one in named:
            self._ended[one] = max(before, self._ended.pop(one, 0))
        for oldest in list(self._ended)[:-_ENDED_MAX]:
            del self._ended[oldest]
        self._overhears.look()
        await self._end([key for key in self._sessions if not named.isdisjoint(key._asdict().items())])

    async def close(self) -> None:
        """Close everything; nothing can be forwarded afterwards."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
            await asyncio.wait([self._reaper])
        await self._end(list(self._sessions))
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._opener.close()

    def _refuse_ended(self, warrant: Warrant | Committed) -> None:
        of = (("task", warrant.task), ("connector", warrant.connector), ("agent", warrant.agent))
        if any(warrant.intent < self._ended.get(one, 0) for one in of):
            raise UpstreamFault("what the call was made for has ended", sent=False)

    def _session(self, key: Key, row: Connector) -> Session:
        if self._closed:
            raise UpstreamFault("the gateway is shutting down", sent=False)
        session = self._sessions.get(key)
        if session is not None and session.row is not row and _wiring(session.row) != _wiring(row):
            self._later(self._sessions.pop(key).end())
            session = None
        if session is None:
            session = self._sessions[key] = Session(key, row, terms=self._terms)
            self._reaper = self._reaper or asyncio.ensure_future(self._reap())
        return session

    def _count(self, session: Session) -> None:
        """Take one of the agent's processes for the session; it is given back when the session drops its server."""
        agent = session.key.agent
        running = sum(one.holds_process and one.key.agent == agent for one in self._sessions.values())
        if agent and running >= self._known.processes(agent):
            raise Denied(Reason.UPSTREAM_LIMIT, f"{running} tool servers run for this agent")
        session.holds_process = True

    async def _reap(self) -> None:
        while True:
            await asyncio.sleep(min(self._pace.idle_s / 2, _REAP_S))
            oldest = asyncio.get_running_loop().time() - self._pace.idle_s
            await self._end([key for key, one in self._sessions.items() if not one.busy and one.used < oldest])

    async def _end(self, keys: Sequence[Key]) -> None:
        # Taken out first, without waiting in between: no call can enter a session that is ending. Whoever asked may be
        # cancelled; the ending goes on, or servers would be left that nobody knows of.
        ending = [self._sessions.pop(key) for key in keys if key in self._sessions]
        if ending:
            await asyncio.shield(asyncio.gather(*(self._later(session.end()) for session in ending)))

    def _later(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _able(capabilities: Mapping[str, Any]) -> str:
    return msgspec.json.encode(capabilities, order="sorted").decode() if capabilities else "{}"


def _wiring(row: Connector) -> tuple[object, ...]:
    return row.url, row.command, row.env, row.stateless
