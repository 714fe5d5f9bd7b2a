"""What happens to operations without anybody asking: calls that end later, and nobody who follows them any more.

Forgotten when the time their server keeps them is over. Given up when what they were made under has ended for good: the
server is told to stop, as well as it goes, and the record says that nobody heard how they ended.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Final

import msgspec

from remit.commit.model import Put, Reserve, Row, Write
from remit.errors import Conflict, RemitError
from remit.forward import upkeep
from remit.forward.model import NOBODY, Committed
from remit.outcome import Came, Operation, operations_of
from remit.reasons import Denied
from remit.records import complete
from remit.task.model import State, Task
from remit.world import World

_AT_ONCE: Final = 32
_OVER: Final = frozenset({State.COMPLETED, State.REVOKED, State.EXPIRED})


class Sweep:
    """Called by the clock, in one process of a gateway."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def round(self) -> None:
        """Look at every operation; a bounded number is given up at once, the rest the next time."""
        given_up: list[Coroutine[None, None, None]] = []
        for name, row in self._world.store.rows("operation").items():
            operation = msgspec.json.decode(row.value, type=Operation)
            if self._world.now() >= operation.expires:
                await self._forget(name, row, operation=operation)
            elif operation.ended is None and len(given_up) < _AT_ONCE and (why := await self._over(operation)):
                given_up.append(self._give_up(operation, why))
        await asyncio.gather(*given_up)

    async def _over(self, operation: Operation) -> str:
        """Why nobody may follow it any more; empty while somebody may."""
        view = self._world.view()
        for what, name in (("agent", operation.agent), ("connector", operation.connector)):
            if view.is_revoked(what, name):
                return f"the {what} was revoked"
        row = await self._world.store.row("task", operation.task)
        over = row is None or msgspec.json.decode(row.value, type=Task).state in _OVER
        return "its task ended" if over else ""

    async def _give_up(self, operation: Operation, why: str) -> None:
        told = await self._stop(operation)
        lost = f"{why}; the tool server {'was told to stop it' if told else 'could not be told to stop it'}"
        await complete(operation.id, Came(lost=lost), world=self._world)

    async def _stop(self, operation: Operation) -> bool:
        tool = self._world.view().callables.get(f"{operation.connector}/tool/{operation.name}")
        if tool is None:
            return False
        committed = Committed(
            connector=operation.connector, agent=operation.agent, task=operation.task, intent=operation.intent
        )
        outgoing = upkeep("tasks/cancel", operation.name, operation=operation.theirs, client=NOBODY)
        try:
            reply = await self._world.upstreams.tend(committed, tool.contract, outgoing=outgoing)
        except (RemitError, Denied):
            return False
        return reply.error is None

    async def _forget(self, name: str, row: Row, *, operation: Operation) -> None:
        if operation.ended is None:
            await complete(name, Came(lost="nobody heard how it ended in time"), world=self._world)
            return  # and the row the next time
        gone = Put(kind="operation", key=name, value=None, expect=row.version)
        counted = Reserve(counter=operations_of(operation.agent), amount=-1)
        with suppress(Conflict):
            await self._world.store.write(Write(puts=(gone,), reserves=(counted,)))
