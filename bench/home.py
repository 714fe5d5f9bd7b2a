"""The home a run governs calls in: made as an operator makes one, over the doors an operator has.

Nothing is switched off for the benchmark: SQLite with FULL durability, arguments and results kept, the starter
policies, contracts pinned by a person, an agent with a key of its own, a task with a scope and a budget. Only limits
are raised, so that they are not what is measured: calls per second and in flight of the agent, its open tasks and
sessions, calls of the task.

A home has a size. Of its policies eight are the starting set; each of the others names an action of its own, the called
ones first, in its scope, and has a condition of its own over an argument. Policies beyond the order desk's tools speak
of tools on shelves, which are connectors beside it: as many more actions as policies.
"""

import os
import pwd
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from string import Template
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from bench import tools
from bench.machine import Process, cpus, free_port, started
from bench.upstream import SHELF
from remit.edge.cli import init
from remit.edge.cli.door import Door
from remit.edge.cli.home import Home
from remit.edge.cli.profile import Profile, make as make_profile
from remit.limits import CONTRACTS_PER_CONNECTOR_MAX, TASK_CALLS_MAX
from remit.policy.source import policies
from remit.policy.starter import STARTER

AGENT: Final = "clerk"
CONNECTOR: Final = "orders"
_READY_S: Final = 180.0
_DOORS: Final = 8  # connections at once to the people's door
_STARTER: Final = len(policies({"starter": STARTER}))
_SHELF_MAX: Final = CONTRACTS_PER_CONNECTOR_MAX - 100

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
$connectors
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
    limits: {{calls_per_second: 1000000, in_flight: 10000, open_tasks: 100000, streams: 10000}}
"""
_CONNECTOR: Final = """\
  {name}:
    owner: {person}
    environment: prod
    url: "{url}"
    tools:
{tools}
"""
_POLICY: Final = """\
// The shop keeps numbers from {bound} on for stock of this kind that is not sold any more.
@id("bench.{number}")
forbid (principal, action == Action::"{action}", resource)
when {{ context.args.serial >= {bound} }};
"""


class Size(Struct, frozen=True, kw_only=True):
    """How much of everything a home has. `tools` are of the connector that is called, `tasks` open ones."""

    policies: int = 10
    tools: int = 10
    tasks: int = 1
    sessions: int = 0

    def shelves(self) -> dict[str, int]:
        """The connectors beside the one that is called, and how many tools of a shelf each has."""
        more = max(0, self.policies - _STARTER - len(tools.names()))
        full, rest = divmod(more, _SHELF_MAX)
        return {f"shelf-{at}": number for at, number in enumerate((*[_SHELF_MAX] * full, rest), 1) if number}

    def own_policies(self) -> str:
        """The policies beyond the starting set, as text."""
        desk = (f"{CONNECTOR}/{name}" for name in tools.names())
        shelved = (f"{shelf}/{name}" for shelf, number in self.shelves().items() for name in tools.on_shelf(number))
        actions = islice(chain(desk, shelved), self.policies - _STARTER)
        return "\n".join(
            _POLICY.format(number=number, action=action, bound=tools.SERIALS.stop + number)
            for number, action in enumerate(actions)
        )


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

    def open(self, number: int = 1) -> list[Opened]:
        """New tasks of the agent, and a token for each."""
        spec = {"agent": AGENT, "purpose": "answer-customers", "calls": TASK_CALLS_MAX, "text": "Answer the customers."}

        def opened(_: int) -> str:
            return str(Door(self.home).post("/v1/tasks", spec)["task"]["id"])

        with ThreadPoolExecutor(_DOORS) as doors:
            tasks = list(doors.map(opened, range(number)))
        return [Opened(task, {"Authorization": f"Bearer {self.token(task)}"}) for task in tasks]

    def complete(self, opened: Sequence[Opened]) -> None:
        """End tasks."""
        for task, _ in opened:
            Door(self.home).post(f"/v1/tasks/{task}/complete")

    def token(self, task: str) -> str:
        """A token as the agent's bridge mints it."""
        return self.profile.issuer().mint(AGENT, audience=self.audience, now_s=int(time.time()), task=task)

    def _has_looked(self) -> bool:
        return all(one["state"] == "reachable" for one in Door(self.home).get("/v1/status")["connectors"])

    @contextmanager
    def gateway(self, *, command: Sequence[object] = ()) -> Iterator[Process]:
        """The gateway, `remit up` in a process of its own on the measured CPU."""
        at = self.home.root
        log = at / "gateway.log"
        up = command or ("-m", "remit.edge.cli", "--home", at, "up")
        with started(up, cpu=cpus().measured, log=log, ports=[self.port]) as process:
            _await("the people's door does not open", Door(self.home).runs)
            _await("the gateway does not look at its tool servers", self._has_looked)
            yield process


def made(root: Path, upstream: int, size: Size = Size()) -> Desk:  # noqa: B008 (immutable)
    """A new home under `root` in front of the tool server at port `upstream`: pinned, enrolled, ready to serve. Its
    policies are those of its size; tasks and sessions are opened by who wants them.
    """
    home = Home(root / "home")
    init.make(home)
    port = free_port()
    home.catalogue.write_text(_catalogue(port, upstream, size=size), encoding="utf-8")
    profile = make_profile(AGENT, url=f"http://127.0.0.1:{port}", trust_domain=init.TRUST_DOMAIN)
    desk = Desk(home, port, profile, {})
    with desk.gateway():
        door = Door(home)
        for connector, number in {CONNECTOR: size.tools, **size.shelves()}.items():
            _pin(door, connector, number)
        door.post(f"/v1/agents/{AGENT}/enroll", {"jwk": profile.public()})
        listed = [one for one in _listed(door, CONNECTOR) if one["name"] in tools.names()]
    desk.contracts.update({one["name"]: one["pinned"] for one in listed if one["kind"] == "tool"})
    if set(desk.contracts) != set(tools.names()) or not all(desk.contracts.values()):
        raise RuntimeError(f"not every contract is pinned: {msgspec.json.encode(listed)[:600]!r}")
    if own := size.own_policies():  # while no gateway runs the same door opens in this process, and has time
        Door(home).post("/v1/policy/apply", {"files": {"starter.cedar": STARTER, "own.cedar": own}})
    return desk


def _pin(door: Door, connector: str, number: int) -> None:
    _await(f"the gateway does not see all of {connector}", lambda: len(_listed(door, connector)) > number)
    digest = door.get("/v1/contracts/diff", target=connector)["digest"]
    door.post("/v1/contracts/pin", {"target": connector, "digest": digest})


def _catalogue(port: int, upstream: int, *, size: Size) -> str:
    os_user = pwd.getpwuid(os.getuid()).pw_name
    person = init.person_name(os_user)
    agents = (_AGENT.format(name=name, person=person) for name in (AGENT, "auditor", "planner", "scout", "shipper"))
    at = f"http://127.0.0.1:{upstream}"
    shelved = size.tools - len(tools.names())
    named = {
        CONNECTOR: (f"{at}{SHELF}{shelved}" if shelved else f"{at}/mcp", [*tools.names(), *tools.on_shelf(shelved)])
    }
    named |= {name: (f"{at}{SHELF}{number}", [*tools.on_shelf(number)]) for name, number in size.shelves().items()}
    connectors = (
        _CONNECTOR.format(name=name, person=person, url=url, tools="\n".join(map(_row, of)))
        for name, (url, of) in named.items()
    )
    return _CATALOGUE.substitute(
        port=port,
        person=person,
        os_user=os_user,
        connector=CONNECTOR,
        agents="".join(agents),
        connectors="".join(connectors),
        calls=TASK_CALLS_MAX,
    )


def _row(tool: str) -> str:
    data = "{confidential: [/customer]}" if tool in tools.names() else "{confidential: []}"
    return f"      {tool}: {{tier: {tools.tier(tool)}, data: {data}}}"


def _await(otherwise: str, reached: Callable[[], bool]) -> None:
    due = time.monotonic() + _READY_S
    while not reached():
        if time.monotonic() > due:
            raise RuntimeError(otherwise)
        time.sleep(0.02)


def _listed(door: Door, connector: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = door.get("/v1/contracts", connector=connector)["contracts"]
    return found
