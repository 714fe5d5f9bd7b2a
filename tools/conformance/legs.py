"""The runs that are compared: each revision of the protocol, each way to the tool server, each side of the suite.

The server side asks the SDK's test server directly, then through the gateway. The client side lets the SDK's client
talk to the suite's own servers directly, then through a gateway that is started for it: what those servers then see is
what Remit sends. Directly there is only HTTP; the suite knows no other wire.
"""

import asyncio
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from .gateway import Gateway, free_port, reached, stop
from .peers import CLIENT, REVISIONS, scored, server_over_http, server_over_stdio, suite, unscored
from .results import Check, Difference, difference, passed

UPSTREAMS: Final = ("http", "stdio")
# OAuth towards tool servers is not part of Remit, so a client behind it has nobody to log in to.
NOT_APPLICABLE: Final = ("auth/",)
_CLIENT_TIMEOUT_MS: Final = 60_000


class Leg(NamedTuple):
    """One comparison. `required` are the scenarios that count in it."""

    title: str
    required: list[str]
    direct: dict[str, Check]
    through: dict[str, Check]

    @property
    def difference(self) -> Difference:
        return difference(self.direct, self.through)

    @property
    def failed(self) -> list[str]:
        """The required scenarios that do not pass through the gateway."""
        return [scenario for scenario in self.required if not passed(scenario, self.through)]


class Servers:
    """The SDK's test server, and the same behind a gateway. `where` takes what the runs leave behind."""

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
        return Leg(f"{revision} {upstream}", required, self._direct[revision], through)

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
    server = server_over_http(port)
    try:
        reached(port, server)
        gateway = Gateway(where / "home", dict(zip(UPSTREAMS, (url, server_over_stdio()), strict=True)))
        with gateway.running():
            yield Servers(where, url=url, gateway=gateway)
    finally:
        stop(server)


def clients(where: Path, revision: str, *, scenario: str = "") -> Leg:
    """Compare what the suite's servers see of the SDK's client with what they see of it behind Remit."""
    applicable = [one for one in (*scored(revision, "client"), *unscored(revision, "client")) if is_applicable(one)]
    chosen = [one for one in applicable if scenario in ("", one)]
    required = [one for one in scored(revision, "client") if one in chosen]
    direct, through = asyncio.run(_watched(where / f"client-{revision}", revision, scenarios=chosen))
    return Leg(f"{revision} client", required, direct, through)


def is_applicable(scenario: str) -> bool:
    """Whether a client scenario is about anything Remit does."""
    return not scenario.startswith(NOT_APPLICABLE)


async def _watched(where: Path, revision: str, *, scenarios: list[str]) -> tuple[dict[str, Check], dict[str, Check]]:
    ways = {"direct": [str(CLIENT)], "through": ["-m", "tools.conformance.client"]}
    found: dict[str, dict[str, Check]] = {way: {} for way in ways}
    for way, command in ways.items():
        for scenario in scenarios:
            found[way] |= await suite(
                *("client", "--command", shlex.join([sys.executable, *command])),
                *("--scenario", scenario, "--spec-version", revision, "--timeout", str(_CLIENT_TIMEOUT_MS)),
                into=where / way / scenario,
            )
    return found["direct"], found["through"]
