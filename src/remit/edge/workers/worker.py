"""One worker process, from its start to its end.

Its calls without an outcome are recorded as unknown when it has ended, however that came about, and not before: until
then it may still be sending them.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Struct

from remit.edge.workers.desk import Desk, Main
from remit.edge.workers.passage import Passage, Passed

_LOG: Final = logging.getLogger("remit")
_LAST_WORDS_S: Final = 5.0


class Start(Struct, frozen=True, kw_only=True):
    """How a worker is started: `command`, to which the numbers are added of three descriptors it inherits: of its line,
    of the way connections are passed, and of the agents' `listening` socket. `passed` is given connections.
    """

    command: Sequence[str]
    listening: socket.socket
    passed: Callable[[Passed], None]


class Worker:
    """`pid` is 0 before it was started."""

    def __init__(self, start: Start, main: Main, *, index: int) -> None:
        self._start = start
        self._process: subprocess.Popen[bytes] | None = None
        self._passage: Passage | None = None
        self._exited = asyncio.Event()
        self.desk = Desk(main, index)
        self.pid = 0

    async def run(self) -> int:
        """Live through it; returns the exit status (negative: a signal's number) when everything is cleaned up."""
        process = self._process = await self._started()
        watched = os.pidfd_open(process.pid)
        loop = asyncio.get_running_loop()
        loop.add_reader(watched, self._exited.set)
        silent = self.desk.silent
        try:
            await _first(self._exited, silent)
            # What it said before it ended counts; and one that ends in order hangs up first.
            await _within(_LAST_WORDS_S, self._exited if silent.is_set() else silent)
        finally:
            self.kill()
            await self._exited.wait()
            loop.remove_reader(watched)
            os.close(watched)
            if self._passage is not None:
                self._passage.close()
            await self.desk.finish()
        return process.wait()

    async def settle(self, **named: Any) -> None:
        """See `Desk.settle`; a worker that does not answer, or cannot any more, is dead when this returns."""
        try:
            await self.desk.settle(**named)
        except TimeoutError:
            _LOG.error("worker %d does not answer; it is killed", self.pid)
        else:
            if not self.desk.silent.is_set():
                return
        self.kill()
        await self._exited.wait()

    def accept(self, passed: Passed) -> None:
        """Give it a connection."""
        if self._passage is None:
            passed.close()
        else:
            self._passage.send(passed)

    def kill(self) -> None:
        """End it now. Its tool servers end with it: see `upstream/keeper.py`."""
        if self._process is not None and not self._exited.is_set():
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)

    async def _started(self) -> subprocess.Popen[bytes]:
        line, theirs = socket.socketpair()
        passage, their_passage = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        given = (theirs.fileno(), their_passage.fileno(), self._start.listening.fileno())
        with theirs, their_passage:
            # In its parent's process group: ctrl-C reaches both, and the worker leaves it to its parent.
            process = subprocess.Popen(  # noqa: ASYNC220 - a few milliseconds, and uvloop's own leaks descriptors
                [*self._start.command, *map(str, given)], stdin=subprocess.DEVNULL, pass_fds=given, close_fds=True
            )
        self.pid = process.pid
        await self.desk.open(line)
        self._passage = Passage(passage, self._start.passed)
        return process


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
