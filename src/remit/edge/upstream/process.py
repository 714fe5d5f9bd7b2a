"""A tool server as a process of this machine: started with nothing it was not given, stopped with all it started.

Rules: its environment holds the listed names only; it inherits no descriptor but its own three; it leads a session and
process group of its own, and the whole group is stopped, also what a crashed server left behind. What it writes to
stderr goes to a bounded file. A child that leaves the group by `setsid` is not followed.

If the gateway is killed without a chance to clean up, the server's stdin ends, and the keeper (`keeper.py`) stops the
group.
"""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from remit.edge.upstream.keeper import Keeper
from remit.errors import UpstreamFault

GRACE_S: Final = 2.0
_LINGER_S: Final = 1.0
# What may wait to be read by a server before new calls are refused: more than that and it does not read at all.
BACKLOG_BYTES_MAX: Final = 8 * 1024 * 1024
_LOG_BYTES_MAX: Final = 1024 * 1024


class Log:
    """The stderr of one connector's servers: a file and its predecessor, a mebibyte each, for their owner only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._file).st_size

    def write(self, data: bytes) -> None:
        if self._size + len(data) > _LOG_BYTES_MAX:
            self.close()
            self._path.replace(self._path.with_suffix(".1.log"))
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            self._size = 0
        # A full disk costs the log, not the call.
        with contextlib.suppress(OSError):
            self._size += os.write(self._file, data[:_LOG_BYTES_MAX])

    def close(self) -> None:
        os.close(self._file)


class Process(asyncio.SubprocessProtocol):
    """One started server; `group` is its process group, 0 before there is one.

    `heard` gets each chunk of its stdout; `gone` is called once, when it has exited and all it said has been heard.
    """

    def __init__(self, log: Log, heard: Callable[[bytes], None], gone: Callable[[], None]) -> None:
        self.group = 0
        self._log = log
        self._heard = heard
        self._gone = gone
        self._exited = asyncio.Event()
        self._closed = asyncio.Event()
        self._transport: asyncio.SubprocessTransport | None = None

    @property
    def running(self) -> bool:
        return self._transport is not None and not self._exited.is_set()

    @property
    def exit_code(self) -> int | None:
        return self._transport.get_returncode() if self._transport else None

    def write(self, line: bytes) -> None:
        """Queue a line for its stdin. Never waits; raises `UpstreamFault(sent=False)` if it cannot be queued."""
        pipe = self._stdin() if self.running else None
        if pipe is None or pipe.is_closing():
            raise UpstreamFault("the tool server is not running", sent=False)
        if pipe.get_write_buffer_size() > BACKLOG_BYTES_MAX:
            raise UpstreamFault("the tool server does not read what it is sent", sent=False)
        pipe.write(line)

    async def stop(self) -> None:
        """End stdin, SIGTERM the group, SIGKILL what is left of it after a grace. Never raises."""
        if self._transport is None or self._closed.is_set():
            return
        if (stdin := self._stdin()) is not None:
            stdin.close()
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await self._exited.wait()
        self._signal(signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await self._closed.wait()
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)
        self.group = self._transport.get_pid() or 0

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        take = self._heard if fd == 1 else self._log.write
        take(cast(bytes, data))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        # A server that closes its output cannot answer any more, whether it lives or not.
        if fd == 1 and not self._exited.is_set():
            self._signal(signal.SIGTERM)
            asyncio.get_running_loop().call_later(GRACE_S, self._signal, signal.SIGKILL)

    def process_exited(self) -> None:
        """What the server started keeps its pipes open and would go on: the group goes with its leader.

        What left the group may still hold them; they are closed on it.
        """
        self._signal(signal.SIGKILL)
        self._exited.set()
        if self._transport is not None:
            asyncio.get_running_loop().call_later(_LINGER_S, self._transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """All pipes are at their end: what it said before it died has been heard."""
        self._exited.set()
        self._closed.set()
        if self._transport is not None:
            self._transport.close()
        self._gone()

    def _stdin(self) -> asyncio.WriteTransport | None:
        pipe = self._transport.get_pipe_transport(0) if self._transport is not None else None
        return cast(asyncio.WriteTransport | None, pipe)

    def _signal(self, number: int) -> None:
        # The group's id is the leader's process id. Once that has been waited for, the id may be another's.
        # Group 0 would be the gateway's own.
        if self.group and not self._exited.is_set():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.group, number)


class Launcher:
    """Starts tool servers. `logs` is the directory for their stderr, one file per connector."""

    def __init__(self, logs: Path, environment: Mapping[str, str] | None = None) -> None:
        self._logs = logs
        self._environment = os.environ if environment is None else environment
        self._keeper = Keeper()
        self._open: dict[str, Log] = {}

    def resolve(self, command: Sequence[str]) -> Path:
        """The executable a command names, found on the gateway's own search path. Raises `UpstreamFault`."""
        found = shutil.which(command[0], path=self._environment.get("PATH", os.defpath))
        if found is None:
            raise UpstreamFault(
                f"there is no executable `{command[0]}`",
                "install it, or give its full path under `command`",
                sent=False,
            )
        return Path(found).absolute()

    async def start(self, process: Process, command: Sequence[str], env: Sequence[str]) -> None:
        """Start a server with the variables listed in `env`; one that is not set is left out."""
        executable = self.resolve(command)
        given = {key: self._environment[key] for key in env if key in self._environment}
        try:
            await self._keeper.start()
            await asyncio.get_running_loop().subprocess_exec(
                lambda: process, str(executable), *command[1:], env=given, start_new_session=True, close_fds=True
            )
        except OSError as e:
            raise UpstreamFault(f"`{command[0]}` cannot be started", "run it by hand to see why", sent=False) from e
        if process.running:
            self._keeper.watch(process.group)

    def forget(self, process: Process) -> None:
        """The process and its group are gone."""
        self._keeper.release(process.group)

    async def close(self) -> None:
        await self._keeper.close()
        for log in self._open.values():
            log.close()
        self._open.clear()

    def log(self, connector: str) -> Log:
        """Where a connector's servers complain."""
        if connector not in self._open:
            self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._open[connector] = Log(self._logs / f"{connector}.log")
        return self._open[connector]
