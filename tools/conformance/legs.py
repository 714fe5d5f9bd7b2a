"""The runs that are compared: each revision of the protocol, each way to the tool server, each side of the suite.

- *http*, *stdio*: the suite asks the SDK's test server directly, then through the gateway. Directly there is only HTTP;
  the suite knows no other wire.
- *alone*: the same with a test server that checks nothing a gateway could check for it.
- *tasks*: the suite's scenarios of the tasks extension, with a fake server that has it. The suite scores none of them.
- *client*: the SDK's client talks to the suite's own servers directly, then through a gateway that is started for it.
  What those servers then see is what Remit sends.
"""

import asyncio
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from .gateway import Gateway, free_port, reached, stop
from .peers import CLIENT, careless_server, scored, server_over_http, server_over_stdio, suite, tasks_server, unscored
from .results import Check, Difference, difference, passed

UPSTREAMS: Final = ("http", "stdio")

# What a gateway has to see to whatever the tool server does.
ALONE: Final = (
    "server-stateless",
    "http-header-validation",
    "http-custom-header-server-validation",
    "dns-rebinding-protection",
)
# Of the suite's ten, those a server can pass without making a person wait or telling of its own accord.
TASKS: Final = (
    "tasks-lifecycle",
    "tasks-capability-negotiation",
    "tasks-wire-fields",
    "tasks-request-state-removal",
    "tasks-mrtr-input",
    "tasks-request-headers",
    "tasks-dispatch-and-envelope",
)
_ALONE_REVISION: Final = "2026-07-28"

# By side: scenarios, or single checks of one, that say nothing about Remit there, and why.
NOT_APPLICABLE: Final[Mapping[str, Mapping[str, str]]] = {
    "stdio": {
        "server-sse-polling": "a server on stdio has no event stream to close during a call",
    },
    "http": {
        "server-sse-polling": "not required by any revision; Remit keeps the stream of a call open where the server "
        "lets go of its own, so no client has to come back for the rest",
    },
    "client": {
        "request-metadata/sep-2575-client-declares": "what a client can do is told with its calls, and the scenario's "
        "server lists no tool that could be pinned and called",
        "auth/": "OAuth towards tool servers is not part of Remit",
        "http-custom-headers/sep-2243-client-omit-null": "its call breaks the input schema of the tool it calls, so it "
        "is refused and never sent",
    },
}
_CLIENT_TIMEOUT_MS: Final = 120_000
_CLIENTS_AT_ONCE: Final = 2


class Leg(NamedTuple):
    """One comparison. `required` are the scenarios that count in it."""

    title: str
    required: list[str]
    direct: Mapping[str, Check]
    through: Mapping[str, Check]

    @property
    def difference(self) -> Difference:
        return difference(self.direct, self.through)

    @property
    def failed(self) -> list[str]:
        """The required scenarios that do not pass through the gateway."""
        return [scenario for scenario in self.required if not passed(scenario, self.through)]


class Servers:
    """The SDK's test server at `url`, and the same behind a gateway. `where` takes what the runs leave behind."""

    def __init__(self, where: Path, *, url: str, gateway: Gateway) -> None:
        self._where = where
        self._url = url
        self._gateway = gateway
        self._direct: dict[str, dict[str, Check]] = {}

    def leg(self, revision: str, upstream: str, *, scenario: str = "") -> Leg:
        """Compare one revision over one upstream; with a scenario, that alone."""
        if revision not in self._direct:
            self._direct[revision] = asyncio.run(self._asked(revision, "direct", url=self._url, scenario=scenario))
        through = asyncio.run(self._through(revision, upstream, scenario=scenario))
        required = [one for one in scored(revision) if scenario in ("", one)]
        direct = self._direct[revision]
        return Leg(f"{revision} {upstream}", required, _applicable(direct, upstream), _applicable(through, upstream))

    async def _through(self, revision: str, upstream: str, *, scenario: str) -> dict[str, Check]:
        async with self._gateway.endpoint(upstream) as url:
            return await self._asked(revision, upstream, url=url, scenario=scenario)

    async def _asked(self, revision: str, name: str, *, url: str, scenario: str) -> dict[str, Check]:
        which = ("--scenario", scenario, "--spec-version", revision) if scenario else ("--requirements", revision)
        return await suite("server", "--url", url, *which, into=self._where / f"server-{revision}-{name}")


@contextmanager
def servers(where: Path) -> Iterator[Servers]:
    """Start the test server and a gateway in front of it, over HTTP and over stdio."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    with _serving(server_over_http(port), port):
        gateway = Gateway(where / "home", dict(zip(UPSTREAMS, (url, server_over_stdio()), strict=True)))
        with gateway.running():
            yield Servers(where, url=url, gateway=gateway)


def alone(where: Path, *, scenario: str = "") -> Leg:
    """Compare a server that believes everything with the gateway in front of it."""
    return _apart(where / "alone", careless_server, scenarios=[one for one in ALONE if scenario in ("", one)])


def tasks(where: Path, *, scenario: str = "") -> Leg:
    """Compare a server that has the tasks extension with the gateway in front of it."""
    return _apart(where / "tasks", tasks_server, scenarios=[one for one in TASKS if scenario in ("", one)])


def _apart(where: Path, server: Callable[[int], subprocess.Popen[bytes]], *, scenarios: list[str]) -> Leg:
    """Compare a server of our own with the gateway in front of it; all scenarios are required."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    with _serving(server(port), port):
        gateway = Gateway(where / "home", {"own": url})
        with gateway.running():
            direct, through = asyncio.run(_one_by_one(where, scenarios, url=url, gateway=gateway))
    return Leg(f"{_ALONE_REVISION} {where.name}", scenarios, direct, through)


async def _one_by_one(
    where: Path, scenarios: Iterable[str], *, url: str, gateway: Gateway
) -> tuple[dict[str, Check], dict[str, Check]]:
    direct: dict[str, Check] = {}
    through: dict[str, Check] = {}
    for scenario in scenarios:
        # The suite counts extensions to no revision, and has to be told to run them all the same.
        chosen = ("--scenario", scenario, "--spec-version", _ALONE_REVISION, "--force")
        direct |= await suite("server", "--url", url, *chosen, into=where / "direct" / scenario)
        async with gateway.endpoint("own") as behind:
            through |= await suite("server", "--url", behind, *chosen, into=where / "through" / scenario)
    return direct, through


def clients(where: Path, revision: str, *, scenario: str = "") -> Leg:
    """Compare what the suite's servers see of the SDK's client with what they see of it behind Remit."""
    listed = [*scored(revision, "client"), *unscored(revision, "client")]
    chosen = [one for one in listed if scenario in ("", one) and not not_applicable(one, "client")]
    required = [one for one in scored(revision, "client") if one in chosen]
    direct, through = asyncio.run(_watched(where / f"client-{revision}", revision, scenarios=chosen))
    return Leg(f"{revision} client", required, _applicable(direct, "client"), _applicable(through, "client"))


def not_applicable(name: str, side: str) -> str:
    """Why a scenario or check says nothing about Remit on this side; empty if it does."""
    return next((why for prefix, why in NOT_APPLICABLE.get(side, {}).items() if name.startswith(prefix)), "")


def _applicable(checks: Mapping[str, Check], side: str) -> dict[str, Check]:
    return {name: check for name, check in checks.items() if not not_applicable(name, side)}


async def _watched(
    where: Path, revision: str, *, scenarios: Iterable[str]
) -> tuple[dict[str, Check], dict[str, Check]]:
    at_once = asyncio.Semaphore(_CLIENTS_AT_ONCE)

    async def watched(way: str, command: list[str], scenario: str) -> dict[str, Check]:
        async with at_once:
            return await suite(
                *("client", "--command", shlex.join([sys.executable, *command])),
                *("--scenario", scenario, "--spec-version", revision, "--timeout", str(_CLIENT_TIMEOUT_MS)),
                into=where / way / scenario,
            )

    async def all_of(way: str, *command: str) -> dict[str, Check]:
        runs = await asyncio.gather(*(watched(way, [*command], scenario) for scenario in scenarios))
        return {name: check for run in runs for name, check in run.items()}

    return await all_of("direct", str(CLIENT)), await all_of("through", "-m", "tools.conformance.client")


@contextmanager
def _serving(server: subprocess.Popen[bytes], port: int) -> Iterator[None]:
    try:
        reached(port, server)
        yield
    finally:
        stop(server)
