"""The processes of one run: commands as a person types them, the gateway, and an end in which nothing is left.

Everything is a process of its own and is ended by its id, with its group.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
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
        self._gateway: asyncio.subprocess.Process | None = None

    async def remit(self, *arguments: object, code: int = 0, quiet: bool = False) -> Any:
        """Run a command and give what it answered; raises `Unexpected` when it exits otherwise than with `code`."""
        typed = [str(argument) for argument in arguments]
        if not quiet:
            self._screen.say(self._screen.paint(f"  $ remit {visible(' '.join(map(_short, typed)))}", "dim"))
        process = await asyncio.create_subprocess_exec(
            *_REMIT, "--home", str(self.home.root), "--json", *typed, stdout=asyncio.subprocess.PIPE, env=_environment()
        )
        try:
            out, _ = await asyncio.wait_for(process.communicate(), _COMMAND_S)
        except TimeoutError:
            raise Unexpected(f"`remit {typed[0]}` did not end within {_COMMAND_S} s") from None
        finally:
            # Interrupted, it must not go on writing to a directory that is about to be removed.
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if process.returncode != code:
            told = f"`remit {' '.join(typed)}` exited with {process.returncode}, not {code}"
            raise Unexpected(f"{told}: {out.decode().strip()}")
        return json.loads(out)

    async def up(self, zone: str, *more: str) -> dict[str, Any]:
        """Start the gateway with this time zone in its environment and wait until its door opens."""
        self._screen.say(self._screen.paint(f"  $ TZ={zone} remit up &", "dim"))
        with (self.root / "gateway.log").open("ab") as log:
            self._gateway = await asyncio.create_subprocess_exec(
                *_REMIT,
                *("--home", str(self.home.root), "up", *more),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**_environment(), "TZ": zone},
                start_new_session=True,
            )
        async with _within(_START_S, lambda: f"the gateway did not start: {self._log()}"):
            while not self.door.runs():
                if self._gateway.returncode is not None:
                    raise Unexpected(f"the gateway ended: {self._log()}")
                await asyncio.sleep(_LOOK_EVERY_S)
        status: dict[str, Any] = await asyncio.to_thread(self.door.get, "/v1/status")
        return status

    async def down(self) -> None:
        """Ask the gateway to end, and see that it and its tool servers did."""
        gateway, self._gateway = self._gateway, None
        if gateway is None:
            return
        if gateway.returncode is None:
            gateway.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(gateway.wait(), _STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(gateway.pid, signal.SIGKILL)
        await gateway.wait()

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


def _environment() -> dict[str, str]:
    # A home named in the person's environment is not the story's.
    return {name: value for name, value in os.environ.items() if name not in {"REMIT_HOME", "TZ"}}


def _short(argument: str) -> str:
    shown = Path(argument).name if argument.startswith("/") else argument
    return f'"{shown}"' if " " in shown else shown
