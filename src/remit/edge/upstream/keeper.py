"""Stops tool servers when the gateway dies without doing it: a small process of its own that watches a pipe.

The gateway names each server's process group as it starts and stops. When the pipe ends, the gateway is gone, however
it went, and the keeper stops every group still named: SIGTERM, two seconds, SIGKILL. A signal to the gateway's own
group does not reach the keeper. Between a server's start and its being named (well under a millisecond) only the end of
its stdin tells a server that the gateway has died.
"""

import asyncio
import sys
from typing import Final

from remit.edge.upstream import keep

_PROGRAM: Final = str(keep.__file__)


class Keeper:
    """The gateway's side. Started with the first server; a keeper that died is started again with the next."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._groups: set[int] = set()
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Make sure it runs. Raises `OSError` if it cannot: no server is started without a keeper."""
        async with self._starting:
            if self._process is not None and self._process.returncode is None:
                return
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", _PROGRAM),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                env={},
                start_new_session=True,
            )
            for group in self._groups:
                self._tell(f"+{group}\n")

    def watch(self, group: int) -> None:
        self._groups.add(group)
        self._tell(f"+{group}\n")

    def release(self, group: int) -> None:
        self._groups.discard(group)
        self._tell(f"-{group}\n")

    async def close(self) -> None:
        """End the pipe; the keeper stops what is still named, and exits."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            await process.wait()

    def _tell(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None and self._process.returncode is None:
            self._process.stdin.write(line.encode())
