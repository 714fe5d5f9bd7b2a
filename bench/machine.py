"""The machine and the processes of a run: who runs where, what it cost, and an end in which nothing is left.

The gateway (or the bare pass-through) has the first CPU to itself; load and tool server share the last one. With one
CPU there is nothing to share out, and the results say so.
"""

import os
import platform
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent
_START_S: Final = 180.0  # ten thousand policies are compiled first
_STOP_S: Final = 20.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PACKAGES: Final = ("uvicorn", "httptools", "uvloop", "msgspec", "cedarpy", "jsonschema-rs", "cryptography")


class Cpus(NamedTuple):
    """Which CPU the measured process gets, and which one everything else."""

    measured: int
    rest: int

    @property
    def apart(self) -> bool:
        return self.measured != self.rest


@cache
def cpus() -> Cpus:
    """The first and the last CPU this process could use when it was first asked."""
    found = sorted(os.sched_getaffinity(0))
    return Cpus(found[0], found[-1])


class Process(NamedTuple):
    """A process of the run."""

    popen: subprocess.Popen[bytes]
    log: Path

    def cpu_s(self) -> float:
        """Seconds of CPU it used so far, all threads, user and system."""
        fields = Path(f"/proc/{self.popen.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory_mb(self) -> float:
        """Resident memory, megabytes."""
        for line in Path(f"/proc/{self.popen.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def said(self) -> str:
        """The end of what it wrote."""
        return self.log.read_text(errors="replace")[-2000:]


class Program(NamedTuple):
    """What to run other than this Python: an executable, and variables its environment has besides the usual."""

    executable: str = sys.executable
    variables: Mapping[str, str] = {}


_PYTHON: Final = Program()


@contextmanager
def started(
    arguments: Sequence[object], *, cpu: int, log: Path, ports: Sequence[int], program: Program = _PYTHON
) -> Iterator[Process]:
    """A process on one CPU, Python unless told otherwise, from when it listens on all ports until the end; ended by its
    id.
    """
    with log.open("ab") as out:
        popen = subprocess.Popen(
            [program.executable, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=ROOT,
            env={**os.environ, **program.variables},
        )
    process = Process(popen, log)
    try:
        os.sched_setaffinity(popen.pid, {cpu})
        for port in ports:
            _await(process, port)
        yield process
    except BaseException:
        print(f"{log.name}: {process.said()}", file=sys.stderr)
        raise
    finally:
        popen.terminate()
        try:
            popen.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()


def allow_files() -> None:
    """Let this process and those it starts hold as many connections as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def free_port() -> int:
    """A port nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def described() -> dict[str, str]:
    """The machine and the versions, for the results."""
    at = cpus()
    return {
        "CPU": f"{_cpu_name()}, {os.cpu_count()} of them",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Remit": version("remit"),
        "packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "placement": f"gateway and pass-through on CPU {at.measured}; load and tool server on CPU {at.rest}"
        if at.apart
        else "one CPU for everything, so figures say little",
    }


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _await(process: Process, port: int) -> None:
    due = time.monotonic() + _START_S
    while time.monotonic() < due:
        if process.popen.poll() is not None:
            raise RuntimeError(f"a process of the run ended: {process.said()}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"a process of the run does not listen on {port}: {process.said()}")
