"""Tables and figures as Markdown."""

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A table, its header first."""
    return [row(header), f"|{' --- |' * len(header)}", *map(row, rows)]


def row(cells: Sequence[object]) -> str:
    """One row of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def ms(us: float) -> str:
    """Microseconds as milliseconds."""
    return f"{us / 1000:.2f} ms"
