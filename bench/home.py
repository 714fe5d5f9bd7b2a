"""The home a run governs calls in: made as an operator makes one, over the doors an operator has.

Nothing is switched off for the benchmark: SQLite with FULL durability, arguments and results kept, the starter
policies, contracts pinned by a person, an agent with a key of its own, a task with a scope and a budget. Only limits
are raised, so that they are not what is measured: calls per second and in flight of the agent, calls of the task.
"""

import os
import pwd
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import Any, Final, NamedTuple

import msgspec

from bench import tools
from bench.machine import Process, cpus, free_port, started
from remit.edge.cli import init
from remit.edge.cli.door import Door
from remit.edge.cli.home import Home
from remit.edge.cli.profile import Profile, make as make_profile
from remit.limits import TASK_CALLS_MAX

AGENT: Final = "clerk"
CONNECTOR: Final = "orders"
_READY_S: Final = 20.0

_CATALOGUE: Final = Template("""\
version: 1
trust_domain: remit.local
environments: [prod]
gateway:
  listen: "127.0.0.1:$port"
  boundary: separate-user
people:
  $person: {email: "$person@localhost", os_user: "$os_user", roles: [requester, operator, auditor]}
agents:
$agents
connectors:
  $connector:
    owner: $person
    environment: prod
    url: "http://127.0.0.1:$upstream/mcp"
    tools:
$tools
purposes:
  answer-customers:
    owner: $person
    tools: ["$connector/*"]
    tiers: [read, write]
    data_classes: [confidential]
    environments: [prod]
    calls: $calls
  audit-orders:
    owner: $person
    tools: ["$connector/search_orders", "$connector/get_order"]
    data_classes: [confidential]
    environments: [prod]
""")
_AGENT: Final = """\
  {name}:
    owner: {person}
    model: {{provider: example, name: scripted, version: "1"}}
    version: "1"
    environment: prod
    limits: {{calls_per_second: 1000000, in_flight: 10000}}
"""


class Opened(NamedTuple):
    """A task, and what calls of it send: token in the headers."""

    task: str
    headers: dict[str, str]


class Desk(NamedTuple):
    """A home with everything in place. `contracts` are the digests of the pinned tools by name."""

    home: Home
    port: int
    profile: Profile
    contracts: dict[str, str]

    @property
    def path(self) -> str:
        return f"/mcp/{CONNECTOR}"

    @property
    def audience(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    def open(self) -> Opened:
        """A new task of the agent, and a token for it."""
        spec = {"agent": AGENT, "purpose": "answer-customers", "calls": TASK_CALLS_MAX, "text": "Answer the customers."}
        task = Door(self.home).post("/v1/tasks", spec)["task"]["id"]
        return Opened(task, {"Authorization": f"Bearer {self.token(task)}"})

    def token(self, task: str) -> str:
        """A token as the agent's bridge mints it."""
        return self.profile.issuer().mint(AGENT, audience=self.audience, now_s=int(time.time()), task=task)

    @contextmanager
    def gateway(self, *, command: Sequence[object] = ()) -> Iterator[Process]:
        """The gateway, `remit up` in a process of its own on the measured CPU."""
        at = self.home.root
        log = at / "gateway.log"
        up = command or ("-m", "remit.edge.cli", "--home", at, "up")
        with started(up, cpu=cpus().measured, log=log, ports=[self.port]) as process:
            _await("the people's door does not open", Door(self.home).runs)
            yield process


def made(root: Path, upstream: int) -> Desk:
    """A new home under `root` in front of the tool server at port `upstream`: pinned, enrolled, ready to serve."""
    home = Home(root / "home")
    init.make(home)
    port = free_port()
    home.catalogue.write_text(_catalogue(port, upstream), encoding="utf-8")
    profile = make_profile(AGENT, url=f"http://127.0.0.1:{port}", trust_domain=init.TRUST_DOMAIN)
    desk = Desk(home, port, profile, {})
    with desk.gateway():
        door = Door(home)
        _await("the gateway does not see the tool server", lambda: len(_listed(door)) > len(tools.names()))
        door.post("/v1/contracts/pin", {"target": CONNECTOR, "digest": _digest(door)})
        door.post(f"/v1/agents/{AGENT}/enroll", {"jwk": profile.public()})
        listed = _listed(door)
    desk.contracts.update({one["name"]: one["pinned"] for one in listed if one["kind"] == "tool"})
    if set(desk.contracts) != set(tools.names()) or not all(desk.contracts.values()):
        raise RuntimeError(f"not every contract is pinned: {msgspec.json.encode(listed)[:600]!r}")
    return desk


def _catalogue(port: int, upstream: int) -> str:
    os_user = pwd.getpwuid(os.getuid()).pw_name
    person = init.person_name(os_user)
    agents = (_AGENT.format(name=name, person=person) for name in (AGENT, "auditor", "planner", "scout", "shipper"))
    rows = (
        f"      {name}: {{tier: {tools.tier(name)}, data: {{confidential: [/customer]}}}}" for name in tools.names()
    )
    return _CATALOGUE.substitute(
        port=port,
        upstream=upstream,
        person=person,
        os_user=os_user,
        connector=CONNECTOR,
        agents="".join(agents),
        tools="\n".join(rows),
        calls=TASK_CALLS_MAX,
    )


def _await(otherwise: str, reached: Callable[[], bool]) -> None:
    due = time.monotonic() + _READY_S
    while not reached():
        if time.monotonic() > due:
            raise RuntimeError(otherwise)
        time.sleep(0.05)


def _listed(door: Door) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = door.get("/v1/contracts", connector=CONNECTOR)["contracts"]
    return found


def _digest(door: Door) -> str:
    return str(door.get("/v1/contracts/diff", target=CONNECTOR)["digest"])
