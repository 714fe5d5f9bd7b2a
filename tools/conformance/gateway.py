"""A gateway made as an operator makes one, with the `remit` command alone: nothing is switched off for the suite.

Its home has the starter policy, one agent with a key of its own, contracts pinned by a person, the closed world and
durable receipts; all limits are the defaults. Every tool its servers have gets a row of tier `write`, prompts and
resources rows of tier `read`, so that no call waits for a person.
"""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from string import Template
from typing import Any, Final

from remit.edge.cli import profile
from remit.edge.cli.home import Home

from .shim import shim

AGENT: Final = "tester"
_REMIT: Final = (sys.executable, "-m", "remit.edge.cli")
_PATIENCE_S: Final = 30.0
# What `remit up` prints of a server it has looked at.
_SAID: Final = re.compile(r"^([\w-]+): +(\S+ callable|unreachable)", re.MULTILINE)

_CATALOGUE: Final = Template("""
connectors:
$connectors
agents:
  $agent:
    owner: $person
    model: {provider: example, name: model, version: "1"}
    version: "1"
    environment: dev
purposes:
  conform:
    owner: $person
    tools: [$patterns]
    tiers: [read, write]
    data_classes: [internal]
    environments: [dev]
""")
_CONNECTOR: Final = Template("""\
  $name:
    owner: $person
    environment: dev
    $where
    may_ask: [elicitation, sampling, roots]
    resources: {tier: read, data: {internal: []}}
    prompts: {tier: read, data: {internal: []}}
    tools: {$tools}
""")


class Gateway:
    """A home in `directory`, in front of tool servers: `servers` maps a connector's name to its URL or command line."""

    def __init__(self, directory: Path, servers: Mapping[str, str | Sequence[str]]) -> None:
        self.home = Home(directory)
        self._servers = servers
        self._port = free_port()
        subprocess.run([*_REMIT, "init", str(directory), "--json"], check=True, capture_output=True)
        made = self.home.catalogue.read_text(encoding="utf-8")
        self._made = made.replace("127.0.0.1:8700", f"127.0.0.1:{self._port}")
        self._catalogue({})

    @contextmanager
    def running(self) -> Iterator[None]:
        """`remit up`, until the block ends. The first time, all that the servers have is pinned before."""
        if not self.home.agents.exists():
            with self._up():
                self._catalogue(self._review())
                self.remit("agent", "enroll", AGENT)
        with self._up():
            yield

    @asynccontextmanager
    async def endpoint(self, connector: str) -> AsyncIterator[str]:
        """A URL that serves one connector to anybody: the agent's token and a task of its own are added on the way."""
        task = str(self.remit("task", "open", "--agent", AGENT, "--purpose", "conform")["task"]["id"])
        agent = profile.load(self.home.profile(AGENT), AGENT)
        issuer, audience = agent.issuer(), agent.endpoint(connector)

        def headers() -> Mapping[str, str]:
            token = issuer.mint(AGENT, audience=audience, now_s=int(time.time()))
            return {"Authorization": f"Bearer {token}", "Remit-Task": task}

        async with shim(self._port, headers) as port:
            yield f"http://127.0.0.1:{port}/mcp/{connector}"

    def remit(self, *command: str) -> Any:
        """What one `remit` command answers."""
        done = subprocess.run(
            [*_REMIT, *command, "--home", str(self.home.root), "--json"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"remit {' '.join(command)}: {done.stderr or done.stdout}")
        return json.loads(done.stdout)

    def _catalogue(self, tools: Mapping[str, Sequence[str]]) -> None:
        person = self._made.partition("people:\n  ")[2].partition(":")[0]
        rows = (
            _CONNECTOR.substitute(
                name=name,
                person=person,
                where=f"url: {where}" if isinstance(where, str) else f"command: {json.dumps(where)}",
                tools=", ".join(
                    f"{json.dumps(tool)}: {{tier: write, data: {{internal: []}}}}" for tool in tools.get(name, ())
                ),
            )
            for name, where in self._servers.items()
        )
        patterns = (f'"{name}/*", "{name}/prompt:*", "{name}/resource:*"' for name in self._servers)
        more = _CATALOGUE.substitute(connectors="".join(rows), agent=AGENT, person=person, patterns=", ".join(patterns))
        self.home.catalogue.write_text(f"{self._made}\n{more}", encoding="utf-8")

    def _review(self) -> dict[str, list[str]]:
        """Pin everything there is; the names of the tools by connector."""
        listed = self.remit("tool", "list")["contracts"]
        for name in self._servers:
            self.remit("tool", "pin", name, "--digest", self.remit("tool", "diff", name)["digest"])
        return {
            name: [one["name"] for one in listed if one["kind"] == "tool" and one["connector"] == name]
            for name in self._servers
        }

    @contextmanager
    def _up(self) -> Iterator[None]:
        """`remit up`, from when it has looked at every server. Raises `RuntimeError` if one is unreachable."""
        file = self.home.root / f"gateway-{time.monotonic_ns()}.log"
        with file.open("wb") as log:
            process = subprocess.Popen(
                [*_REMIT, "up", "--home", str(self.home.root)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            reached(self._port, process)
            self._looked(file)
            yield
        finally:
            stop(process)

    def _looked(self, file: Path) -> None:
        due = time.monotonic() + _PATIENCE_S
        while True:
            log = file.read_text(encoding="utf-8", errors="replace")
            said = dict(_SAID.findall(log))
            if time.monotonic() > due or any(said.get(name, "").startswith("unreachable") for name in self._servers):
                raise RuntimeError(f"a tool server does not answer the gateway:\n{log}")
            if said.keys() >= self._servers.keys():
                return
            time.sleep(0.05)


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def reached(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return once a process listens on a loopback port. Raises `RuntimeError` when it ends or takes too long."""
    due = time.monotonic() + _PATIENCE_S
    while process.poll() is None and time.monotonic() < due:
        with socket.socket() as knocking:
            if knocking.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"`{process.args!r}` does not serve")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process, in order if it can."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
