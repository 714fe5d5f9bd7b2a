"""`remit up`: serve both doors of a home until told to stop."""

import asyncio
import logging
from argparse import Namespace
from typing import TYPE_CHECKING, Final

from remit.edge.cli.home import Home, existing
from remit.edge.cli.output import Screen, visible
from remit.edge.cli.parser import Parser

if TYPE_CHECKING:
    from remit.app import Gateway
    from remit.edge.acts.gateway import ConnectorStatus

_LOOK_EVERY_S: Final = 0.1
_NOT_YET: Final = "not looked at"
_SAME_USER: Final = (
    "boundary: SAME USER. Agents run as the gateway's own OS user, so they can read its keys and act as you.",
    "  Nothing privileged passes. Run the gateway as a user of its own and set `boundary: separate-user`.",
)


def declare(parser: Parser) -> None:
    """Add what the command takes."""
    parser.leaf(
        _run,
        "Start the gateway: the agents' door over HTTP, the people's door on a unix socket. It looks at every tool\n"
        "server and says what is quarantined. SIGTERM or ctrl-C ends it in order: calls that run may end, sessions and\n"
        "stdio tool servers are closed, the stop is on record.",
        ("remit up", "remit --home /srv/remit up", "remit up --develop"),
    )
    parser.add_argument("--develop", action="store_true", help="apply policy files as they change; not for production")


def _run(options: Namespace, screen: Screen) -> None:
    from remit.app import run

    home = existing(options.home)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    said: list[asyncio.Task[None]] = []

    def ready(gateway: "Gateway") -> None:
        _welcome(gateway, home, screen=screen, develop=options.develop)
        said.append(asyncio.create_task(_connectors(gateway, screen)))

    asyncio.run(run(home.root, ready=ready, develop=options.develop))
    screen.note("stopped")


def _welcome(gateway: "Gateway", home: Home, *, screen: Screen, develop: bool) -> None:
    boundary = gateway.live.view().declared.gateway.boundary
    screen.event({"url": gateway.url, "door": str(home.socket), "boundary": boundary})
    screen.say((f"agents:   {gateway.url}/mcp", f"people:   {home.socket}"))
    if boundary == "same-user":
        screen.say(screen.paint(text, "wait") for text in _SAME_USER)
    else:
        screen.say((f"boundary: {boundary}",))
    if develop:
        screen.say((screen.paint("develop:  policy files are applied as they change", "wait"),))
    if not gateway.live.applied().text:
        screen.say((screen.paint("policy:   none is in force, so every call is denied; `remit policy apply`", "bad"),))


async def _connectors(gateway: "Gateway", screen: Screen) -> None:
    """Say of each tool server how it was found, once it was looked at."""
    from remit.edge.acts.who import GATEWAY

    told: set[str] = set()
    while True:
        connectors = gateway.keeper.status(GATEWAY).connectors
        for connector in connectors:
            if connector.state != _NOT_YET and connector.name not in told:
                told.add(connector.name)
                screen.say(_found(connector, screen))
        if len(told) == len(connectors):
            return
        await asyncio.sleep(_LOOK_EVERY_S)


def _found(connector: "ConnectorStatus", screen: Screen) -> str:
    name = f"{visible(connector.name)}:".ljust(9)
    if connector.detail:
        return screen.paint(f"{name} {connector.state}: {visible(connector.detail)}", "bad")
    told = f"{name} {connector.tools} callables"
    if not connector.quarantined:
        return told
    review = f"{connector.quarantined} quarantined until reviewed: remit tool diff {visible(connector.name)}"
    return screen.paint(f"{told}, {review}", "wait")
