"""RESULTS.md: what a run found, as tables; and in a line each, whether the bar was reached and what bounds it.

Everything said is computed from the run. The ratio of two figures of one round says more than the figures, which are
those of one machine on one day.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from bench import tools
from bench.bars import bars, lines as bar_lines
from bench.cells import Cell, middle
from bench.rounds import BARE, DIRECT, LANES, READ, Round, Settings, medians
from bench.stages import Cost, Costs
from bench.tables import ms, row, table
from bench.variations import BASE, Variations, Varied

_FULL: Final = 0.9


class Found(NamedTuple):
    """Everything a run found."""

    machine: Mapping[str, str]
    settings: Settings
    rounds: list[Round]
    variations: Variations
    costs: Costs


def written(found: Found) -> str:
    """The whole file."""
    parts = (
        *(_head(found), _bars(found), _whole(found), _half(found.rounds), _varied(found.variations)),
        *(_steps(found.costs), _bounds(found), _proof(found)),
    )
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def write(found: Found, file: Path) -> None:
    """Write the file anew."""
    file.write_text(written(found), encoding="utf-8")


def summary(found: Found) -> str:
    """What is worth a line on the screen."""
    return "\n".join(line for line in (*_bars(found), "", *_bounds(found)[2:]) if line)


def _head(found: Found) -> list[str]:
    settings = found.settings
    return [
        "# Results of `make bench`",
        "",
        "Governed means all of it: a token checked, an open task, a pinned contract, policies, an intent durable",
        "(SQLite, `synchronous=FULL`) before the call is sent, an outcome on record before the answer. Raised for the",
        "benchmark are limits only: calls per second, calls in flight, open tasks and sessions of the agent, calls of",
        "the task.",
        "",
        f"The base case: {BASE.policies} policies, which are the starting set and one for each tool that is called,",
        f"with a condition over its arguments; {BASE.tools} tools; one open task; arguments of {_bytes()} bytes.",
        "",
        *table(("", ""), found.machine.items()),
        "",
        f"Rounds: {settings.rounds}. In each, every lane at every concurrency, {settings.measure_s:g} s measured after",
        f"{settings.warm_s:g} s of warming up. Figures are medians over rounds.",
        "The lanes: straight to the tool server; through a pass-through, the same HTTP server and client deciding",
        "nothing; through Remit, calling a read and a write tool. Every call has arguments of its own.",
    ]


def _bars(found: Found) -> list[str]:
    return bar_lines(bars(found.settings, found.rounds, found.variations))


def _whole(found: Found) -> list[str]:
    cells = medians(found.rounds)
    header = ("lane", "callers", "calls/s", "p50", "p99", "CPU a call", "core busy", "calls/s against pass-through")
    rows = [
        (
            lane,
            concurrency,
            f"{cell.per_s:,.0f}",
            ms(cell.p50_us),
            ms(cell.p99_us),
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
        *table(header, rows),
        "",
        f"CPU is the process's own, all threads, user and system. The load itself took at most {load:.0f} µs a call.",
        f"The gateway's memory: {before:.0f} MB before, {after:.0f} MB after {calls:,.0f} governed calls.",
    ]


def _half(rounds: Sequence[Round]) -> list[str]:
    cells = {lane: middle([one.paced[lane] for one in rounds]) for lane in rounds[0].paced}
    rows = [(lane, f"{cell.per_s:,.0f}", ms(cell.p50_us), ms(cell.p99_us)) for lane, cell in cells.items()]
    return [
        "## At half load",
        "",
        "Calls fall due evenly, at half the rate Remit managed at most in the same round, whether or not earlier ones",
        "are answered; waiting for a free connection counts.",
        "",
        *table(("lane", "calls/s", "p50", "p99"), rows),
    ]


def _varied(variations: Variations) -> list[str]:
    header = (
        "",
        "callers",
        "calls/s",
        "p50",
        "p99",
        "CPU a call",
        "calls/s against base",
        "CPU against base",
        "memory",
    )
    rows = [
        ("base case", concurrency, *_figures(cell), "", "", f"{variations.base_mb:.0f} MB")
        for concurrency, cell in variations.base.items()
    ]
    for varied in variations.varied:
        rows += _rows(varied)
    notes = [f"- {varied.variation.name}: {_note(varied)}." for varied in variations.varied if _note(varied)]
    return [
        "## One thing more",
        "",
        "A read through Remit. Each variation departs from the base case in one thing and is measured in turn with it,",
        "on the same CPU; ratios are within a pair, the median over pairs.",
        "",
        *table(header, rows),
        "",
        *notes,
    ]


def _rows(varied: Varied) -> list[tuple[object, ...]]:
    return [
        (
            varied.variation.name,
            concurrency,
            *_figures(varied.median(concurrency)),
            f"{varied.per_s(concurrency):.2f}",
            f"{varied.cpu(concurrency):.2f}",
            f"{varied.memory_mb:.0f} MB",
        )
        for concurrency in varied.pairs
    ]


def _figures(cell: Cell) -> tuple[str, ...]:
    return f"{cell.per_s:,.0f}", ms(cell.p50_us), ms(cell.p99_us), f"{cell.cpu_us:,.0f} µs"


def _note(varied: Varied) -> str:
    made = f"its home took {varied.made_s:.0f} s to make, over the people's door" if varied.made_s else ""
    return "; ".join(part for part in (varied.note, made) if part)


def _steps(costs: Costs) -> list[str]:
    durable = [
        (one.writers, ms(one.waited_us), f"{one.loop_us:.0f} µs", f"{one.thread_us:.0f} µs") for one in costs.durable
    ]
    return [
        "## One call, step by step",
        "",
        "One after the other in one process, CPU of the event loop's thread.",
        "",
        *table(("step", "", "CPU"), _lines(costs.steps)),
        row(("", "**all steps**", f"**{_steps_us(costs):.0f} µs**")),
        "",
        *table(("beside", "", "CPU"), _lines(costs.beside)),
        row(("10 forward", "one exchange with the tool server, alone", f"{costs.forwarded_us:.0f} µs")),
        "",
        "A durable write, of which a read waits for one and a write for two:",
        "",
        *table(("writers at once", "waited", "CPU of the loop", "CPU of the writer thread"), durable),
    ]


def _bounds(found: Found) -> list[str]:
    cells, most = medians(found.rounds), max(found.settings.concurrencies)
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
        *table(("", "CPU a call", ""), ((name, f"{us:.0f} µs", f"{us / governed.cpu_us:.0%}") for name, us in parts)),
    ]


def _proof(found: Found) -> list[str]:
    proofs = [*(one.proof for one in found.rounds), *found.variations.proofs]
    receipts, calls = sum(one.receipts for one in proofs), sum(one.calls for one in proofs)
    return [
        "## Proof",
        "",
        f"At the end of each gateway its ledger was exported and verified offline; {len(proofs)} ledgers hold",
        f"{receipts:,} receipts of {calls:,} governed calls. For each task, the calls made, the calls that arrived",
        "with these arguments at the tool server, the intents with these calls' digests and the outcomes `completed`",
        "are the same number; otherwise there would be no results. Warming up is counted too.",
    ]


def _bytes() -> int:
    return len(tools.arguments(tools.SERIALS[0]))


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
