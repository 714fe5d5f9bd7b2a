"""Whole calls, side by side: straight to the tool server, through the bare pass-through, through Remit.

A round goes through every lane at every concurrency, so that what the machine does meanwhile meets all of them; results
are medians over rounds. Then each lane is paced at half of what Remit managed in that round, for the tail a gateway has
that is not driven to its end. Each round has a home, a gateway and a ledger of its own, and ends with the proof.
"""

import asyncio
import itertools
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct

from bench import tools
from bench.cells import Cell, Governed, Ground, Lane, cell, governed_cell, middle
from bench.home import made
from bench.load import Calls, Pace, Place
from bench.machine import cpus, free_port, started
from bench.proof import Proof, proven

DIRECT: Final = "direct"
BARE: Final = "pass-through"
READ: Final = "Remit, read"
WRITE: Final = "Remit, write"
LANES: Final = (DIRECT, BARE, READ, WRITE)
HALF: Final = 0.5


class Settings(Struct, frozen=True, kw_only=True):
    """How long a run is. Seconds, for each lane at each concurrency in each round. `callers` are those at half load."""

    rounds: int
    warm_s: float
    measure_s: float
    concurrencies: tuple[int, ...] = (1, 16, 64)
    callers: int = 64


class Round(NamedTuple):
    """What one round found. `paced` are the lanes at half load; `memory_mb` is the gateway's, before and after."""

    cells: dict[tuple[str, int], Cell]
    paced: dict[str, Cell]
    memory_mb: tuple[float, float]
    proof: Proof


class _Scene(NamedTuple):
    ground: Ground
    lanes: dict[str, Lane]
    governed: Governed

    def measured(self, lane: str, pace: Pace) -> Cell:
        if lane in self.lanes:
            return cell(self.ground, self.lanes[lane], Calls(tools.READ), pace)
        tool = tools.WRITE if lane == WRITE else tools.READ
        return governed_cell(self.ground, self.governed, Calls(tool), pace=pace)


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
            ground = Ground(upstream, iter(tools.SERIALS))
            lanes = {DIRECT: Lane(Place(upstream, "/mcp")), BARE: Lane(Place(bare, "/mcp"), bare_process)}
            scene = _Scene(ground, lanes, Governed(desk, gateway, []))
            before = gateway.memory_mb()
            cells = {
                (lane, concurrency): scene.measured(lane, Pace(concurrency, settings.warm_s, settings.measure_s))
                for concurrency, lane in itertools.product(settings.concurrencies, LANES)
            }
            most = max(cells[READ, concurrency].per_s for concurrency in settings.concurrencies)
            half = Pace(settings.callers, settings.warm_s, settings.measure_s, per_s=most * HALF)
            paced = {lane: scene.measured(lane, half) for lane in (DIRECT, BARE, READ)}
            memory = before, gateway.memory_mb()
    return Round(cells, paced, memory, asyncio.run(proven(desk, scene.governed.claims, root / "export")))


def medians(rounds: list[Round]) -> dict[tuple[str, int], Cell]:
    """Every cell's median over rounds."""
    return {key: middle([one.cells[key] for one in rounds]) for key in rounds[0].cells}
