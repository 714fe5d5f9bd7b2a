"""What a running gateway does by the clock, each on its own and none in a call's way."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from remit.errors import RemitError
from remit.reasons import Denied

_log: Final = logging.getLogger("remit")


class Routine:
    """Acts that repeat until `stop`. One that fails is said and tried again in its own time; one that breaks, in a way
    nobody foresaw, sets `broken`, and the gateway ends rather than go on without it.
    """

    def __init__(self) -> None:
        self._running: list[asyncio.Task[None]] = []
        self.broken = asyncio.Event()

    def every(self, seconds: float, act: Callable[[], Awaitable[None]]) -> None:
        """Perform `act` now and then every so many seconds, counted from its end."""
        task = asyncio.create_task(_repeat(seconds, act))
        task.add_done_callback(self._ended)
        self._running.append(task)

    async def stop(self) -> None:
        """End all of them."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (fault := task.exception()) is not None:
            _log.error("a routine of the gateway broke", exc_info=fault)
            self.broken.set()


async def _repeat(seconds: float, act: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await act()
        except (RemitError, Denied) as e:
            _log.warning("%s", e)
        await asyncio.sleep(seconds)
