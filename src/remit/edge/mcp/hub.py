"""Who listens for what is about no call, and what each of them hears.

A list changed: when what is pinned and in force changed, or when the server says so; either way the client is only
told to look again, and sees the pinned copies. A resource changed: whoever subscribed to it by a governed call hears
its URI. A log message outside of any call: like one inside, as severe as the client asked for, and labelled. Nothing is
kept for who is not there.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec
from msgspec import Raw

from remit.call import Client
from remit.catalogue import View
from remit.edge.mcp.wire import Meta
from remit.forward.facts import Aside
from remit.forward.model import NOBODY
from remit.result import passing

_CHANGED: Final = "/list_changed"
_UPDATED: Final = "notifications/resources/updated"
_LABELS: Final = {Meta.LABELS: ("untrusted",)}
# A server that says so more often is believed the first time.
_AGAIN_S: Final = 1.0
_KINDS: Final = {"tool": "tools", "prompt": "prompts", "resource": "resources", "template": "resources"}

Say = Callable[[str, Mapping[str, Any]], None]


class Attended(Protocol):
    """The sessions with tool servers, as far as they can be listened to."""

    async def attend(self, connector: str, agent: str) -> None:
        """Hear what a server says to this agent's sessions beside its answers."""
        ...

    async def leave(self, connector: str, agent: str, *, uris: Iterable[str] = ()) -> None:
        """No more; nobody wants to hear of `uris`."""
        ...


class Listener:
    """One stream to a client of `agent` at the endpoint of `connector` (None: the aggregate). `kinds` are the lists it
    hears of, `uris` the resources, which may change while it listens; `say` is never waited for. While nothing there is
    within its reach, it hears nothing.
    """

    def __init__(self, agent: str, connector: str | None, *, kinds: Iterable[str], uris: set[str], say: Say) -> None:
        self.agent, self.connector = agent, connector
        self.kinds, self.uris, self.say = frozenset(kinds), uris, say
        self.speaks: Client = NOBODY
        self.reaches = False
        self.moved = asyncio.Event()
        self._told: dict[str, float] = {}

    def sees(self, reaches: bool) -> None:
        """Whether anything is within reach was asked again; what is seen for the first time are changed lists."""
        first, self.reaches = reaches and not self.reaches, reaches
        for kind in sorted(self.kinds) if first else ():
            self.changed(kind, surely=True)

    def changed(self, kind: str, *, surely: bool) -> None:
        """A list changed, as we know or a server says."""
        now = asyncio.get_running_loop().time()
        if self.reaches and kind in self.kinds and (surely or now - self._told.get(kind, -_AGAIN_S) >= _AGAIN_S):
            self._told[kind] = now
            self.say(f"notifications/{kind}{_CHANGED}", {})


class Hub:
    """All listeners of one process. `said` and `refreshed` are called by whoever knows."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._lists: dict[tuple[str, str], int] = {}

    async def join(self, listener: Listener, attended: Attended) -> None:
        """From now on it hears."""
        self._listeners.add(listener)
        if listener.connector is not None:
            await attended.attend(listener.connector, listener.agent)

    async def leave(self, listener: Listener, attended: Attended) -> None:
        """It hears no more; what only it wanted to hear of is no longer asked for."""
        self._listeners.discard(listener)
        if listener.connector is not None:
            others = (one for one in self._listeners if one.connector == listener.connector)
            wanted = {uri for one in others if one.agent == listener.agent for uri in one.uris}
            await attended.leave(listener.connector, listener.agent, uris=listener.uris - wanted)

    def said(self, aside: Aside) -> None:
        """A server said something beside its answers, to one agent's session or (empty) to everybody's: there nobody
        can tell about whose call a log message is, so it is nobody's to hear.
        """
        connector, agent, method, params = aside
        there = [one for one in self._listeners if one.connector == connector and one.reaches]
        for one in [one for one in there if agent in ("", one.agent)]:
            if method.endswith(_CHANGED):
                one.changed(method.split("/")[1], surely=False)
            elif method == _UPDATED:
                _updated(one, params)
            elif agent and (heard := passing(method, params, client=one.speaks)) is not None:
                one.say(method, heard)

    def look(self) -> None:
        """A task, an agent or a connector ended: whoever listens looks whether it still may."""
        for one in list(self._listeners):
            one.moved.set()

    def refreshed(self, view: View) -> None:
        """What is in force changed: whoever listens looks whether it still may, and hears which lists moved."""
        before, self._lists = self._lists, _lists(view)
        moved = {key for key in before.keys() | self._lists.keys() if before.get(key) != self._lists.get(key)}
        for one in list(self._listeners):
            one.moved.set()
            for kind in sorted({kind for connector, kind in moved if one.connector in (connector, None)}):
                one.changed(kind, surely=True)


class _Updated(msgspec.Struct):
    uri: str


_UPDATES: Final = msgspec.json.Decoder(_Updated)


def _updated(listener: Listener, params: Raw) -> None:
    try:
        uri = _UPDATES.decode(params).uri
    except (msgspec.DecodeError, RecursionError):
        return
    if uri in listener.uris:
        listener.say(_UPDATED, {"uri": uri, "_meta": _LABELS})


def _lists(view: View) -> dict[tuple[str, str], int]:
    """What each list holds, as one number."""
    found: dict[tuple[str, str], int] = {}
    for tool in view.callables.values():
        kind = _KINDS.get(tool.contract.kind)
        if kind is not None and tool.quarantined is None:
            key = (tool.contract.connector, kind)
            found[key] = found.get(key, 0) ^ hash((tool.contract.kind, tool.contract.name, tool.contract.digest))
    return found
