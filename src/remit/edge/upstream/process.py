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
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from subprocess import PIPE
from typing import Final

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
        # A full disk costs the log, not the call.
        with contextlib.suppress(OSError):
            if self._size + len(data) > _LOG_BYTES_MAX:
                self._begin_anew()
            self._size += os.write(self._file, data[:_LOG_BYTES_MAX])

    def close(self) -> None:
        os.close(self._file)
        self._file = -1

    def _begin_anew(self) -> None:
        self._path.replace(self._path.with_suffix(".1.log"))
        fresh = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.close(self._file)
        self._file, self._size = fresh, 0


class Process:
    """One started server; `group` is its process group, 0 before there is one.

    `heard` gets each chunk of its stdout; `gone` is called once, when it has exited and all it said has been heard.
    """

    def __init__(self, log: Log, *, heard: Callable[[bytes], None], gone: Callable[[], None]) -> None:
        self.group = 0
        self.exit_code: int | None = None
        self._log = log
        self._heard = heard
        self._gone = gone
        self._child: subprocess.Popen[bytes] | None = None
        self._stdin: asyncio.WriteTransport | None = None
        self._outputs: list[asyncio.BaseTransport] = []
        self._exited = asyncio.Event()
        self._closed = asyncio.Event()

    @property
    def running(self) -> bool:
        return self.group != 0 and not self._exited.is_set()

    async def start(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        """Start it; `command` begins with a full path. Raises `OSError`. Stop it, too, if this does not return."""
        self._child = child = _spawned(command, env)
        self.group = child.pid
        loop = asyncio.get_running_loop()
        threading.Thread(target=_wait, args=(child.pid, loop), kwargs={"exited": self._exit}, daemon=True).start()
        stdout, _ = await loop.connect_read_pipe(lambda: _Output(self._heard, self._silent), child.stdout)
        stderr, _ = await loop.connect_read_pipe(lambda: _Output(self._log.write), child.stderr)
        self._outputs = [stdout, stderr]
        self._stdin, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, child.stdin)

    def write(self, line: bytes) -> None:
        """Queue a line for its stdin. Never waits; raises `UpstreamFault(sent=False)` if it cannot be queued."""
        if not self.running or self._stdin is None or self._stdin.is_closing():
            raise UpstreamFault("the tool server is not running", sent=False)
        if self._stdin.get_write_buffer_size() > BACKLOG_BYTES_MAX:
            raise UpstreamFault("the tool server does not read what it is sent", sent=False)
        self._stdin.write(line)

    async def stop(self) -> None:
        """End stdin, SIGTERM the group, SIGKILL what is left of it after a grace. Never raises."""
        if self._child is None or self._closed.is_set():
            return
        if self._stdin is not None:
            self._stdin.close()
        self._signal(signal.SIGTERM)
        if not await _within(GRACE_S, self._exited):
            self._signal(signal.SIGKILL)
            await _within(GRACE_S, self._exited)
        await _within(GRACE_S, self._closed)

    def _silent(self) -> None:
        """Its stdout is at its end. A server that has closed it cannot answer any more, whether it lives or not."""
        if self._exited.is_set():
            self._close()
        else:
            self._signal(signal.SIGTERM)
            asyncio.get_running_loop().call_later(GRACE_S, self._signal, signal.SIGKILL)

    def _exit(self) -> None:
        """It has exited and is not yet waited for, so its group's id is still its own: what it started goes with it.

        What has left the group may hold stdout open; it is not listened to for long.
        """
        self._signal(signal.SIGKILL)
        self.exit_code = self._child.wait() if self._child is not None else None
        self._exited.set()
        if self._outputs and self._outputs[0].is_closing():
            self._close()
        else:
            asyncio.get_running_loop().call_later(_LINGER_S, self._close)

    def _close(self) -> None:
        if self._closed.is_set():
            return
        self._closed.set()
        for pipe in (*self._outputs, self._stdin):
            if pipe is not None:
                pipe.close()
        self._gone()

    def _signal(self, number: int) -> None:
        # Once the leader has been waited for, the group's id may be another's. Group 0 would be the gateway's own.
        if self.running:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.group, number)


class _Output(asyncio.Protocol):
    """One of a server's outputs: each chunk, and its end."""

    def __init__(self, heard: Callable[[bytes], None], ended: Callable[[], None] | None = None) -> None:
        self._heard = heard
        self._ended = ended

    def data_received(self, data: bytes) -> None:
        self._heard(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._ended is not None:
            self._ended()


def _spawned(command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Fork and exec, which takes a few milliseconds and is not interrupted.

    Not by the event loop's own means: uvloop's pass on every descriptor that is not marked close-on-exec.
    """
    return subprocess.Popen(
        command, env=env, stdin=PIPE, stdout=PIPE, stderr=PIPE, bufsize=0, close_fds=True, start_new_session=True
    )


def _wait(pid: int, loop: asyncio.AbstractEventLoop, *, exited: Callable[[], None]) -> None:
    """Tell the loop when a child has exited, without reaping it. Runs in a thread of its own."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there to be told
        loop.call_soon_threadsafe(exited)


async def _within(seconds: float, event: asyncio.Event) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await event.wait()
    return False


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

    async def start(self, process: Process, command: Sequence[str], *, env: Sequence[str]) -> None:
        """Start a server with the variables listed in `env`; one that is not set is left out."""
        executable = self.resolve(command)
        given = {key: self._environment[key] for key in env if key in self._environment}
        try:
            self._keeper.start()
            await process.start((str(executable), *command[1:]), given)
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
