"""Real processes: a gateway over a home of its own, the tool server behind it, and agents that hold real keys.

Nothing is simulated. The gateway is `remit up`, people knock at its unix socket, agents at its port. What was started
is stopped by whoever made it, and `left_of` finds what was not.
"""

import asyncio
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.request import urlopen

import aiohttp
import msgspec

from remit.edge.cli import init, profile
from remit.edge.cli.door import Door
from remit.edge.cli.home import Home
from remit.edge.keys.signing import load_signer
from remit.edge.store.export import export
from remit.edge.store.sqlite import open_readonly
from remit.errors import RemitError
from remit.ledger.bundle import Bundle
from remit.ledger.checkpoint import Key, parse_key
from remit.ledger.receipt import Receipt
from remit.ledger.verify import Report, verify
from remit.ledger.walk import decode

DOMAIN = "house.test"
MODERN = "2026-07-28"
PATIENCE_S = 30
ME = pwd.getpwuid(os.getuid()).pw_name
RECORDER = Path(__file__).with_name("recorder.py")
UP = (sys.executable, "-m", "remit.edge.cli", "up", "--home")

_TOOLS = """\
    tools:
      echo: {tier: read, data: {internal: []}}
      slow: {tier: read, data: {internal: []}}
      add: {tier: write, data: {internal: []}}
      wipe: {tier: privileged, data: {internal: []}}
"""

_CATALOGUE = """
version: 1
trust_domain: {domain}
environments: [dev]
gateway:
  listen: "127.0.0.1:{port}"
{gateway}
people:
  op: {{email: op@house.test, os_user: "{me}", roles: [requester, operator, auditor]}}
agents:
{agents}
connectors:
{connectors}
purposes:
  look:
    owner: op
    tools: [{tools}]
    tiers: [read]
    data_classes: [internal]
    environments: [dev]
    calls: 100000
  work:
    owner: op
    tools: [{tools}]
    tiers: [read, write]
    data_classes: [internal]
    environments: [dev]
    calls: 100000
{more}
"""

_AGENT = """
  {name}:
    owner: op
    model: {{provider: example, name: model, version: "1"}}
    version: "1"
    environment: dev
    limits: {{calls_per_second: 100000, in_flight: 512, open_tasks: 10000}}
"""


def agent_row(name: str, **more: str) -> str:
    """An agent of the catalogue; `more` are further keys as YAML flow text."""
    return _AGENT.format(name=name) + "".join(f"    {key}: {value}\n" for key, value in more.items())


def recorded_by(url: str, name: str = "desk", *, more: str = "") -> str:
    """A connector at a `Upstream`'s URL; `more` are further lines of its row."""
    return f"  {name}:\n    owner: op\n    environment: dev\n    url: {url}\n{more}{_TOOLS}"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def until(what: Callable[[], Any], why: str = "", *, seconds: float = PATIENCE_S) -> Any:
    """What `what` gives once it is true; fails after a patience no healthy run needs."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, f"it did not happen: {why}"
        time.sleep(0.02)
    return found


def left_of(where: Path) -> list[str]:
    """Command lines of processes that still name this directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(where) in line and int(entry.parent.name) != os.getpid():
            found.append(line)
    return found


class _Params(msgspec.Struct):
    arguments: msgspec.Raw


class _Call(msgspec.Struct):
    params: _Params


class Seen(NamedTuple):
    """One message that reached the tool server."""

    at: int
    method: str
    tool: str
    headers: list[tuple[str, str]]
    body: str

    @property
    def arguments(self) -> Any:
        return json.loads(self.raw)

    @property
    def raw(self) -> bytes:
        """The exact bytes of a call's arguments."""
        return bytes(msgspec.json.decode(self.body, type=_Call).params.arguments)


class Upstream:
    """The recording tool server over HTTP (see `recorder.py`)."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self.directory = directory
        command = (sys.executable, str(RECORDER), str(directory))
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}/mcp"

    def seen(self) -> list[Seen]:
        return seen_in(self.directory)

    def calls(self) -> list[Seen]:
        return [one for one in self.seen() if one.method == "tools/call"]

    def settled(self) -> list[Seen]:
        """The calls so far, everything that was on its way to the server included."""
        for _ in range(2):
            urlopen(self.url, timeout=PATIENCE_S).close()
        return self.calls()

    def oracle(self) -> list[str]:
        file = self.directory / "oracle"
        return file.read_text().split() if file.exists() else []

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


def seen_in(directory: Path) -> list[Seen]:
    """Every message a recorder has written down."""
    file = directory / "seen.jsonl"
    if not file.exists():
        return []
    # A line may be half written by now; a whole one ends.
    whole = file.read_text().rpartition("\n")[0]
    return [
        Seen(**{**line, "headers": [tuple(pair) for pair in line["headers"]]})
        for line in map(json.loads, whole.splitlines())
    ]


class Record(NamedTuple):
    """A ledger, verified whole."""

    bundle: Bundle
    report: Report
    receipts: list[Receipt]

    def bodies(self, kind: type) -> list[Any]:
        return [receipt.body for receipt in self.receipts if isinstance(receipt.body, kind)]


class House:
    """A home, and the gateway that runs over it or does not."""

    def __init__(self, root: Path, *, connectors: str, tools: str = '"desk/*"', **more: str) -> None:
        self.home = Home(root)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.door = Door(self.home)
        self.process: subprocess.Popen[bytes] | None = None
        self._profiles: dict[str, profile.Profile] = {}
        self._exports = 0
        _aside(init.make, self.home)
        rows = {"agents": agent_row("scout") + agent_row("rival"), "gateway": "  boundary: separate-user", "more": ""}
        self.home.catalogue.write_text(
            _CATALOGUE.format(
                domain=DOMAIN, port=self.port, me=ME, connectors=connectors, tools=tools, **{**rows, **more}
            )
        )

    @property
    def log(self) -> str:
        return (self.home.state / "gateway.log").read_text(errors="replace")

    def start(self, command: Sequence[str] = UP, *, env: Mapping[str, str] | None = None) -> Self:
        """Start the gateway and return once both its doors are open."""
        self.begin(command, env=env)

        def ready() -> bool:
            assert not self.ended(), f"the gateway ended: {self.log}"
            return self.ready()

        until(ready, "the gateway did not start")
        return self

    def begin(self, command: Sequence[str] = UP, *, env: Mapping[str, str] | None = None) -> None:
        """Start the process and nothing more."""
        with (self.home.state / "gateway.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, str(self.home.root)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )

    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def ready(self) -> bool:
        """Whether both doors are open."""
        try:
            return self.door.runs() and bool(self.door.get("/v1/status"))
        except (RemitError, OSError):
            return False

    def stop(self) -> int:
        """Ask it to end (SIGTERM) and return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """End it without a word (SIGKILL), if it still runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE_S)

    def looked(self) -> list[dict[str, Any]]:
        """The connectors, once each was looked at."""

        def all_looked_at() -> Any:
            found = self.door.get("/v1/status")["connectors"]
            return all(one["state"] != "not looked at" for one in found) and found

        found: list[dict[str, Any]] = until(all_looked_at, "tool servers were not looked at")
        return found

    def pin(self, *connectors: str) -> None:
        """Accept everything these tool servers offer."""
        found = {one["name"]: one for one in self.looked()}
        for name in connectors:
            assert found[name]["state"] == "reachable", found[name]
            shown = self.door.get("/v1/contracts/diff", target=name)
            assert self.door.post("/v1/contracts/pin", {"target": name, "digest": shown["digest"]})["pinned"]

    def enrol(self, *agents: str) -> None:
        """Give agents keys of their own and enrol them; their profiles are where the bridge looks."""
        self.home.agents.mkdir(mode=0o700, exist_ok=True)
        for name in agents:
            made = self._profiles[name] = profile.make(name, url=self.url, trust_domain=DOMAIN)
            profile.save(made, self.home.profile(name))
            self.door.post(f"/v1/agents/{name}/enroll", {"jwk": made.public()})

    def open(self, agent: str = "scout", purpose: str = "look", **spec: Any) -> Any:
        """A task's id; with `token=True` the whole answer."""
        answer = self.door.post("/v1/tasks", {"agent": agent, "purpose": purpose, **spec})
        return answer if spec.get("token") else answer["task"]["id"]

    def token(self, agent: str = "scout", *, task: str | None = None, connector: str | None = "desk") -> str:
        """A token the agent signs itself, for one endpoint."""
        audience = f"{self.url}/mcp/{connector}" if connector else f"{self.url}/mcp"
        return self._profiles[agent].issuer().mint(agent, audience=audience, now_s=int(time.time()), task=task)

    def key(self) -> Key:
        return parse_key(load_signer(self.home.keys / "ledger.key").verifier_key())

    def checkpoint(self) -> bytes:
        """The newest durable checkpoint, read beside the gateway."""

        async def read() -> bytes:
            ledger = await open_readonly(self.home.database)
            try:
                return await ledger.checkpoint()
            finally:
                await ledger.close()

        return _aside(asyncio.run, read())

    def record(self, *earlier: bytes) -> Record:
        """The durable ledger as it is now, verified whole against the home's key and checkpoints saved earlier."""
        self._exports += 1
        directory = self.home.root.with_name(f"{self.home.root.name}-export-{self._exports}")

        async def exported() -> Bundle:
            ledger = await open_readonly(self.home.database)
            try:
                return await export(ledger, directory, keys=())
            finally:
                await ledger.close()

        bundle = _aside(asyncio.run, exported())
        report = verify(bundle, [self.key()], earlier)
        return Record(bundle, report, [decode(seq, leaf) for seq, leaf in enumerate(bundle.leaves)])


def _aside(work: Callable[..., Any], *given: Any) -> Any:
    """Do what begins a loop of its own, also where a test's loop already runs."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work, *given).result()


class Answer(NamedTuple):
    """What the agents' door said."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def reason(self) -> str:
        """Why a call did not pass; empty if it did."""
        assert self.status == 200, self
        meta = self.body["result"].get("_meta", {})
        return str(meta.get("io.remit/decision", {}).get("reason", ""))

    @property
    def decision(self) -> Any:
        return self.body["result"]["_meta"]["io.remit/decision"]

    @property
    def value(self) -> Any:
        assert self.reason == "", self.body
        assert not self.body["result"].get("isError"), self.body
        return self.body["result"]["structuredContent"]


class Agent:
    """Speaks to the agents' door on the modern wire."""

    def __init__(self, house: House, http: aiohttp.ClientSession) -> None:
        self._house = house
        self._http = http

    async def call(self, tool: str, arguments: Any = None, **options: Any) -> Answer:
        return await self.ask("tools/call", {"name": tool, "arguments": arguments or {}}, **options)

    async def ask(self, method: str, params: Mapping[str, Any] | None = None, *, token: str, **options: Any) -> Answer:
        """One request. `connector` None is the endpoint of all; `headers` go along; `meta` is added to `_meta`."""
        connector = options.get("connector", "desk")
        meta = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
        given = {**(params or {}), "_meta": {**meta, **options.get("meta", {})}}
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": given}
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": MODERN,
            "Mcp-Method": method,
        }
        if name := given.get("uri" if method == "resources/read" else "name"):
            headers["Mcp-Name"] = name
        url = f"{self._house.url}/mcp/{connector}" if connector else f"{self._house.url}/mcp"
        async with self._http.post(url, json=message, headers={**headers, **options.get("headers", {})}) as response:
            body = await response.read()
            return Answer(response.status, response.headers, json.loads(body) if body else None)


@asynccontextmanager
async def talking(house: House) -> AsyncIterator[Agent]:
    """Somebody who speaks to this house's agents' door; as many requests at once as are made."""
    connections, patience = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(connector=connections, timeout=patience) as http:
        yield Agent(house, http)


@contextmanager
def a_house(where: Path, *, command: Sequence[str] = UP, **catalogue: str) -> Iterator[tuple[House, Upstream]]:
    """A house with one recording tool server, `desk`; pinned, `scout` and `rival` enrolled, the gateway running.

    `desk` are further lines of its row, `connectors` further rows; the rest is `House`'s.
    """
    upstream = Upstream(where / "upstream")
    house = None
    try:
        rows = recorded_by(upstream.url, more=catalogue.pop("desk", "")) + catalogue.pop("connectors", "")
        house = House(where / "home", connectors=rows, **catalogue)
        house.start(command)
        house.pin("desk")
        house.enrol("scout", "rival")
        yield house, upstream
    finally:
        if house is not None:
            house.kill()
        upstream.stop()
        until(lambda: not left_of(where), f"processes were left behind: {left_of(where)}")
