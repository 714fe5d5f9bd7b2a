"""`python -m bench`: what a governed call costs. Writes bench/RESULTS.md and prints what is worth a line.

Whole calls first, round by round (`rounds.py`), then more of one thing at a time (`variations.py`), then the steps one
by one (`stages.py`). It fails when an answer is wrong, a ledger does not verify, or what is on record is not what was
called; never because of a time.
"""

import argparse
import asyncio
import os
import tempfile
from pathlib import Path
from typing import Final

from bench import results, variations
from bench.home import made
from bench.machine import ROOT, allow_files, cpus, described, free_port, started
from bench.results import Found
from bench.rounds import Round, Settings, one_round
from bench.stages import Costs, measured
from bench.variations import Spell

_FULL: Final = Settings(rounds=3, warm_s=0.5, measure_s=2.5)
_QUICK: Final = Settings(rounds=1, warm_s=0.1, measure_s=0.3)
_FULL_SPELL: Final = Spell(pairs=4, warm_s=0.3, measure_s=1.2)
_QUICK_SPELL: Final = Spell(pairs=1, warm_s=0.1, measure_s=0.2)


def main() -> None:
    """Run it, as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="half a minute: checks the benchmark, measures little")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "RESULTS.md", help="where the results go")
    options = parser.parse_args()
    settings = _QUICK if options.quick else _FULL
    machine = described()
    with tempfile.TemporaryDirectory(prefix="remit-bench-") as directory:
        root = Path(directory)
        os.sched_setaffinity(0, {cpus().rest})
        allow_files()
        rounds = [_round(root / f"round-{number}", settings, number) for number in range(1, settings.rounds + 1)]
        varied = variations.measured(
            root / "variations",
            variations.QUICK if options.quick else variations.FULL,
            _QUICK_SPELL if options.quick else _FULL_SPELL,
        )
        costs = _costs(root / "stages", rounds=3 if options.quick else 9, batch=50 if options.quick else 400)
    found = Found(machine, settings, rounds, varied, costs)
    results.write(found, options.out)
    print(results.summary(found))
    print(f"\nwritten to {options.out}")


def _round(root: Path, settings: Settings, number: int) -> Round:
    found = one_round(root, settings)
    print(f"round {number} of {settings.rounds}: {found.proof.calls:,} governed calls, every one proven", flush=True)
    return found


def _costs(root: Path, *, rounds: int, batch: int) -> Costs:
    """The steps, on the measured CPU, with a tool server on the other."""
    root.mkdir()
    upstream = free_port()
    with started(["-m", "bench.upstream", upstream], cpu=cpus().rest, log=root / "upstream.log", ports=[upstream]):
        desk = made(root, upstream)
        os.sched_setaffinity(0, {cpus().measured})
        return asyncio.run(measured(desk, rounds=rounds, batch=batch))


if __name__ == "__main__":
    main()
