"""A gateway's worth of catalogue around real sessions: what a server advertises is pinned when a test says so."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Raw

from remit.canonical import canonical
from remit.catalogue.model import Connector, Contract
from remit.commit.model import Warrant
from remit.edge.upstream.sessions import Known, Pace, Sessions
from remit.forward.model import Outgoing, Reply
from remit.reasons import Denied, Reason

STDIO_SERVER: Final = str(Path(__file__).parent / "stdio_server.py")
_METHODS: Final = {"tool": "tools/call", "prompt": "prompts/get", "resource": "resources/read"}


class Gateway:
    """Rows and pins by connector, and the sessions under test. `told` is what `on_contracts` was given, in order."""

    def __init__(self, logs: Path, *, processes: int = 16, pace: Pace | None = None) -> None:
        self.rows: dict[str, Connector] = {}
        self.pins: dict[str, Contract] = {}
        self.told: list[tuple[str, Sequence[Contract]]] = []
        self.mark = str(logs)
        self.logs = logs
        known = Known(
            connector=self._row,
            pinned_server=self._pinned_server,
            processes=lambda agent: processes,
        )
        self.sessions = Sessions(known, self._on_contracts, logs=logs, pace=pace)

    def declare(self, name: str, **row: Any) -> None:
        self.rows[name] = Connector(owner="ann", environment="dev", **row)

    def declare_stdio(self, name: str, *options: str, **row: Any) -> None:
        """The scripted server over stdio. Its command line ends in a mark by which `left_over` finds it."""
        command = (sys.executable, "-I", "-S", STDIO_SERVER, *options, self.mark)
        self.declare(name, command=command, **row)

    async def pin(self, name: str) -> tuple[Contract, ...]:
        """Accept everything the server advertises now, as an operator would."""
        found = tuple(await self.sessions.advertised(name))
        self.pins = {key: one for key, one in self.pins.items() if one.connector != name}
        self.pins.update({contract.key: contract for contract in found})
        return found

    async def call(
        self, target: str, arguments: Mapping[str, Any] | None = None, *, who: str = "ada/t1", **options: Any
    ) -> Reply:
        """One call of `connector/tool` by `agent/task`. `options`: kind, timeout_s, meta, intent, told, client,
        answers, state, held.
        """
        connector, _, name = target.partition("/")
        agent, _, task = who.partition("/")
        kind = options.get("kind", "tool")
        given = {"uri": name} if kind == "resource" else (arguments or {})
        outgoing = Outgoing(
            method=_METHODS[kind],
            name=name,
            arguments=Raw(canonical(given)),
            meta=options.get("meta", {}),
            timeout_s=options.get("timeout_s", 10),
            **{name: options[name] for name in ("client", "answers", "state", "held") if name in options},
        )
        warrant = Warrant(
            call="c",
            intent=options.get("intent", 1),
            digest="d",
            task=task,
            agent=agent,
            connector=connector,
            expires=0,
        )
        contract = self.pins[f"{connector}/{kind}/{name}"]
        return await self.sessions.forward(warrant, contract, outgoing=outgoing, told=options.get("told", _unheard))

    def left_over(self) -> list[int]:
        """The processes still running that this gateway's servers were, or started."""
        return [pid for pid in _processes() if self.mark.encode() in _read(pid, "cmdline") and pid != os.getpid()]

    async def _on_contracts(self, connector: str, contracts: Sequence[Contract]) -> None:
        self.told.append((connector, contracts))

    def _row(self, name: str) -> Connector:
        if name not in self.rows:
            raise Denied(Reason.TASK_SCOPE, f"`{name}`")
        return self.rows[name]

    def _pinned_server(self, name: str) -> str | None:
        pin = self.pins.get(f"{name}/server/server")
        return pin.digest if pin else None


def _unheard(method: str, params: Raw) -> None:
    """Nobody listens."""


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def is_running(pid: int) -> bool:
    return pid in _processes()


def _processes() -> list[int]:
    """Everything that runs; a zombie does not."""
    numbers = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in numbers if _read(pid, "stat").rpartition(b")")[2].split()[:1] not in ([], [b"Z"])]


def _read(pid: int, what: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:
        return b""
