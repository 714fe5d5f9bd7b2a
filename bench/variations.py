"""What changes when there is more of one thing: policies, tools, open tasks, larger arguments, idle sessions.

Each variation differs from the base case in that one thing and is measured beside it: two gateways stand on the
measured CPU, each called in turn for a moment, again and again, so that what the machine does meanwhile meets both.
What counts is the ratio within a pair, the median over pairs. Both ledgers end with the proof.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from msgspec import Struct

from bench import tools
from bench.cells import Cell, Governed, Ground, governed_cell, middle
from bench.home import Opened, Size, made
from bench.idle import sessions
from bench.load import Calls, Pace
from bench.machine import cpus, free_port, started
from bench.proof import Proof, proven

BASE: Final = Size()
# How much fewer calls per second than in the base case there may be where they should not depend on it.
FLAT: Final = 0.2


class Variation(Struct, frozen=True, kw_only=True):
    """One departure from the base case. `flat` says that it should make no difference, `note` what else it brings."""

    name: str
    size: Size = BASE
    lines: int = 0
    flat: bool = False
    note: str = ""


class Spell(Struct, frozen=True, kw_only=True):
    """How long variations are measured: so many pairs at each concurrency, seconds for each half of a pair."""

    pairs: int
    warm_s: float
    measure_s: float
    concurrencies: tuple[int, ...] = (1, 16)


class Pair(NamedTuple):
    """The base case and the variation, one after the other."""

    base: Cell
    varied: Cell


class Varied(NamedTuple):
    """What one variation brought. `made_s` is what its home took to make, `memory_mb` the gateway's at the end."""

    variation: Variation
    pairs: dict[int, list[Pair]]
    made_s: float
    memory_mb: float
    note: str

    def median(self, concurrency: int) -> Cell:
        return middle([pair.varied for pair in self.pairs[concurrency]])

    def per_s(self, concurrency: int) -> float:
        """Calls per second against the base case."""
        return median(pair.varied.per_s / pair.base.per_s for pair in self.pairs[concurrency])

    def cpu(self, concurrency: int) -> float:
        """CPU a call against the base case."""
        return median(pair.varied.cpu_us / pair.base.cpu_us for pair in self.pairs[concurrency])

    def is_flat(self) -> bool:
        return all(self.per_s(concurrency) >= 1 - FLAT for concurrency in self.pairs)


class Variations(NamedTuple):
    """All of them, the base case's own figures by concurrency, its gateway's memory at the end, and the proofs."""

    varied: list[Varied]
    base: dict[int, Cell]
    base_mb: float
    proofs: list[Proof]


FULL: Final = (
    Variation(name="1,000 policies", size=Size(policies=1_000), flat=True, note="and 990 more actions"),
    Variation(name="10,000 policies", size=Size(policies=10_000), flat=True, note="and 9,990 more actions"),
    Variation(name="2,000 tools", size=Size(tools=2_000), flat=True),
    Variation(name="10,000 open tasks", size=Size(tasks=10_000), flat=True, note="each caller under its own"),
    Variation(name="arguments of 1 KB", lines=10),
    Variation(name="arguments of 100 KB", lines=1_200),
    Variation(name="1,000 idle sessions", size=Size(sessions=1_000), flat=True),
)
# The same departures, none of them far: what is checked is the benchmark.
QUICK: Final = (
    Variation(name="60 policies, 50 tools", size=Size(policies=60, tools=50), flat=True, note="and 42 more actions"),
    Variation(name="40 tasks, 20 idle sessions", size=Size(tasks=40, sessions=20), flat=True),
    Variation(name="arguments of 1 KB", lines=10),
    Variation(name="arguments of 100 KB", lines=1_200),
)


def measured(root: Path, variations: Sequence[Variation], spell: Spell) -> Variations:
    """Every variation beside the base case. Raises `Wrong`, `Unproven` or `Unverified` where something is wrong."""
    root.mkdir()
    upstream = free_port()
    with started(["-m", "bench.upstream", upstream], cpu=cpus().rest, log=root / "upstream.log", ports=[upstream]):
        ground = Ground(upstream, iter(tools.SERIALS))
        found, proofs = [], []
        desk = made(root / "base", upstream)
        with desk.gateway() as process:
            base = Governed(desk, process, [])
            for number, variation in enumerate(variations):
                varied, proof = _varied(root / f"varied-{number}", variation, base, ground=ground, spell=spell)
                found.append(varied)
                proofs += proof
                print(f"{variation.name}: measured beside the base case, every call proven", flush=True)
            base_mb = process.memory_mb()
        proofs.append(asyncio.run(proven(desk, base.claims, root / "export")))
    cells = {
        concurrency: middle([pair.base for varied in found for pair in varied.pairs[concurrency]])
        for concurrency in spell.concurrencies
    }
    return Variations(found, cells, base_mb, proofs)


def _varied(
    root: Path, variation: Variation, base: Governed, *, ground: Ground, spell: Spell
) -> tuple[Varied, list[Proof]]:
    if variation.size == BASE:  # the same gateway, asked differently
        pairs = _pairs(_Beside(ground, base, base, None), variation, spell)
        return Varied(variation, pairs, 0.0, base.process.memory_mb(), variation.note), []
    began = time.monotonic()
    desk = made(root, ground.upstream, variation.size)
    with desk.gateway() as process, sessions(desk, variation.size.sessions) as streams:
        governed = Governed(desk, process, [])
        tasks = desk.open(variation.size.tasks) if variation.size.tasks > 1 else None
        made_s = time.monotonic() - began
        pairs = _pairs(_Beside(ground, base, governed, tasks), variation, spell)
        note = f"{streams:,} of them with an open stream" if variation.size.sessions else variation.note
        varied = Varied(variation, pairs, made_s, process.memory_mb(), note)
    return varied, [asyncio.run(proven(desk, governed.claims, root / "export"))]


class _Beside(NamedTuple):
    """Two gateways on the same ground. `tasks` are those the varied one is called under, a caller each."""

    ground: Ground
    base: Governed
    varied: Governed
    tasks: Sequence[Opened] | None


def _pairs(beside: _Beside, variation: Variation, spell: Spell) -> dict[int, list[Pair]]:
    """Both in turn, at each concurrency, again and again."""
    ground, tasks = beside.ground, beside.tasks
    plain, calls = Calls(tools.READ), Calls(tools.READ, lines=variation.lines)
    found: dict[int, list[Pair]] = {concurrency: [] for concurrency in spell.concurrencies}
    for _ in range(spell.pairs):
        for concurrency, pairs in found.items():
            pace = Pace(concurrency, spell.warm_s, spell.measure_s)
            base = governed_cell(ground, beside.base, plain, pace=pace)
            own = tasks[:concurrency] if tasks else None
            pairs.append(Pair(base, governed_cell(ground, beside.varied, calls, pace=pace, tasks=own)))
    return found
