"""What a conversation listens for beside its calls: that lists changed, and that a resource it subscribed to did.

The older generation says such things on its session, or on a stream opened for it; the newer one on the answer to a
request that stays open (MCP 2026-07-28, subscriptions). Only what a governed call asked for is subscribed to; that a
list changed is listened for on our own behalf, and carries nothing of an agent's.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from remit.edge.upstream.message import Answer, Request
from remit.edge.upstream.params import MODERN, own_params
from remit.edge.upstream.wire import Heard, Held, Wire, timed_out
from remit.limits import SUBSCRIPTIONS_MAX
from remit.reasons import Denied, Reason

_ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"
_ACKNOWLEDGED_S: Final = 20.0
_LISTS: Final = "lists"
_CHANGES: Final = {"tools": "toolsListChanged", "prompts": "promptsListChanged", "resources": "resourcesListChanged"}


class Listening:
    """Of one wire to a server of that revision and those capabilities. `heard` is told what comes of it."""

    def __init__(self, wire: Wire, *, revision: str, capabilities: Mapping[str, Any]) -> None:
        self._wire = wire
        self._modern = revision == MODERN
        self._capabilities = capabilities
        self._open: dict[str, asyncio.Task[Answer | Held]] = {}
        self._wanted: dict[str, set[str]] = {}

    def __bool__(self) -> bool:
        return bool(self._open or self._wanted)

    def may_want(self, uri: str) -> None:
        """Raise `Denied` where one more resource is too many."""
        if uri not in self._wanted and len(self._wanted) >= SUBSCRIPTIONS_MAX:
            raise Denied(Reason.UPSTREAM_LIMIT, f"at most {SUBSCRIPTIONS_MAX} resources are listened for")

    def wants(self, uri: str, agent: str) -> None:
        """An agent hears of a resource from now on."""
        self._wanted.setdefault(uri, set()).add(agent)

    def is_last(self, uri: str, agent: str) -> bool:
        """An agent wants to hear of a resource no more; whether nobody does now who did before."""
        agents = self._wanted.get(uri)
        if agents is None or agent not in agents:
            return False
        agents.discard(agent)
        if not agents:
            del self._wanted[uri]
        return not agents

    async def attend(self, heard: Heard) -> None:
        """Listen for changed lists. Raises `UpstreamFault`."""
        if not self._modern:
            self._wire.attend()
            return
        wanted = {_CHANGES[name]: True for name, offered in self._capabilities.items() if _announces(name, offered)}
        if wanted and _LISTS not in self._open:
            await self._listen(_LISTS, wanted, heard)

    async def subscribe(self, uri: str, heard: Heard) -> Answer | None:
        """Listen for changes of a resource of a modern server; its answer if it would not. Raises `UpstreamFault`."""
        return None if uri in self._open else await self._listen(uri, {"resourceSubscriptions": [uri]}, heard)

    def unsubscribe(self, uri: str) -> None:
        """Stop listening for a resource of a modern server."""
        if (task := self._open.pop(uri, None)) is not None:
            task.cancel()

    async def close(self) -> None:
        """Stop listening for anything."""
        ending, self._open = list(self._open.values()), {}
        self._wanted.clear()
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending)

    async def _listen(self, name: str, wanted: Mapping[str, Any], heard: Heard) -> Answer | None:
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def told(method: str, params: Any) -> None:
            if method != _ACKNOWLEDGED:
                heard(method, params)
            elif not acknowledged.done():
                acknowledged.set_result(None)

        request = Request(
            method="subscriptions/listen",
            params=own_params({"notifications": wanted}, MODERN),
            timeout_s=_ACKNOWLEDGED_S,
            told=told,
            listens=True,
        )
        task = self._open[name] = asyncio.ensure_future(self._wire.exchange(request))
        task.add_done_callback(lambda done: self._ended(name, done))
        first: set[asyncio.Future[Any]] = {task, acknowledged}
        await asyncio.wait(first, timeout=_ACKNOWLEDGED_S, return_when=asyncio.FIRST_COMPLETED)
        if acknowledged.done():
            return None
        if task.done():
            answer = await task
            return answer if isinstance(answer, Answer) else None
        task.cancel()
        raise timed_out(_ACKNOWLEDGED_S)

    def _ended(self, name: str, task: asyncio.Task[Answer | Held]) -> None:
        if self._open.get(name) is task:
            del self._open[name]
            self._wanted.pop(name, None)
        if not task.cancelled():
            task.exception()  # marks it as seen


def _announces(name: str, offered: Any) -> bool:
    return name in _CHANGES and isinstance(offered, Mapping) and offered.get("listChanged") is True
