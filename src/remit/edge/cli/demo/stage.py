"""The processes of one run: commands as a person types them, the gateway, and an end in which nothing is left.

Everything is a process of its own and is ended by its id, with its group.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from remit.edge.cli.door import Door
from remit.edge.cli.home import Home
from remit.edge.cli.output import Screen, visible
from remit.errors import RemitError

_REMIT: Final = (sys.executable, "-m", "remit.edge.cli")
_START_S: Final = 20
_STOP_S: Final = 10
_COMMAND_S: Final = 30
_LOOK_EVERY_S: Final = 0.05


class Unexpected(RemitError):
    """A step did not go as the story says."""


class Stage:
    """A home under `root`, and the gateway of it. `screen` hears every command before it runs."""

    def __init__(self, root: Path, screen: Screen) -> None:
        self.root = root
        self.home = Home(root / "home")
        self.door = Door(self.home)
        self._screen = screen
        self._gateway: subprocess.Popen[bytes] | None = None

    async def remit(self, *arguments: object, code: int = 0, quiet: bool = False) -> Any:
        """Run a command and give what it answered; raises `Unexpected` when it exits otherwise than with `code`."""
        typed = [str(argument) for argument in arguments]
        if not quiet:
            self._screen.say(self._screen.paint(f"  $ remit {visible(' '.join(map(_short, typed)))}", "dim"))
        process = _started("--home", self.home.root, "--json", *typed, stdout=subprocess.PIPE)
        try:
            out, _ = await asyncio.to_thread(process.communicate, timeout=_COMMAND_S)
        except subprocess.TimeoutExpired:
            raise Unexpected(f"`remit {typed[0]}` did not end within {_COMMAND_S} s") from None
        finally:
            # Interrupted, it must not go on writing to a directory that is about to be removed.
            process.kill()
            process.wait()
        if process.returncode != code:
            told = f"`remit {' '.join(typed)}` exited with {process.returncode}, not {code}"
            raise Unexpected(f"{told}: {out.decode().strip()}")
        return json.loads(out)

    async def up(self, zone: str, *more: str) -> dict[str, Any]:
        """Start the gateway with this time zone in its environment and wait until its door opens."""
        self._screen.say(self._screen.paint(f"  $ TZ={zone} remit up &", "dim"))
        with (self.root / "gateway.log").open("ab") as log:
            gateway = self._gateway = _started("--home", self.home.root, "up", *more, zone=zone, stdout=log, stderr=log)
        async with _within(_START_S, lambda: f"the gateway did not start: {self._log()}"):
            while not self.door.runs():
                if gateway.poll() is not None:
                    raise Unexpected(f"the gateway ended: {self._log()}")
                await asyncio.sleep(_LOOK_EVERY_S)
        status: dict[str, Any] = await asyncio.to_thread(self.door.get, "/v1/status")
        return status

    async def down(self) -> None:
        """Ask the gateway to end, and see that it and its tool servers did."""
        gateway, self._gateway = self._gateway, None
        if gateway is None:
            return
        gateway.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(gateway.wait, _STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(gateway.pid, signal.SIGKILL)
        gateway.wait()

    async def contracts(self, *connectors: str) -> list[dict[str, Any]]:
        """What is known of these tool servers, once each of them has been seen."""
        async with _within(_START_S, lambda: f"not every tool server was seen: {self._log()}"):
            while True:
                found: list[dict[str, Any]] = (await asyncio.to_thread(self.door.get, "/v1/contracts"))["contracts"]
                if {one["connector"] for one in found} >= set(connectors):
                    return found
                await asyncio.sleep(_LOOK_EVERY_S)

    def _log(self) -> str:
        lines = (self.root / "gateway.log").read_text(errors="replace").splitlines()
        return " / ".join(lines[-5:])


def free_port() -> int:
    """A port nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def _within(seconds: float, otherwise: Any) -> Any:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise Unexpected(otherwise()) from None


def _started(*arguments: object, zone: str = "", **given: Any) -> subprocess.Popen[bytes]:
    """A `remit` out of reach of ctrl-C, which is the story's to hear. Starting it cannot be interrupted half way."""
    # A home named in the person's environment is not the story's.
    environment = {name: value for name, value in os.environ.items() if name not in {"REMIT_HOME", "TZ"}}
    if zone:
        environment["TZ"] = zone
    command = [*_REMIT, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True, **given)


def _short(argument: str) -> str:
    shown = Path(argument).name if argument.startswith("/") else argument
    return f'"{shown}"' if " " in shown else shown
