"""The composition root: the only module that names concrete drivers.

`open_gateway` puts a gateway together from a home directory, under the store's lock; `run` serves both doors until it
is told to stop; `offline` is the people's door alone, in the caller's process. Nothing here decides about a call.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec import Struct

from remit import __version__
from remit.canonical import digest
from remit.catalogue import load
from remit.catalogue.model import Declared, Gateway as GatewayRow
from remit.edge.acts.contracts import Contracts
from remit.edge.acts.gateway import Keeper, recover
from remit.edge.acts.inventory import Inventory
from remit.edge.acts.ledger import Records
from remit.edge.acts.live import Live
from remit.edge.acts.policies import PolicySets
from remit.edge.acts.standing import StandingTokens
from remit.edge.acts.tasks import Tasks
from remit.edge.acts.watch import WatchedPolicies
from remit.edge.api.door import Doorkeeper, people_door, person
from remit.edge.api.routes import Acts, routes
from remit.edge.cli.home import Home
from remit.edge.denials import Recorder
from remit.edge.keys.authenticator import Standing, TokenAuthenticator
from remit.edge.keys.domain import Domain
from remit.edge.keys.fetch import Fetcher
from remit.edge.keys.files import TokenKey, load_key
from remit.edge.keys.jwks import KeyDirectory
from remit.edge.keys.signing import load_signer
from remit.edge.limiter import Limiter
from remit.edge.mcp.backend import DoorSettings
from remit.edge.mcp.door import agents_door
from remit.edge.mcp.governed import Governed
from remit.edge.randomness import Randomness
from remit.edge.recent import Recent
from remit.edge.routine import Routine
from remit.edge.serving import Serving, Tls, listener, serve, unix_listener
from remit.edge.store.publish import Publisher
from remit.edge.store.sequencer import Sequencer
from remit.edge.store.sqlite import open_sqlite
from remit.edge.upstream.sessions import Known, Sessions
from remit.errors import ConfigFault, StoreFault
from remit.identity.resource import authorization_servers, site_of
from remit.limits import CHECKPOINT_EVERY_S, CONTRACT_CHECK_S
from remit.world import World

_FLUSH_S: Final = 1.0
_EXPIRE_S: Final = 5.0
_WATCH_S: Final = 0.5
_PATIENCE_S: Final = 3.0


def now_ms() -> int:
    """The machine's clock, epoch milliseconds."""
    return time.time_ns() // 1_000_000


class Alarms:
    """Passes on what the store has to say; what it says before anybody listens is kept."""

    def __init__(self) -> None:
        self._kept: list[tuple[str, str]] = []
        self._hears: Callable[[str, str], None] | None = None

    def __call__(self, name: str, detail: str) -> None:
        if self._hears is None:
            self._kept.append((name, detail))
        else:
            self._hears(name, detail)

    def heard_by(self, hears: Callable[[str, str], None]) -> None:
        """From now on `hears` is told, and now what was kept."""
        self._hears = hears
        for name, detail in self._kept:
            hears(name, detail)


class Gateway(Struct, frozen=True, kw_only=True):
    """A gateway put together: what is in force, what may be done, a call's ports, the doors as ASGI applications."""

    home: Home
    url: str
    store: Sequencer
    live: Live
    acts: Acts
    keeper: Keeper
    recorder: Recorder
    world: World
    agents: Any
    people: Any
    closing: tuple[Callable[[], Awaitable[None]], ...]

    @property
    def checkpoint_to(self) -> str:
        """Where checkpoints go: as the catalogue says, a file path from the home on; else beside the store."""
        to = self.live.view().declared.gateway.checkpoint_to or str(self.home.checkpoints)
        return to if "://" in to else str(self.home.root / to)


@asynccontextmanager
async def open_gateway(root: Path, *, via: str = "socket") -> AsyncIterator[Gateway]:
    """A gateway over the home at `root`, holding its store's lock; closed on exit. Raises `ConfigFault`, `StoreFault`.

    Calls that a crash cut off between intent and outcome are closed as unknown before anything else happens.
    """
    home = Home(root)
    signer, token_key = load_signer(home.keys / "ledger.key"), load_key(home.keys / "tokens.key")
    text = _text(home.catalogue)
    random = Randomness()
    alarms = Alarms()
    store = await open_sqlite(
        home.database,
        signer=signer,
        now=now_ms,
        salts=random.salt,
        patience_s=_PATIENCE_S,
        on_alarm=alarms,
    )
    try:
        await recover(store, store.open_intents())
        gateway = _assembled(home, text, held=_Held(store, token_key, random), via=via)
        alarms.heard_by(gateway.keeper.alarm)
        try:
            yield gateway
        finally:
            for close in gateway.closing:
                await close()
    finally:
        await store.close()


async def run(root: Path, *, ready: Callable[[Gateway], None], develop: bool = False) -> None:
    """Serve both doors until SIGTERM or SIGINT. `ready` is called once both accept connections.

    `develop` applies policy files as they change, as the person who runs this process.
    """
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    routine = Routine()
    async with serving(root, routine) as gateway:
        if develop:
            who = person(gateway.live.view(), os.getuid())
            watched = WatchedPolicies(gateway.acts.policies, who, directory=gateway.home.policy)
            routine.every(_WATCH_S, watched.apply_changes)
        ready(gateway)
        ended = [asyncio.create_task(stop.wait()), asyncio.create_task(routine.broken.wait())]
        await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
        for waiting in ended:
            waiting.cancel()
    if routine.broken.is_set():
        raise StoreFault("the gateway ended because a routine of it broke", "the log says which; report it")


@asynccontextmanager
async def offline(root: Path) -> AsyncIterator[Any]:
    """The people's door as an ASGI application, in this process, holding the store's lock meanwhile."""
    async with open_gateway(root, via="offline") as gateway:
        yield gateway.people


@asynccontextmanager
async def serving(root: Path, routine: Routine) -> AsyncIterator[Gateway]:
    """A gateway with both doors open and its routines running; its start and orderly stop are on record."""
    async with open_gateway(root) as gateway, AsyncExitStack() as running:
        await gateway.keeper.started()
        running.push_async_callback(gateway.keeper.stopped)
        running.push_async_callback(routine.stop)
        routine.every(CONTRACT_CHECK_S, gateway.keeper.look)
        routine.every(_FLUSH_S, gateway.recorder.flush)
        routine.every(_EXPIRE_S, gateway.acts.tasks.expire)
        publisher = Publisher(gateway.store, gateway.checkpoint_to, on_alarm=gateway.keeper.alarm)
        routine.every(CHECKPOINT_EVERY_S, publisher.publish)
        for server in await _doors(gateway):
            running.push_async_callback(server.stop)
        yield gateway


async def _doors(gateway: Gateway) -> list[Serving]:
    row, home = gateway.live.view().declared.gateway, gateway.home
    tls = Tls(home.root / row.tls_cert, home.root / row.tls_key) if row.tls_cert and row.tls_key else None
    opened: list[Serving] = [
        await serve(gateway.agents, listener(*_address(row.listen)), tls=tls),
        await serve(gateway.people, unix_listener(home.socket)),
    ]
    if row.people is not None:
        opened.append(await serve(gateway.people, listener(*_address(row.people)), tls=tls))
    return opened


class _Held(NamedTuple):
    """What of a home is open: its store, its token key, and randomness for this process."""

    store: Sequencer
    token_key: TokenKey
    random: Randomness


def _assembled(home: Home, text: str, *, held: _Held, via: str) -> Gateway:
    store, token_key, random = held
    declared = load(text, str(home.catalogue))
    live = Live(store, declared, digest=digest(text.encode()))
    url = _url(declared.gateway)
    contracts = Contracts(live, now_ms)
    upstreams = Sessions(_known(live), contracts.observe, logs=home.state / "logs")
    tasks = Tasks(live, upstreams, now=now_ms, new_id=random.new_id)
    keeper = Keeper(live, upstreams, sequence=store.sequence, url=url, text=text)
    fetcher = Fetcher(home.root)
    authenticator = TokenAuthenticator(
        Standing(view=live.view, epoch=store.epoch, now_ms=now_ms),
        KeyDirectory(fetcher, now_ms),
        token_keys={token_key.public.kid: token_key.public},
    )
    recorder = Recorder(store, now_ms)
    world = World(
        store=store,
        authenticator=authenticator,
        upstreams=upstreams,
        admission=Limiter(),
        tasks=tasks,
        denials=recorder,
        view=live.view,
        policies=live.policies,
        recent=Recent(),
        now=now_ms,
        new_id=random.new_id,
    )
    domain = Domain(token_key, live.view, url=url, now_ms=now_ms)
    acts = Acts(
        tasks=tasks,
        contracts=contracts,
        inventory=Inventory(live, upstreams, now=now_ms, reserved=frozenset({token_key.public.kid})),
        standing=StandingTokens(live, domain.standing_token, url=url, now=now_ms, new_id=random.new_id),
        policies=PolicySets(live),
        records=Records(store),
        authenticator=authenticator,
        keeper=keeper,
        step_token=domain.step_token,
    )
    doorkeeper = Doorkeeper(view=live.view, authenticator=authenticator, audience=f"{url}/v1", via=via)
    return Gateway(
        home=home,
        url=url,
        store=store,
        live=live,
        acts=acts,
        keeper=keeper,
        recorder=recorder,
        world=world,
        agents=agents_door(Governed(world, domain.jwks), _settings(declared, url)),
        people=people_door(routes(acts), doorkeeper),
        closing=(upstreams.close, fetcher.close, recorder.close),
    )


def _settings(declared: Declared, url: str) -> DoorSettings:
    return DoorSettings(
        public_url=url,
        version=__version__,
        site=site_of(declared.gateway),
        authorization_servers=authorization_servers(declared),
    )


def _known(live: Live) -> Known:
    """What sessions with tool servers ask of what is in force."""

    def pinned_server(connector: str) -> str | None:
        pinned = live.view().servers.get(connector)
        return None if pinned is None else pinned.digest

    return Known(
        connector=lambda name: live.view().connector(name),
        pinned_server=pinned_server,
        processes=lambda agent: live.view().agent(agent).limits.processes,
    )


def _url(row: GatewayRow) -> str:
    scheme = "https" if row.tls_cert else "http"
    return row.public_url or f"{scheme}://{row.listen}"


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigFault(f"`{path}` cannot be read", "`remit init` makes one") from e
