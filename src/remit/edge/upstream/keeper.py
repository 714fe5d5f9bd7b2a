"""Stops tool servers when the gateway dies without doing it: a small process of its own that watches a pipe.

The gateway names each server's process group as it starts and stops. When the pipe ends, the gateway is gone, however
it went, and the keeper stops every group still named: SIGTERM, two seconds, SIGKILL. A signal to the gateway's own
group does not reach the keeper. Between a server's start and its being named (well under a millisecond) only the end of
its stdin tells a server that the gateway has died.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
from typing import Final

from remit.edge.upstream import keep

_PROGRAM: Final = str(keep.__file__)


class Keeper:
    """The gateway's side. Started with the first server; a keeper that died is started again with the next."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: set[int] = set()

    def start(self) -> None:
        """Make sure it runs. Raises `OSError` if it cannot: no server is started without a keeper."""
        if self._process is not None:
            if self._process.poll() is None:
                return
            self._end()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={},
            bufsize=0,
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
        if self._process is not None:
            await asyncio.to_thread(self._end)
            self._process = None

    def _end(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()

    def _tell(self, line: str) -> None:
        # A few bytes into a pipe that is read at once; a keeper that died in between is started with the next server.
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._process.stdin.fileno(), line.encode())
