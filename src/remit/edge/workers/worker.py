"""One worker process as the main process has it: started, listened to, and cleaned up after.

It knows which calls the worker has in flight, because each was committed here. When the process has ended, however that
came about, and not before, those are recorded as unknown.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
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
from remit.edge.workers.passage import Passage, Passed
from remit.edge.workers.wire import (
    AT_MAIN,
    Accepted,
    Done,
    Hello,
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
# How long a worker may take to answer that it has taken over what is in force, before it is killed.
SETTLE_S: Final = 10.0
_LAST_WORDS_S: Final = 5.0


class Main(Struct, frozen=True, kw_only=True):
    """What the main process does for its workers. `command` starts one: to it are added the numbers of the descriptors
    of its line, of the way connections are passed, and of the agents' listening socket. `welcome` is given the worker's
    index; `observe` is `Contracts.observe`, `used` is told the task of each call that ended, `closed` records calls cut
    off as unknown, `passed` is given connections.
    """

    store: Sequencer
    command: Sequence[str]
    listening: socket.socket
    welcome: Callable[[int], Welcome]
    observe: Callable[[str, Sequence[Contract]], Awaitable[None]]
    used: Callable[[str], None]
    closed: Callable[[frozenset[int]], Awaitable[None]]
    passed: Callable[[Passed], None]


class Worker:
    """One process from its start to its end. `pid` is 0 before it, `calls` counts what it committed."""

    def __init__(self, main: Main, index: int) -> None:
        self._main, self._index = main, index
        self._channel = Channel(AT_MAIN, self._take, lost=self._hung_up, unread=_UNREAD_BYTES_MAX)
        self._process: subprocess.Popen[bytes] | None = None
        self._passage: Passage | None = None
        self._welcome = False
        self._numbers = count(1)
        self._settling: dict[int, asyncio.Future[None]] = {}
        self._working: set[asyncio.Future[Any]] = set()
        self._open: set[int] = set()
        self._silent = asyncio.Event()
        self._exited = asyncio.Event()
        self.serving = asyncio.Event()
        self.pid = 0
        self.calls = 0

    async def run(self) -> int:
        """Live through it; returns the exit status (negative: a signal's number) when everything is cleaned up."""
        process = self._process = await self._started()
        watched = os.pidfd_open(process.pid)
        loop = asyncio.get_running_loop()
        loop.add_reader(watched, self._exited.set)
        try:
            await _first(self._exited, self._silent)
            if not self._silent.is_set():
                # It may have said something before it ended; what it said counts.
                await _within(_LAST_WORDS_S, self._silent)
            elif not self._exited.is_set():
                await _within(_LAST_WORDS_S, self._exited)
        finally:
            self.kill()
            await self._exited.wait()
            loop.remove_reader(watched)
            os.close(watched)
            await self._clean_up()
        return process.wait()

    def tell(self, frame: bytes) -> None:
        """Say something that was framed for all of them; what it does not know yet it is told with its welcome."""
        if self._welcome:
            self._channel.send_framed(frame)

    async def settle(self, **named: Any) -> None:
        """Return once the worker has taken over all it was told and ended what is named; or once it is dead."""
        if not self._welcome or self._exited.is_set():
            return
        number = next(self._numbers)
        settled = self._settling[number] = asyncio.get_running_loop().create_future()
        self._channel.send(Settle(number=number, **named))
        try:
            async with asyncio.timeout(SETTLE_S):
                await settled
        except TimeoutError:
            _LOG.error("worker %d does not answer; it is stopped", self.pid)
            self.kill()
            await self._exited.wait()
        finally:
            self._settling.pop(number, None)

    def accept(self, passed: Passed) -> None:
        """Give it a connection."""
        if self._passage is None:
            passed.close()
        else:
            self._passage.send(passed)

    def stop(self) -> None:
        """Ask it to end in order."""
        self._channel.send(Stop())

    def kill(self) -> None:
        """End it now. Its tool servers end with it: see `upstream/keeper.py`."""
        if self._process is not None and not self._exited.is_set():
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)

    async def _started(self) -> subprocess.Popen[bytes]:
        line, theirs = socket.socketpair()
        passage, their_passage = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        given = (theirs.fileno(), their_passage.fileno(), self._main.listening.fileno())
        with theirs, their_passage:
            # In its parent's process group: ctrl-C reaches both, and the worker leaves it to its parent.
            process = subprocess.Popen(  # noqa: ASYNC220 - a few milliseconds, and uvloop's own leaks descriptors
                [*self._main.command, *map(str, given)], stdin=subprocess.DEVNULL, pass_fds=given, close_fds=True
            )
        self.pid = process.pid
        await self._channel.open(line)
        self._passage = Passage(passage, self._main.passed)
        return process

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
        else:
            self._greet(said)

    def _greet(self, said: Hello) -> None:
        if said.release != __version__:
            _LOG.error("a worker of Remit %s cannot work under %s; restart the gateway", said.release, __version__)
            self.kill()
            return
        try:
            # From here on it is told of every change; what was before is in the welcome.
            self._channel.send(self._main.welcome(self._index))
        except RemitError as e:
            _LOG.error("a worker cannot be welcomed: %s", e.message)
            self.kill()
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
        """The line ended; a worker that is alive all the same, say because what it said cannot be read, is killed."""
        self._silent.set()

    async def _clean_up(self) -> None:
        """It is dead. What it asked for last is written, then its calls without an outcome are closed."""
        self._welcome = False
        self._channel.close()
        if self._passage is not None:
            self._passage.close()
        for settled in self._settling.values():
            if not settled.done():
                settled.set_result(None)
        if self._working:
            await asyncio.wait(self._working)
        if self._open:
            await self._main.closed(frozenset(self._open))


async def _first(*events: asyncio.Event) -> None:
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()


async def _within(seconds: float, event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
