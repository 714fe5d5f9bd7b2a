"""The main process's end of one worker's line: it carries out what the worker asks for.

It knows which calls the worker has in flight, because each was committed here: when the worker is gone, `finish`
records those as unknown.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import count
from typing import Any, Final

from msgspec import Struct

from remit import __version__
from remit.catalogue.model import Contract
from remit.commit.model import Write, Written
from remit.edge.store.sequencer import Sequencer
from remit.edge.workers.channel import Channel
from remit.edge.workers.wire import (
    AT_MAIN,
    Accepted,
    Done,
    Hello,
    Leaving,
    Observed,
    Ready,
    Settle,
    Stop,
    Submit,
    ToMain,
    Welcome,
    refused,
)
from remit.errors import RemitError
from remit.ledger.receipt import Intent, Outcome
from remit.reasons import Denied, Restart

_LOG: Final = logging.getLogger("remit")
# What may wait to be read by a worker before it counts as gone: it is that far behind what is in force.
_UNREAD_BYTES_MAX: Final = 64 * 1024 * 1024
# How long a worker may take to answer that it has taken over what is in force.
SETTLE_S: Final = 10.0


class Main(Struct, frozen=True, kw_only=True):
    """What the main process does for each of its workers, given the worker's index where it matters. `observe` is
    `Contracts.observe`, `used` is told the task of each call that ended, `closed` records calls cut off as unknown.
    """

    store: Sequencer
    welcome: Callable[[int], Welcome]
    observe: Callable[[str, Sequence[Contract]], Awaitable[None]]
    used: Callable[[str], None]
    closed: Callable[[frozenset[int]], Awaitable[None]]


class Desk:
    """`serving` is set while the worker takes connections, `silent` when nothing more can be heard of it: it is gone,
    or it said what cannot be read. `calls` counts what it committed.
    """

    def __init__(self, main: Main, index: int) -> None:
        self._main, self._index = main, index
        self._channel = Channel(AT_MAIN, self._take, lost=self._hung_up, unread=_UNREAD_BYTES_MAX)
        self._welcome = False
        self._numbers = count(1)
        self._settling: dict[int, asyncio.Future[None]] = {}
        self._working: set[asyncio.Future[Any]] = set()
        self._open: set[int] = set()
        self.serving = asyncio.Event()
        self.silent = asyncio.Event()
        self.calls = 0

    async def open(self, line: socket.socket) -> None:
        """Begin on one end of a socket pair."""
        await self._channel.open(line)

    def tell(self, frame: bytes) -> None:
        """Say something that was framed for all of them; what it does not know yet it is told with its welcome."""
        if self._welcome:
            self._channel.send_framed(frame)

    async def settle(self, **named: Any) -> None:
        """Return once the worker has taken over all it was told and ended what is named, or is gone. Raises
        `TimeoutError` if it does not answer.
        """
        if not self._welcome or self.silent.is_set():
            return
        number = next(self._numbers)
        settled = self._settling[number] = asyncio.get_running_loop().create_future()
        self._channel.send(Settle(number=number, **named))
        try:
            async with asyncio.timeout(SETTLE_S):
                await settled
        finally:
            self._settling.pop(number, None)

    def stop(self) -> None:
        """Ask it to end in order."""
        self._channel.send(Stop())

    async def finish(self) -> None:
        """It is dead. What it asked for last is written, then its calls without an outcome are closed."""
        self._welcome = False
        self._channel.close()
        for settled in self._settling.values():
            if not settled.done():
                settled.set_result(None)
        if self._working:
            await asyncio.wait(self._working)
        if self._open:
            await self._main.closed(frozenset(self._open))

    def _take(self, said: ToMain) -> None:
        if isinstance(said, Submit):
            self._submitted(said)
        elif isinstance(said, Done):
            settled = self._settling.get(said.number)
            if settled is not None and not settled.done():
                settled.set_result(None)
        elif isinstance(said, Observed):
            self._later(self._observe(said))
        elif isinstance(said, Ready):
            self.serving.set()
        elif isinstance(said, Leaving):
            self.serving.clear()
        else:
            self._greet(said)

    def _greet(self, said: Hello) -> None:
        if said.release != __version__:
            _LOG.error("a worker of Remit %s cannot work under %s; restart the gateway", said.release, __version__)
            self._channel.close()
            return
        try:
            # From here on it is told of every change; what was before is in the welcome.
            self._channel.send(self._main.welcome(self._index))
        except RemitError as e:
            _LOG.error("a worker cannot be welcomed: %s", e.message)
            self._channel.close()
        else:
            self._welcome = True

    def _submitted(self, said: Submit) -> None:
        try:
            if said.durable:
                durable = self._main.store.submit(said.write)
                self._working.add(durable)
                durable.add_done_callback(partial(self._durable, said))
            else:
                self._accept(said, self._main.store.sequence(said.write))
        except (RemitError, Denied, Restart) as no:
            self._channel.send(refused(said.number, no))

    def _durable(self, said: Submit, durable: asyncio.Future[Written]) -> None:
        self._working.discard(durable)
        fault = durable.exception()
        if isinstance(fault, RemitError):
            self._channel.send(refused(said.number, fault))
        elif fault is None:
            self._accept(said, durable.result())

    def _accept(self, said: Submit, written: Written) -> None:
        self._note(said.write, written)
        self._channel.send(Accepted(number=said.number, written=written))

    def _note(self, write: Write, written: Written) -> None:
        for draft, seq in zip(write.drafts, written.seqs, strict=True):
            if isinstance(draft.body, Intent):
                self._open.add(seq)
                self.calls += 1
            elif isinstance(draft.body, Outcome):
                self._open.discard(draft.body.intent)
                if draft.task is not None:
                    self._main.used(draft.task)

    async def _observe(self, said: Observed) -> None:
        try:
            await self._main.observe(said.connector, said.contracts)
        except (RemitError, Denied, Restart) as no:
            self._channel.send(refused(said.number, no))
        else:
            self._channel.send(Done(number=said.number))

    def _later(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    def _hung_up(self) -> None:
        self.silent.set()
