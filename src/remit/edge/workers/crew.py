"""All workers of a gateway: started, kept running, told what changes, brought to an agreement, stopped.

A worker that ends on its own is started again, sooner the first time than the tenth. What is acknowledged to a person
has been taken over by every worker that lives: `Shared` is the store, and `Everywhere` the upstreams, as the acts of
the main process have them.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from remit.commit.model import Write, Written
from remit.commit.state import Delta, Moved
from remit.edge.acts.gateway import WorkerStatus
from remit.edge.store.sequencer import Sequencer
from remit.edge.workers.desk import Main
from remit.edge.workers.passage import Passed
from remit.edge.workers.wire import Changed, framed
from remit.edge.workers.worker import Start, Worker
from remit.errors import RemitError, StoreFault
from remit.forward.facts import Upstreams

_LOG: Final = logging.getLogger("remit")
_AGAIN_S: Final = 0.1
_AGAIN_MOST_S: Final = 10.0
# A worker that lived this long did not end of what it started with.
_SETTLED_IN_S: Final = 60.0
# How long it may take to start, and to stop: the doors' grace for calls that run, and some.
_START_S: Final = 60.0
_STOP_S: Final = 20.0
# Connections that wait for a worker that is being started again.
_WAITING_MAX: Final = 256


class _Post:
    """One place in the crew, whoever fills it at the moment."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.worker: Worker | None = None
        self.up = False
        self.starts = 0
        self.calls = 0
        self.waiting: list[Passed] = []

    def give(self, passed: Passed) -> None:
        """A connection for the worker, or for the next one."""
        if self.worker is not None and self.worker.desk.serving.is_set():
            self.worker.accept(passed)
        elif len(self.waiting) < _WAITING_MAX:
            self.waiting.append(passed)
        else:
            passed.close()

    def serve(self) -> None:
        """The worker is there: hand over what waited."""
        waiting, self.waiting = self.waiting, []
        for passed in waiting:
            self.give(passed)

    def vacate(self) -> None:
        """The worker has ended."""
        if self.worker is not None:
            self.calls += self.worker.desk.calls
            self.worker = None


class Crew:
    """`size` workers over one store."""

    def __init__(self, store: Sequencer, size: int) -> None:
        self.size = size
        self._epoch = store.epoch()
        self._posts = [_Post(index) for index in range(size)]
        self._running: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._decided = asyncio.Event()
        store.follow(self._tell)

    async def start(self, start: Start, main: Main) -> None:
        """Return once all serve agents. Raises `StoreFault` if one does not come up."""
        self._running = [
            asyncio.create_task(self._keep(post, partial(Worker, start, main, index=post.index)))
            for post in self._posts
        ]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_S):
                await self._decided.wait()
        if not all(post.up for post in self._posts):
            raise StoreFault("a worker did not start", "the log says why")

    async def stop(self) -> None:
        """Let what runs end, within a bound, and return when no worker is left."""
        self._stopping.set()
        for post in self._posts:
            if post.worker is not None:
                post.worker.desk.stop()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=_STOP_S)
            for post in self._posts if late else ():
                if post.worker is not None:
                    post.worker.kill()
            await asyncio.wait(self._running)
        for post in self._posts:
            while post.waiting:
                post.waiting.pop().close()

    async def settle(self, **named: Any) -> None:
        """Return once every worker has taken over what is in force and ended what is named (see `Upstreams.end`)."""
        await asyncio.gather(*(post.worker.settle(**named) for post in self._posts if post.worker is not None))

    def passed(self, passed: Passed) -> None:
        """A connection arrived at a worker it is not for."""
        if passed.to < len(self._posts) and not self._stopping.is_set():
            self._posts[passed.to].give(passed)
        else:
            passed.close()

    def status(self) -> tuple[WorkerStatus, ...]:
        """How each stands: its process, what it committed, how often it was started again."""
        return tuple(
            WorkerStatus(
                index=post.index,
                pid=post.worker.pid if post.worker is not None else 0,
                serving=post.worker is not None and post.worker.desk.serving.is_set(),
                calls=post.calls + (post.worker.desk.calls if post.worker is not None else 0),
                restarts=max(0, post.starts - 1),
            )
            for post in self._posts
        )

    def _tell(self, delta: Delta) -> None:
        if not (delta.rows or delta.counters or delta.epoch != self._epoch):
            return
        self._epoch = delta.epoch
        frame = framed(Changed(moved=Moved(rows=delta.rows, counters=delta.counters, epoch=delta.epoch)))
        for post in self._posts:
            if post.worker is not None:
                post.worker.desk.tell(frame)

    async def _keep(self, post: _Post, make: Callable[[], Worker]) -> None:
        """Keep a place filled until the crew stops."""
        loop, wait = asyncio.get_running_loop(), _AGAIN_S
        while not self._stopping.is_set():
            began = loop.time()
            try:
                await self._live(post, make())
            except (OSError, RemitError) as e:
                _LOG.error("worker %d: %s", post.index, e)
            if loop.time() - began > _SETTLED_IN_S:
                wait = _AGAIN_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._stopping.wait()
            wait = min(wait * 2, _AGAIN_MOST_S)

    async def _live(self, post: _Post, worker: Worker) -> None:
        post.worker = worker
        post.starts += 1
        serving = asyncio.create_task(self._serve(post, worker))
        try:
            ended = await worker.run()
        finally:
            serving.cancel()
            post.vacate()
        if not post.up:
            self._decided.set()
        if not self._stopping.is_set():
            _LOG.error("worker %d (pid %d) ended with status %d; it is started again", post.index, worker.pid, ended)

    async def _serve(self, post: _Post, worker: Worker) -> None:
        await worker.desk.serving.wait()
        post.up = True
        post.serve()
        if all(one.up for one in self._posts):
            self._decided.set()


class Shared:
    """The store for acts of the main process: what they wrote holds in every worker when it returns."""

    def __init__(self, store: Sequencer, crew: Crew) -> None:
        self._store, self._crew = store, crew
        self.epoch, self.counters, self.counter = store.epoch, store.counters, store.counter
        self.row, self.rows, self.enqueue = store.row, store.rows, store.enqueue

    async def write(self, write: Write) -> Written:
        """Durable, and taken over by every worker, when it returns."""
        written = await self._store.write(write)
        await self._crew.settle()
        return written


class Everywhere:
    """The upstreams for acts of the main process: its own, and those of every worker."""

    def __init__(self, own: Upstreams, crew: Crew) -> None:
        self._own, self._crew = own, crew
        self.forward, self.advertised, self.close = own.forward, own.advertised, own.close
        self.tend = own.tend
        self.capabilities, self.attend, self.leave = own.capabilities, own.attend, own.leave
        self.abandon = own.abandon

    async def end(self, **named: Any) -> None:
        """See `Upstreams.end`: in every worker, and here, when it returns."""
        await asyncio.gather(self._own.end(**named), self._crew.settle(**named))
