"""`python -m bench.peers`: Remit beside other gateways, same tool server, same load, same run. Writes bench/PEERS.md.

All of them stand on the measured CPU at once and are called in turn, round by round, so that what the machine does
meanwhile meets all. Before that each is asked a few questions (`probes.py`). A gateway that cannot be made to run is
left out, and why is written down. Remit's calls end with the proof, as in `make bench`.
"""

import argparse
import asyncio
import os
import subprocess
import tempfile
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Final, NamedTuple

from bench import tools
from bench.cells import Cell, Governed, Ground, Lane, cell, governed_cell
from bench.home import made
from bench.load import Calls, Pace, Place, Wrong
from bench.machine import ROOT, allow_files, cpus, described, free_port, started
from bench.peers import results
from bench.peers.gateways import PEERS
from bench.peers.probes import Probed, probed
from bench.peers.results import BARE, DIRECT, REMIT, Found, Row
from bench.proof import Unproven, proven

_CALLERS: Final = (1, 16)


class Settings(NamedTuple):
    """How long: rounds, and seconds for each lane at each concurrency in each."""

    rounds: int
    warm_s: float
    measure_s: float


class _Scene(NamedTuple):
    ground: Ground
    remit: Governed
    lanes: dict[str, tuple[Lane, Calls]]

    def measured(self, name: str, pace: Pace) -> Cell:
        if name == REMIT:
            return governed_cell(self.ground, self.remit, Calls(tools.READ), pace=pace)
        lane, calls = self.lanes[name]
        return cell(self.ground, lane, calls, pace)


def main() -> None:
    """Run it, as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="checks the comparison, measures little")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "PEERS.md", help="where the results go")
    options = parser.parse_args()
    settings = Settings(1, 1.0, 4.0) if options.quick else Settings(3, 1.0, 4.0)
    machine = described()
    with tempfile.TemporaryDirectory(prefix="remit-bench-") as directory:
        os.sched_setaffinity(0, {cpus().rest})
        allow_files()
        found = _found(Path(directory), settings)
    results.write(found, machine, options.out)
    print(f"written to {options.out}")


def _found(root: Path, settings: Settings) -> Found:
    upstream, bare = free_port(), free_port()
    at, url = cpus(), f"http://127.0.0.1:{upstream}/mcp"
    with ExitStack() as running:
        enter = running.enter_context
        enter(started(["-m", "bench.upstream", upstream], cpu=at.rest, log=root / "upstream.log", ports=[upstream]))
        passing = enter(started(["-m", "bench.bare", bare, url], cpu=at.measured, log=root / "bare.log", ports=[bare]))
        desk = made(root, upstream)
        scene = _Scene(Ground(upstream, iter(tools.SERIALS)), Governed(desk, enter(desk.gateway()), []), {})
        scene.lanes[DIRECT] = Lane(Place(upstream, "/mcp")), Calls(tools.READ)
        scene.lanes[BARE] = Lane(Place(bare, "/mcp"), passing), Calls(tools.READ)
        missing = _peers(root, scene, running)
        rows = _measured(scene, settings, missing)
    proof = asyncio.run(proven(desk, scene.remit.claims, root / "export"))
    return Found(rows, missing, proof, rounds=settings.rounds, measure_s=settings.measure_s)


def _peers(root: Path, scene: _Scene, running: ExitStack) -> dict[str, str]:
    """Start all that start; of the others, why not."""
    missing: dict[str, str] = {}
    for peer in PEERS:
        try:
            scene.lanes[peer.name] = running.enter_context(peer.start(root, scene.ground.upstream))
            print(f"{peer.name} runs", flush=True)
        except (RuntimeError, OSError, subprocess.SubprocessError, StopIteration) as e:
            missing[peer.name] = str(e)
            print(f"{peer.name} does not run: {e}", flush=True)
    return missing


def _measured(scene: _Scene, settings: Settings, missing: dict[str, str]) -> list[Row]:
    """Ask and measure every lane. A gateway that fails a call joins `missing`."""
    answers = _asked(scene, missing)
    cells: dict[str, dict[int, list[Cell]]] = {name: {callers: [] for callers in _CALLERS} for name in answers}
    for number, callers in product(range(1, settings.rounds + 1), _CALLERS):
        pace = Pace(callers, settings.warm_s, settings.measure_s, least=2 * callers)
        for name in [name for name in answers if name not in missing]:
            try:
                cells[name][callers].append(scene.measured(name, pace))
            except (Wrong, Unproven) as e:
                if name not in scene.lanes or name in (DIRECT, BARE):
                    raise
                missing[name] = f"with {callers} callers: {e}"
        print(f"round {number} of {settings.rounds}, {callers} callers", flush=True)
    return [Row(name, cells[name], _memory(scene, name), answers[name]) for name in answers if name not in missing]


def _asked(scene: _Scene, missing: dict[str, str]) -> dict[str, Probed]:
    """What each lane says to the probes, in the order of the tables."""
    opened = scene.remit.desk.open()
    calls = Calls(tools.READ, headers=[one.headers for one in opened])
    own = list(scene.lanes.items())
    answers: dict[str, Probed] = {}
    for name, (lane, called) in (*own[:2], (REMIT, (scene.remit.lane, calls)), *own[2:]):
        try:
            answers[name] = probed(scene.ground, lane, called)
        except (RuntimeError, OSError) as e:
            missing[name] = str(e)
    scene.remit.desk.complete(opened)
    return answers


def _memory(scene: _Scene, name: str) -> float:
    process = scene.remit.process if name == REMIT else scene.lanes[name][0].process
    return process.memory_mb() if process else 0.0


if __name__ == "__main__":
    main()
