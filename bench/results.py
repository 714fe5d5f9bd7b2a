"""RESULTS.md: what a run found, as tables; and in a line each, whether the bar was reached and what bounds it.

Everything said is computed from the run. The ratio of two figures of one round says more than the figures, which are
those of one machine on one day.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from bench.rounds import BARE, DIRECT, LANES, READ, Cell, Round, Settings, middle
from bench.stages import Cost, Costs

BAR_PER_S: Final = 1_500
BAR_ADDED_US: Final = 1_500
_FULL: Final = 0.9


class Found(NamedTuple):
    """Everything a run found."""

    machine: Mapping[str, str]
    settings: Settings
    rounds: list[Round]
    costs: Costs


class Bar(NamedTuple):
    """The bar and what was measured: governed calls a second on one core, microseconds added at p50 and p99."""

    per_s: float
    at: int
    added_p50_us: float
    added_p99_us: float


def bar(found: Found) -> Bar:
    """Throughput at whatever concurrency gives most; latency added by the gateway to one caller at a time."""
    cells = middle(found.rounds)
    least = min(found.settings.concurrencies)
    best = max(found.settings.concurrencies, key=lambda concurrency: cells[READ, concurrency].per_s)

    pairs = [(one.cells[READ, least], one.cells[DIRECT, least]) for one in found.rounds]
    return Bar(
        cells[READ, best].per_s,
        best,
        added_p50_us=median(governed.p50_us - direct.p50_us for governed, direct in pairs),
        added_p99_us=median(governed.p99_us - direct.p99_us for governed, direct in pairs),
    )


def written(found: Found) -> str:
    """The whole file."""
    parts = (_head(found), _bar(found), _whole(found), _steps(found.costs), _bounds(found), _proof(found))
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def write(found: Found, file: Path) -> None:
    """Write the file anew."""
    file.write_text(written(found), encoding="utf-8")


def summary(found: Found) -> str:
    """What is worth a line on the screen."""
    return "\n".join(line for line in (*_bar(found), "", *_bounds(found)[2:]) if line)


def _head(found: Found) -> list[str]:
    settings = found.settings
    return [
        "# Results of `make bench`",
        "",
        "Governed means all of it: a token checked, an open task, a pinned contract, the starter policies, an intent",
        "durable (SQLite, `synchronous=FULL`) before the call is sent, an outcome on record before the answer. Raised",
        "for the benchmark are limits only: the agent's calls per second and in flight, the task's calls.",
        "",
        *_table(("", ""), found.machine.items()),
        "",
        f"Rounds: {settings.rounds}. In each, every lane at every concurrency, {settings.measure_s:g} s measured after",
        f"{settings.warm_s:g} s of warming up. Figures are medians over rounds.",
        "The lanes: straight to the tool server; through a pass-through, the same HTTP server and client deciding",
        "nothing; through Remit, calling a read and a write tool. Every call has arguments of its own.",
    ]


def _bar(found: Found) -> list[str]:
    measured = bar(found)
    rows = (
        (
            "governed calls per second on one core",
            f"≥ {BAR_PER_S:,}",
            f"{measured.per_s:,.0f} (at {measured.at})",
            _reached(measured.per_s >= BAR_PER_S),
        ),
        (
            "added to the median of one caller",
            f"≤ {_ms(BAR_ADDED_US)}",
            _ms(measured.added_p50_us),
            _reached(measured.added_p50_us <= BAR_ADDED_US),
        ),
        ("added to the 99th percentile of one caller", "", _ms(measured.added_p99_us), ""),
    )
    return ["## The bar", "", *_table(("", "bar", "measured", ""), rows)]


def _whole(found: Found) -> list[str]:
    cells = middle(found.rounds)
    header = ("lane", "callers", "calls/s", "p50", "p99", "CPU a call", "core busy", "calls/s against pass-through")
    rows = [
        (
            lane,
            concurrency,
            f"{cell.per_s:,.0f}",
            _ms(cell.p50_us),
            _ms(cell.p99_us),
            f"{cell.cpu_us:,.0f} µs" if lane != DIRECT else "",
            f"{cell.busy:.0%}" if lane != DIRECT else "",
            "" if lane in (DIRECT, BARE) else f"{_ratio(found.rounds, lane, concurrency):.2f}",
        )
        for concurrency in found.settings.concurrencies
        for lane in LANES
        for cell in [cells[lane, concurrency]]
    ]
    load = max(cell.load_us for cell in cells.values())
    before, after = (median(one.memory_mb[at] for one in found.rounds) for at in (0, 1))
    calls = median(one.proof.calls for one in found.rounds)
    return [
        "## Whole calls",
        "",
        *_table(header, rows),
        "",
        f"CPU is the process's own, all threads, user and system. The load itself took at most {load:.0f} µs a call.",
        f"The gateway's memory: {before:.0f} MB before, {after:.0f} MB after {calls:,.0f} governed calls.",
    ]


def _steps(costs: Costs) -> list[str]:
    durable = [
        (one.writers, _ms(one.waited_us), f"{one.loop_us:.0f} µs", f"{one.thread_us:.0f} µs") for one in costs.durable
    ]
    return [
        "## One call, step by step",
        "",
        "One after the other in one process, CPU of the event loop's thread.",
        "",
        *_table(("step", "", "CPU"), _lines(costs.steps)),
        *_table_end("", "**all steps**", f"**{_steps_us(costs):.0f} µs**"),
        "",
        *_table(("beside", "", "CPU"), _lines(costs.beside)),
        *_table_end("10 forward", "one exchange with the tool server, alone", f"{costs.forwarded_us:.0f} µs"),
        "",
        "A durable write, of which a read waits for one and a write for two:",
        "",
        *_table(("writers at once", "waited", "CPU of the loop", "CPU of the writer thread"), durable),
    ]


def _bounds(found: Found) -> list[str]:
    cells, most = middle(found.rounds), max(found.settings.concurrencies)
    governed, bare, mixed = cells[READ, most], cells[BARE, most], found.costs.mixed
    parts = (
        ("HTTP server and client, as in the pass-through", bare.cpu_us),
        ("door and flow, sequencing included, with everything at hand but HTTP", mixed.loop_us),
        (f"the store's writer thread, with {mixed.callers} callers", mixed.thread_us),
    )
    full = governed.busy >= _FULL
    what = "The core bounds it" if full else "The core has time left, calls wait for the disk or the load"
    return [
        "## What bounds it",
        "",
        f"{what}: at {most} callers it is {governed.busy:.0%} busy; a governed read takes {governed.cpu_us:,.0f} µs.",
        "The parts were measured apart, so they need not add up:",
        "",
        *_table(("", "CPU a call", ""), ((name, f"{us:.0f} µs", f"{us / governed.cpu_us:.0%}") for name, us in parts)),
    ]


def _proof(found: Found) -> list[str]:
    receipts = sum(one.proof.receipts for one in found.rounds)
    calls = sum(one.proof.calls for one in found.rounds)
    return [
        "## Proof",
        "",
        f"After each round the ledger was exported and verified offline; {len(found.rounds)} ledgers hold {receipts:,}",
        f"receipts of {calls:,} governed calls. For each task, the calls made, the calls that arrived with these",
        "arguments at the tool server, the intents with these calls' digests and the outcomes `completed` are the same",
        "number; otherwise there would be no results. Warming up is counted too.",
    ]


def _steps_us(costs: Costs) -> float:
    return sum(cost.us for cost in costs.steps)


def _ratio(rounds: Sequence[Round], lane: str, concurrency: int) -> float:
    """Calls per second against the pass-through of the same round, the median over rounds."""

    def per_s(one: Round, of: str) -> float:
        cell: Cell = one.cells[of, concurrency]
        return cell.per_s

    return median(per_s(one, lane) / per_s(one, BARE) for one in rounds)


def _lines(costs: Iterable[Cost]) -> list[tuple[str, str, str]]:
    return [(cost.step, cost.what, f"{cost.us:.1f} µs") for cost in costs]


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    return [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}", *(_row(row) for row in rows)]


def _table_end(*row: str) -> list[str]:
    return [_row(row)]


def _row(row: Sequence[object]) -> str:
    return f"| {' | '.join(str(one) for one in row)} |"


def _reached(reached: bool) -> str:
    return "reached" if reached else "**not reached**"


def _ms(us: float) -> str:
    return f"{us / 1000:.2f} ms"
