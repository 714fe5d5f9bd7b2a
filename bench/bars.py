"""The bars, and what was measured against them.

A bar is reached or not; nothing fails because of one. They are compared on one machine's own figures: governed calls on
one core, what the gateway adds to the latency of a direct call of the same round, and how far variations are from the
base case beside them.
"""

from collections.abc import Sequence
from statistics import median
from typing import Final, NamedTuple

from bench.rounds import DIRECT, READ, Round, Settings, medians
from bench.tables import ms, table
from bench.variations import FLAT, Variations

BAR_PER_S: Final = 3_000
BAR_ADDED_P50_US: Final = 1_000
BAR_ADDED_P99_US: Final = 5_000


class Bar(NamedTuple):
    """One bar: what it is about, what is asked, what was measured."""

    what: str
    asked: str
    measured: str
    reached: bool


def bars(settings: Settings, rounds: Sequence[Round], variations: Variations) -> list[Bar]:
    """Every bar. Throughput is that of whatever concurrency gives most."""
    cells = medians(list(rounds))
    least = min(settings.concurrencies)
    best = max(settings.concurrencies, key=lambda concurrency: cells[READ, concurrency].per_s)
    most = cells[READ, best].per_s
    p50 = median(one.cells[READ, least].p50_us - one.cells[DIRECT, least].p50_us for one in rounds)
    p99 = median(one.paced[READ].p99_us - one.paced[DIRECT].p99_us for one in rounds)
    half = median(one.paced[READ].per_s for one in rounds)
    return [
        Bar(
            "governed calls per second on one core",
            f"≥ {BAR_PER_S:,}",
            f"{most:,.0f} (at {best} callers)",
            most >= BAR_PER_S,
        ),
        Bar("added to the median of one caller", f"≤ {ms(BAR_ADDED_P50_US)}", ms(p50), p50 <= BAR_ADDED_P50_US),
        Bar(
            "added to the 99th percentile at half load",
            f"≤ {ms(BAR_ADDED_P99_US)}",
            f"{ms(p99)} (at {half:,.0f} calls/s)",
            p99 <= BAR_ADDED_P99_US,
        ),
        *_flat(variations),
    ]


def lines(found: Sequence[Bar]) -> list[str]:
    """The section about them."""
    rows = [(bar.what, bar.asked, bar.measured, "reached" if bar.reached else "**not reached**") for bar in found]
    return ["## The bars", "", *table(("", "bar", "measured", ""), rows)]


def _flat(variations: Variations) -> list[Bar]:
    return [
        Bar(
            f"calls per second with {varied.variation.name}, against the base case",
            f"≥ -{FLAT:.0%}",
            ", ".join(f"{varied.per_s(concurrency) - 1:+.0%} at {concurrency}" for concurrency in varied.pairs),
            varied.is_flat(),
        )
        for varied in variations.varied
        if varied.variation.flat
    ]
