"""Whole calls, side by side: straight to the tool server, through the bare pass-through, through Remit.

A round goes through every lane at every concurrency, so that what the machine does meanwhile meets all of them; results
are medians over rounds. Each round has a home, a gateway and a ledger of its own, and ends with the proof.
"""

import asyncio
import hashlib
import http.client
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import msgspec
import uvloop
from msgspec import Struct

from bench import tools
from bench.home import Desk, Opened, made
from bench.load import Load, Place, Window
from bench.machine import Process, cpus, free_port, started
from bench.proof import Claim, Proof, Unproven, proven
from bench.upstream import digest_of

DIRECT: Final = "direct"
BARE: Final = "pass-through"
READ: Final = "Remit, read"
WRITE: Final = "Remit, write"
LANES: Final = (DIRECT, BARE, READ, WRITE)


class Settings(Struct, frozen=True, kw_only=True):
    """How long a run is. Seconds, for each lane at each concurrency in each round."""

    rounds: int
    warm_s: float
    measure_s: float
    concurrencies: tuple[int, ...] = (1, 16, 64)


class Cell(Struct, frozen=True, kw_only=True):
    """One lane at one concurrency. Times are microseconds; `cpu_us` and `busy` are the measured process's, CPU a call
    and the share of its core; `load_us` is what a call cost the load itself.
    """

    per_s: float
    p50_us: float
    p99_us: float
    cpu_us: float
    busy: float
    load_us: float


class Round(NamedTuple):
    """What one round found. `memory_mb` is the gateway's before and after its calls."""

    cells: dict[tuple[str, int], Cell]
    memory_mb: tuple[float, float]
    proof: Proof


class Scene(NamedTuple):
    """The processes of a round, and what numbers its calls."""

    desk: Desk
    upstream: int
    bare: tuple[int, Process]
    gateway: Process
    serials: Iterator[int]


def one_round(root: Path, settings: Settings) -> Round:
    """Every lane at every concurrency. Raises `Wrong`, `Unproven` or `Unverified` where something is wrong."""
    root.mkdir()
    upstream, bare = free_port(), free_port()
    at = cpus()
    with started(["-m", "bench.upstream", upstream], cpu=at.rest, log=root / "upstream.log", ports=[upstream]):
        desk = made(root, upstream)
        url = f"http://127.0.0.1:{upstream}/mcp"
        passing = started(["-m", "bench.bare", bare, url], cpu=at.measured, log=root / "bare.log", ports=[bare])
        with passing as bare_process, desk.gateway() as gateway:
            scene = Scene(desk, upstream, (bare, bare_process), gateway, serials=iter(tools.SERIALS))
            cells: dict[tuple[str, int], Cell] = {}
            claims: list[Claim] = []
            before = gateway.memory_mb()
            for concurrency, lane in itertools.product(settings.concurrencies, LANES):
                cells[lane, concurrency] = _cell(scene, lane, concurrency, settings=settings, claims=claims)
            memory = before, gateway.memory_mb()
    return Round(cells, memory, asyncio.run(proven(desk, claims, root / "export")))


def _cell(scene: Scene, lane: str, concurrency: int, *, settings: Settings, claims: list[Claim]) -> Cell:
    tool = tools.WRITE if lane == WRITE else tools.READ
    place, process, opened = _way(scene, lane)
    _arrived(scene.upstream)
    load = Load(place, tool, serials=scene.serials, headers=opened.headers)
    usage = process.cpu_s if process else lambda: 0.0
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        window = runner.run(load.run(concurrency, warm_s=settings.warm_s, measure_s=settings.measure_s, usage=usage))
    _check_arrivals(load, _arrived(scene.upstream))
    if opened.task:
        claims.append(Claim(opened.task, tool, tuple(load.sent)))
    return _cell_of(window)


def _way(scene: Scene, lane: str) -> tuple[Place, Process | None, Opened]:
    """Where a lane's calls go, whose CPU counts, and for a governed one its task."""
    if lane == DIRECT:
        return Place(scene.upstream, "/mcp"), None, Opened("", {})
    if lane == BARE:
        return Place(scene.bare[0], "/mcp"), scene.bare[1], Opened("", {})
    return Place(scene.desk.port, scene.desk.path), scene.gateway, scene.desk.open()


def middle(rounds: list[Round]) -> dict[tuple[str, int], Cell]:
    """The median over rounds, figure by figure."""
    return {
        key: Cell(**{name: median(getattr(one.cells[key], name) for one in rounds) for name in Cell.__struct_fields__})
        for key in rounds[0].cells
    }


def _cell_of(window: Window) -> Cell:
    taken = sorted(window.latencies)
    if not taken:
        raise Unproven("no call was answered while it was measured")
    used = window.used[1] - window.used[0]
    return Cell(
        per_s=len(taken) / window.seconds,
        p50_us=taken[len(taken) // 2] / 1000,
        p99_us=taken[len(taken) * 99 // 100] / 1000,
        cpu_us=used / len(taken) * 1e6,
        busy=used / window.seconds,
        load_us=window.own_s / len(taken) * 1e6,
    )


def _arrived(upstream: int) -> Mapping[str, object]:
    connection = http.client.HTTPConnection("127.0.0.1", upstream, timeout=10)
    try:
        connection.request("GET", "/seen")
        found: Mapping[str, object] = msgspec.json.decode(connection.getresponse().read())
        return found
    finally:
        connection.close()


def _check_arrivals(load: Load, seen: Mapping[str, object]) -> None:
    made_calls = [hashlib.sha256(tools.arguments(serial)).digest() for serial in load.sent]
    if load.answered != len(load.sent) or seen != {"calls": len(made_calls), "arguments": digest_of(made_calls)}:
        raise Unproven(f"{len(load.sent)} calls were made, {load.answered} answered, the tool server saw {seen}")
