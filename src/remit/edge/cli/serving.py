"""A gateway in this process, and what it says of itself while it starts."""

import asyncio
import gc
import logging
import resource
from typing import Final

import uvloop

from remit.app import Gateway, run
from remit.edge.acts.gateway import ConnectorStatus
from remit.edge.acts.who import GATEWAY
from remit.edge.cli.finding import log_of
from remit.edge.cli.home import Home
from remit.edge.cli.output import Screen, counted, visible
from remit.limits import CONNECTIONS_MAX

_LOOK_EVERY_S: Final = 0.1
_YOUNG_MAX: Final = 20_000  # objects made before the collector looks again; Python's own is 700
_NOT_YET: Final = "not looked at"
_SAME_USER: Final = (
    "boundary: SAME USER. Agents run as the gateway's own OS user, so they can read its keys and act as you.",
    "          Nothing privileged passes. Run the gateway as a user of its own and set `boundary: separate-user`.",
)

_DEVELOP: Final = "develop:  policy files are applied as they change, in your name. For development only."


class Readable(logging.Formatter):
    """Log lines with nothing hidden in them: a warning can quote what a tool server said."""

    def format(self, record: logging.LogRecord) -> str:
        said = {**vars(record), "msg": visible(record.getMessage(), most=2000), "args": None}
        lines = super().format(logging.makeLogRecord(said)).splitlines()
        return "\n".join(visible(line, most=None) for line in lines)


def serve(home: Home, screen: Screen, *, develop: bool, workers: int = 1) -> None:
    """Serve until SIGTERM or SIGINT, then end in order."""
    _allow_files()
    telling: list[asyncio.Task[None]] = []

    def ready(gateway: Gateway) -> None:
        _welcome(gateway, screen, develop=develop)
        if workers > 1:
            screen.say(f"workers:  {', '.join(str(worker.pid) for worker in gateway.keeper.workers())}")
        telling.append(asyncio.create_task(_connectors(gateway, screen)))

    prepare()
    uvloop.run(run(home.root, ready=ready, develop=develop, workers=workers))
    screen.note("stopped")


def prepare() -> None:
    """Make this process one that serves: its log readable, its collector rare."""
    handler = logging.StreamHandler()
    handler.setFormatter(Readable("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    # What is there now stays; what calls leave behind has few cycles, so looking for them rarely saves some 7 % of CPU.
    gc.freeze()
    gc.set_threshold(_YOUNG_MAX, *gc.get_threshold()[1:])


def _allow_files() -> None:
    """As many open files as connections of agents and to tool servers take together, where the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CONNECTIONS_MAX if hard == resource.RLIM_INFINITY else min(hard, 2 * CONNECTIONS_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _welcome(gateway: Gateway, screen: Screen, *, develop: bool) -> None:
    boundary, door = gateway.live.view().declared.gateway.boundary, str(gateway.home.socket)
    screen.event({"url": gateway.url, "door": door, "boundary": boundary})
    screen.say(f"agents:   {gateway.url}/mcp", f"people:   {door}")
    if boundary == "same-user":
        screen.say(*(screen.paint(text, "wait") for text in _SAME_USER))
    else:
        screen.say(f"boundary: {boundary}")
    if develop:
        screen.say(screen.paint(_DEVELOP, "wait"))
    if not gateway.live.applied().text:
        screen.say(screen.paint("policy:   none is in force, so every call is denied; `remit policy apply`", "bad"))


async def _connectors(gateway: Gateway, screen: Screen) -> None:
    """Say of each tool server how it was found, once it was looked at."""
    told: set[str] = set()
    while True:
        connectors = gateway.keeper.status(GATEWAY).connectors
        for connector in connectors:
            if connector.state != _NOT_YET and connector.name not in told:
                told.add(connector.name)
                screen.say(_found(connector, gateway, screen=screen))
        if len(told) == len(connectors):
            return
        await asyncio.sleep(_LOOK_EVERY_S)


def _found(connector: ConnectorStatus, gateway: Gateway, *, screen: Screen) -> str:
    name = f"{visible(connector.name)}:".ljust(9)
    if connector.detail:
        declared = gateway.live.view().declared.connectors.get(connector.name)
        log = log_of(gateway.home, connector.name, connector=declared)
        return screen.paint(f"{name} {connector.state}: {visible(connector.detail)}{'; ' if log else ''}{log}", "bad")
    told = f"{name} {counted(connector.tools, 'callable')}"
    if not connector.quarantined:
        return told
    waits = any(key.startswith(f"{connector.name}/server/") for key in gateway.store.rows("seen"))
    server = " and the server itself" if waits else ""
    review = f"{connector.quarantined}{server} quarantined until reviewed: remit tool diff {visible(connector.name)}"
    return screen.paint(f"{told}, {review}", "wait")
