"""A worker's end of the line: what the main process says, and what is done about it."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

from remit import __version__
from remit.edge.workers.channel import Channel
from remit.edge.workers.replica import Replica
from remit.edge.workers.wire import (
    AT_WORKER,
    Accepted,
    Changed,
    Done,
    Hello,
    Leaving,
    Ready,
    Refused,
    Settle,
    Stop,
    ToWorker,
    Welcome,
)
from remit.errors import RemitError, StoreFault

_LOG: Final = logging.getLogger("remit")


class Line:
    """`stopping` is set when the main process asks the worker to end, `lost` when it is gone. `end` is what ends
    sessions with tool servers, `Upstreams.end`; it has to be there before the first agent is served.
    """

    def __init__(self) -> None:
        self._channel = Channel(AT_WORKER, self._take, lost=self._ended)
        self._welcome: asyncio.Future[tuple[Welcome, Replica]] = asyncio.get_running_loop().create_future()
        self._replica: Replica | None = None
        self.end: Callable[..., Awaitable[None]] | None = None
        self._settling: set[asyncio.Task[None]] = set()
        self.stopping = asyncio.Event()
        self.lost = asyncio.Event()

    async def join(self, sock: socket.socket) -> tuple[Welcome, Replica]:
        """Say hello on one end of a socket pair. Raises `StoreFault` if the main process does not welcome us."""
        await self._channel.open(sock)
        self._channel.send(Hello(release=__version__))
        return await self._welcome

    def ready(self) -> None:
        """Say that agents are served."""
        self._channel.send(Ready())

    def leaving(self) -> None:
        """Say that no more of them are."""
        self._channel.send(Leaving())

    def close(self) -> None:
        """Nothing more is said."""
        self._channel.close()

    def _take(self, said: ToWorker) -> None:
        if isinstance(said, Welcome):
            self._replica = Replica(said.moved, self._channel)
            self._welcome.set_result((said, self._replica))
        elif isinstance(said, Stop):
            self.stopping.set()
        elif self._replica is None:
            self._fail("something was said before we were welcome")
        elif isinstance(said, Changed):
            self._change(self._replica, said)
        elif isinstance(said, Accepted | Refused | Done):
            self._replica.answered(said)
        else:
            settling = asyncio.ensure_future(self._settle(said))
            self._settling.add(settling)
            settling.add_done_callback(self._settling.discard)

    def _change(self, replica: Replica, said: Changed) -> None:
        try:
            replica.take(said.moved)
        except RemitError as e:
            # With what is in force unknown nothing may be decided; a new worker reads it anew.
            self._fail(f"a change could not be taken over: {e.message}")

    async def _settle(self, said: Settle) -> None:
        """What was said before has been taken over by now: it was done as it arrived."""
        named: dict[str, Any] = {"task": said.task, "connector": said.connector, "agent": said.agent}
        if self.end is not None and any(named.values()):
            await self.end(**named, before=said.before)
        self._channel.send(Done(number=said.number))

    def _fail(self, why: str) -> None:
        _LOG.error("%s; this worker ends", why)
        self._channel.close()
        self._ended()

    def _ended(self) -> None:
        if not self._welcome.done():
            self._welcome.set_exception(StoreFault("the gateway's main process did not welcome this worker"))
        if self._replica is not None:
            self._replica.lost()
        self.lost.set()
