"""The store as a worker has it: reads from a replica of the state, writes by asking the main process.

What changes arrives in the order of the one sequencer, and the answer to a write behind what it changed: after a
`Restart` or a `Conflict` the replica holds what it was about. A replica may be behind by what is on its way, never
ahead and never out of order; a decision made on one that is behind does not commit, because the sequencer checks the
epoch, the counters and the rows it was made from.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, Final

from remit.catalogue.contracts import compare
from remit.catalogue.model import Contract
from remit.commit.model import Row, Write, Written
from remit.commit.state import Moved, Saved, State
from remit.edge.workers.channel import Channel
from remit.edge.workers.wire import Accepted, Done, Message, Observed, Refused, Submit, raised
from remit.errors import StoreFault

# How many answers a worker waits for at most; more wait for these.
_ASKED_MAX: Final = 1024


class Replica:
    """Implements `commit.facts.Sequenced`. `changed` is called with what moved, before anything else is learned."""

    def __init__(self, moved: Moved, channel: Channel) -> None:
        self._state = State(Saved())
        self._state.take(moved)
        self._channel = channel
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._room = asyncio.Semaphore(_ASKED_MAX)
        self._lost = False
        self.changed: Callable[[Moved], None] = lambda moved: None

    def epoch(self) -> int:
        return self._sound().epoch

    def counters(self, prefix: str) -> Mapping[str, int]:
        return self._sound().counters(prefix)

    def counter(self, name: str) -> int:
        return self._sound().counter(name)

    async def row(self, kind: str, key: str) -> Row | None:
        return self._sound().row(kind, key)

    def rows(self, kind: str) -> Mapping[str, Row]:
        return self._sound().rows(kind)

    async def write(self, write: Write) -> Written:
        written: Written = await self._ask(lambda number: Submit(number=number, durable=True, write=write))
        return written

    async def enqueue(self, write: Write) -> Written:
        written: Written = await self._ask(lambda number: Submit(number=number, durable=False, write=write))
        return written

    async def observe(self, connector: str, advertised: Sequence[Contract]) -> None:
        """See `acts.contracts.Contracts.observe`: it happens in the main process, and only if something is new."""
        pins, seen = ({key: row.value for key, row in self.rows(kind).items()} for kind in ("pin", "seen"))
        if compare(connector, advertised, pins=pins, seen=seen).seen:
            contracts = tuple(advertised)
            await self._ask(lambda number: Observed(number=number, connector=connector, contracts=contracts))

    def take(self, moved: Moved) -> None:
        """Something moved. Raises what `changed` raises: the worker must not go on without having taken it over."""
        self._state.take(moved)
        self.changed(moved)

    def answered(self, answer: Accepted | Refused | Done) -> None:
        """One of ours was answered; whoever asked may have stopped waiting."""
        asked = self._asked.pop(answer.number, None)
        if asked is None or asked.done():
            return
        if isinstance(answer, Refused):
            asked.set_exception(raised(answer))
        else:
            asked.set_result(answer.written if isinstance(answer, Accepted) else None)

    def lost(self) -> None:
        """The main process is gone: nobody can know what became of what was asked."""
        self._lost = True
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(_gone())
        self._asked.clear()

    async def _ask(self, asking: Callable[[int], Message]) -> Any:
        async with self._room:
            await self._channel.writable()
            self._sound()
            number = next(self._numbers)
            asked = self._asked[number] = asyncio.get_running_loop().create_future()
            self._channel.send(asking(number))
            return await asked

    def _sound(self) -> State:
        if self._lost:
            raise _gone()
        return self._state


def _gone() -> StoreFault:
    return StoreFault("the gateway's main process is gone", "restart the gateway")
