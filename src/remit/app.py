"""The composition root: the only module that names concrete drivers.

`open_gateway` puts a gateway together from a home directory, under the store's lock; `run` serves both doors until it
is told to stop, alone or with worker processes, of which each runs `work`; `offline` is the people's door alone, in the
caller's process. Nothing here decides about a call.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec import Struct

from remit import __version__
from remit.canonical import digest
from remit.catalogue import load
from remit.catalogue.model import Contract, Declared, Gateway as GatewayRow
from remit.edge.acts.contracts import Contracts
from remit.edge.acts.gateway import Keeper, recover
from remit.edge.acts.inventory import Inventory
from remit.edge.acts.ledger import Records
from remit.edge.acts.live import Live
from remit.edge.acts.operations import Sweep
from remit.edge.acts.policies import PolicySets
from remit.edge.acts.standing import StandingTokens
from remit.edge.acts.tasks import Tasks
from remit.edge.acts.watch import WatchedPolicies
from remit.edge.api.door import Doorkeeper, people_door, person
from remit.edge.api.routes import Acts, routes
from remit.edge.cli.home import Home
from remit.edge.denials import Recorder
from remit.edge.keys.authenticator import Standing, TokenAuthenticator
from remit.edge.keys.domain import Domain, published
from remit.edge.keys.fetch import Fetcher
from remit.edge.keys.files import load_key
from remit.edge.keys.jwks import KeyDirectory
from remit.edge.keys.signing import load_signer
from remit.edge.limiter import Limiter
from remit.edge.mcp.backend import DoorSettings
from remit.edge.mcp.door import agents_door
from remit.edge.mcp.governed import Governed
from remit.edge.mcp.hub import Hub
from remit.edge.randomness import Randomness
from remit.edge.recent import Recent
from remit.edge.routine import Routine
from remit.edge.serving import Tls, listener, serve, unix_listener
from remit.edge.store.publish import Publisher
from remit.edge.store.sequencer import Sequencer
from remit.edge.store.sqlite import open_sqlite
from remit.edge.upstream.sessions import Known, Sessions
from remit.edge.workers.crew import Crew, Everywhere, Shared
from remit.edge.workers.desk import Main
from remit.edge.workers.line import Line
from remit.edge.workers.passage import Passage, Passed
from remit.edge.workers.routing import Owned, Router, owners
from remit.edge.workers.wire import Welcome
from remit.edge.workers.worker import Start
from remit.errors import ConfigFault, StoreFault
from remit.forward.facts import Upstreams
from remit.identity.facts import Authenticator
from remit.identity.model import Key
from remit.identity.resource import authorization_servers, site_of
from remit.limits import CHECKPOINT_EVERY_S, CONTRACT_CHECK_S
from remit.world import World

_FLUSH_S: Final = 1.0
_EXPIRE_S: Final = 5.0
_WATCH_S: Final = 0.5
_PATIENCE_S: Final = 3.0
# What a worker process runs. Without `-P` it would look for modules where the gateway happened to be started.
WORKER: Final = (sys.executable, "-P", "-m", "remit.edge.cli.worker")


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
    """A gateway put together: what is in force, what may be done, a call's ports, the doors as ASGI applications.

    With a `crew`, agents are served by its workers.
    """

    home: Home
    text: str
    url: str
    token_key: Key
    crew: Crew | None
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
async def open_gateway(root: Path, *, via: str = "socket", workers: int = 1) -> AsyncIterator[Gateway]:
    """A gateway over the home at `root`, holding its store's lock; closed on exit. Raises `ConfigFault`, `StoreFault`.

    Calls that a crash cut off between intent and outcome are closed as unknown before anything else happens.
    """
    home = Home(root)
    signer = load_signer(home.keys / "ledger.key")
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
        crew = Crew(store, workers) if workers > 1 else None
        gateway = _assembled(home, text, held=_Held(store, crew, random), via=via)
        alarms.heard_by(gateway.keeper.alarm)
        try:
            yield gateway
        finally:
            for close in gateway.closing:
                await close()
    finally:
        await store.close()


async def run(root: Path, *, ready: Callable[[Gateway], None], develop: bool = False, workers: int = 1) -> None:
    """Serve both doors until SIGTERM or SIGINT. `ready` is called once both accept connections.

    `develop` applies policy files as they change, as the person who runs this process. With more than one of `workers`
    as many processes serve agents, and this one the rest.
    """
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    routine = Routine()
    async with serving(root, routine, workers=workers) as gateway:
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
async def serving(root: Path, routine: Routine, *, workers: int = 1) -> AsyncIterator[Gateway]:
    """A gateway with both doors open and its routines running; its start and orderly stop are on record."""
    async with open_gateway(root, workers=workers) as gateway, AsyncExitStack() as running:
        await gateway.keeper.started()
        running.push_async_callback(gateway.keeper.stopped)
        running.push_async_callback(routine.stop)
        routine.every(CONTRACT_CHECK_S, gateway.keeper.look)
        routine.every(_FLUSH_S, gateway.recorder.flush)
        routine.every(_EXPIRE_S, gateway.acts.tasks.expire)
        routine.every(_EXPIRE_S, Sweep(gateway.world).round)
        publisher = Publisher(gateway.store, gateway.checkpoint_to, on_alarm=gateway.keeper.alarm)
        routine.every(CHECKPOINT_EVERY_S, publisher.publish)
        await _open_doors(gateway, running)
        yield gateway


async def _open_doors(gateway: Gateway, running: AsyncExitStack) -> None:
    row, home = gateway.live.view().declared.gateway, gateway.home
    tls, listening = _tls(home, row), listener(*_address(row.listen))
    if gateway.crew is None:
        running.push_async_callback((await serve(gateway.agents, listening, tls=tls)).stop)
    else:
        running.callback(listening.close)
        running.push_async_callback(gateway.crew.stop)
        start = Start(command=(*WORKER, str(home.root)), listening=listening, passed=gateway.crew.passed)
        await gateway.crew.start(start, _main(gateway, gateway.crew))
    running.push_async_callback((await serve(gateway.people, unix_listener(home.socket))).stop)
    if row.people is not None:
        running.push_async_callback((await serve(gateway.people, listener(*_address(row.people)), tls=tls)).stop)


def _main(gateway: Gateway, crew: Crew) -> Main:
    """What this process does for its workers."""
    store = gateway.store

    def welcome(index: int) -> Welcome:
        return Welcome(
            moved=store.readable(),
            catalogue=gateway.text,
            url=gateway.url,
            index=index,
            workers=crew.size,
            token_key=gateway.token_key,
        )

    async def closed(intents: frozenset[int]) -> None:
        left = tuple(one for one in store.open_intents() if one.seq in intents)
        await recover(store, left, why="the worker that made the call ended before the outcome was recorded")

    return Main(
        store=store,
        welcome=welcome,
        observe=gateway.acts.contracts.observe,
        used=gateway.acts.tasks.heard_of,
        closed=closed,
    )


async def work(root: Path, line: socket.socket, *, passage: socket.socket, listening: socket.socket) -> None:
    """Serve agents as one worker of the gateway over `root`, until it is told to stop or the main process is gone.

    `line` and `passage` lead to the main process, `listening` is where agents connect.
    """
    home, random = Home(root), Randomness()
    told = Line()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.stopping.set)
    welcome, replica = await told.join(line)
    declared = load(welcome.catalogue, str(home.catalogue))
    live = Live(replica, declared, digest=digest(welcome.catalogue.encode()))
    replica.changed = live.changed
    owner = owners(declared, welcome.workers)
    inside = _inside(
        _Ground(home, live, welcome.token_key, random),
        replica.observe,
        proved=lambda anyone: Owned(anyone, owner, own=welcome.index),
    )
    door = Governed(inside.world, lambda: published(welcome.token_key, live.view()))
    told.end = inside.upstreams.end
    adopting: set[asyncio.Task[None]] = set()

    def adopt(passed: Passed) -> None:
        task = asyncio.ensure_future(server.adopt(*passed.taken()))
        adopting.add(task)
        task.add_done_callback(adopting.discard)

    passing = Passage(passage, adopt)
    server = await serve(
        agents_door(door, _settings(declared, welcome.url), hub=inside.hub),
        listening,
        tls=_tls(home, declared.gateway),
        divert=Router(owner, own=welcome.index, send=passing.send),
    )
    routine = Routine()
    routine.every(_FLUSH_S, inside.recorder.flush)
    told.ready()
    ended = [asyncio.create_task(one.wait()) for one in (told.stopping, told.lost, routine.broken)]
    await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
    if told.lost.is_set():
        # Nothing can be recorded any more, so nothing may be sent any more.
        await inside.upstreams.close()
        raise StoreFault("the gateway's main process is gone", "restart the gateway")
    told.leaving()
    await server.stop()
    await routine.stop()
    for close in inside.closing:
        await close()
    passing.close()
    told.close()


class _Held(NamedTuple):
    """What of a home is open: its store, the workers over it, and randomness for this process."""

    store: Sequencer
    crew: Crew | None
    random: Randomness


class _Ground(NamedTuple):
    """What a process that serves calls stands on. `token_key` is the public half."""

    home: Home
    live: Live
    token_key: Key
    random: Randomness


class _Inside(Struct, frozen=True, kw_only=True):
    """What a process that serves calls is made of."""

    upstreams: Upstreams
    hub: Hub
    tasks: Tasks
    authenticator: Authenticator
    recorder: Recorder
    world: World
    closing: tuple[Callable[[], Awaitable[None]], ...]


def _inside(
    ground: _Ground,
    observe: Callable[[str, Sequence[Contract]], Awaitable[None]],
    *,
    reached: Callable[[Upstreams], Upstreams] = lambda own: own,
    proved: Callable[[Authenticator], Authenticator] = lambda anyone: anyone,
) -> _Inside:
    """`observe` is told what tool servers say of themselves; `reached` and `proved` may put something around the
    upstreams and around who says who asks.
    """
    home, live, token_key, random = ground
    hub = Hub()
    live.refreshed = hub.refreshed
    upstreams = reached(Sessions(_known(live), observe, logs=home.state / "logs", overhears=hub))
    tasks = Tasks(live, upstreams, now=now_ms, new_id=random.new_id)
    fetcher = Fetcher(home.root)
    authenticator = proved(
        TokenAuthenticator(
            Standing(view=live.view, epoch=live.store.epoch, now_ms=now_ms),
            KeyDirectory(fetcher, now_ms),
            token_keys={token_key.kid: token_key},
        )
    )
    recorder = Recorder(live.store, now_ms)
    world = World(
        store=live.store,
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
    return _Inside(
        hub=hub,
        upstreams=upstreams,
        tasks=tasks,
        authenticator=authenticator,
        recorder=recorder,
        world=world,
        closing=(upstreams.close, fetcher.close, recorder.close),
    )


def _assembled(home: Home, text: str, *, held: _Held, via: str) -> Gateway:
    store, crew, random = held
    token_key = load_key(home.keys / "tokens.key")
    declared = load(text, str(home.catalogue))
    live = Live(store if crew is None else Shared(store, crew), declared, digest=digest(text.encode()))
    url = _url(declared.gateway)
    contracts = Contracts(live, now_ms)
    inside = _inside(
        _Ground(home, live, token_key.public, random),
        contracts.observe,
        reached=lambda own: own if crew is None else Everywhere(own, crew),
    )
    tasks, upstreams, authenticator = inside.tasks, inside.upstreams, inside.authenticator
    keeper = Keeper(live, upstreams, sequence=store.sequence, url=url, text=text)
    if crew is not None:
        keeper.workers = crew.status
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
        text=text,
        url=url,
        token_key=token_key.public,
        crew=crew,
        store=store,
        live=live,
        acts=acts,
        keeper=keeper,
        recorder=inside.recorder,
        world=inside.world,
        agents=agents_door(Governed(inside.world, domain.jwks), _settings(declared, url), hub=inside.hub),
        people=people_door(routes(acts), doorkeeper),
        closing=inside.closing,
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


def _tls(home: Home, row: GatewayRow) -> Tls | None:
    return Tls(home.root / row.tls_cert, home.root / row.tls_key) if row.tls_cert and row.tls_key else None


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
