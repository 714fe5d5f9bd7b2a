"""A gateway lives through crashing, hanging and babbling tool servers, clients that leave, and rules that change.

The short form takes about a minute; `make soak` lasts REMIT_SOAK_MINUTES (30). REMIT_SOAK_RATE is the calls a second
(half of what the smallest machine carries), REMIT_SOAK_SEED repeats a run's dice.
"""

import asyncio
import faulthandler
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.soak.reckoning import Reckoning, Record
from tests.soak.season import Season, a_season
from tests.soak.watching import Sample, below, running

pytestmark = [pytest.mark.slow, pytest.mark.soak]

MINUTES = float(os.environ.get("REMIT_SOAK_MINUTES") or 0.6)
RATE = float(os.environ.get("REMIT_SOAK_RATE") or 150)
SEED = int(os.environ.get("REMIT_SOAK_SEED") or time.time())
MEBIBYTE = 1024 * 1024

# What may be there at the end and was not at the start: connections to tool servers that are kept for a while.
DESCRIPTORS_SPARE = 8
THREADS_SPARE = 4
# By how much memory may grow between two thirds of a run: arenas, caches that fill to their bounds (verified tokens,
# kinds of denials, compiled slices), answers of 16 MiB in flight. What each call leaks adds up to more in a long run.
MEMORY_SPARE = 24 * MEBIBYTE
# What stays of an ended task: its row, its counters, its number of receipts.
TASK_BYTES = 16 * 1024


@pytest.mark.holds("LIMIT-STEADY", "INV-01", "INV-01-ONCE", "INV-09")
async def test_nothing_grows_and_nothing_is_missing_from_the_record(tmp_path: Path) -> None:
    faulthandler.cancel_dump_traceback_later()  # it is meant to last
    print(f"\nREMIT_SOAK_SEED={SEED} REMIT_SOAK_MINUTES={MINUTES:g} REMIT_SOAK_RATE={RATE:g}")
    with a_season(tmp_path, SEED) as season:
        before = season.watch.look()
        saved = tmp_path / "checkpoint"
        saved.write_bytes(season.house.checkpoint())
        await season.live(seconds=MINUTES * 60, rate=RATE)
        after = await season.settled(lambda now: not _left(before, now))
        own = below(season.watch.pid)
        assert await asyncio.to_thread(season.house.stop) == 0
        exported = tmp_path / "exported"
        _remit("ledger", "export", str(exported), "--home", str(season.house.home.root))
        _remit("ledger", "verify", str(exported), "--checkpoint", str(saved), "--key", season.house.key().text)
        record = await asyncio.to_thread(Record, exported)
        _tell(season, record, before, after)
        reckoning = Reckoning(record, season.crowd.notes, season.servers.arrived())
        faults = [*season.faults, *_left(before, after), *_grown(season), *_unforeseen(season), *reckoning.faults()]
        faults += [f"process {pid} outlived the gateway" for pid in own if running(pid)]
        assert not faults, f"{len(faults)} faults, seed {SEED}:\n" + "\n".join(faults[:20])


def _left(before: Sample, now: Sample) -> list[str]:
    """What should have gone when everybody went home."""
    found = []
    if now.descriptors > before.descriptors + DESCRIPTORS_SPARE:
        found.append(f"{now.descriptors} descriptors are open, {before.descriptors} were at the start")
    if now.children > before.children:
        found.append(f"{now.children} processes run, {before.children} did at the start")
    if now.threads > before.threads + THREADS_SPARE:
        found.append(f"{now.threads} threads run, {before.threads} did at the start")
    return found


def _grown(season: Season) -> list[str]:
    """What grew while the same was going on."""
    watch, opened = season.watch, season.tasks_opened
    spare = {"rss": MEMORY_SPARE + opened * TASK_BYTES, "descriptors": 64, "threads": 8, "children": 6}
    grown = {what: watch.growth(what) for what in spare}
    return [
        f"{what} grew by {grown[what]:g}, {most} is explained" for what, most in spare.items() if grown[what] > most
    ]


def _unforeseen(season: Season) -> list[str]:
    log = season.house.log
    return [f"the gateway's log: {log[-4000:]}"] if "Traceback" in log else []


def _remit(*command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "remit.edge.cli", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command[:2]}: {done.stdout} {done.stderr}"


def _tell(season: Season, record: Record, before: Sample, after: Sample) -> None:
    notes = season.crowd.notes
    outcomes = Counter(outcome.outcome for outcome in record.outcomes.values())
    print(f"acts {dict(notes.acts)}, connections that broke {dict(notes.lost)}")
    print(f"statuses {dict(notes.statuses)}, calls {notes.asked}, released {len(notes.released)}")
    print(f"receipts {dict(record.kinds)}, outcomes {dict(outcomes)}, denials {dict(record.denied)}")
    print(f"tasks {season.tasks_opened}, before {before}, after {after}")
    for sample in season.watch.samples[:: max(1, len(season.watch.samples) // 20)]:
        print(f"  {sample}")
