"""What a process costs, read from /proc, and whether it grows."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

_MEBIBYTE = 1024 * 1024


class Sample(NamedTuple):
    """`at` is seconds since the first one, `rss` bytes, `children` the process's own, grandchildren included."""

    at: float
    rss: int
    descriptors: int
    threads: int
    children: int

    def __str__(self) -> str:
        rss = f"{self.rss / _MEBIBYTE:.1f} MiB"
        return f"{self.at:.0f} s: {rss}, {self.descriptors} fds, {self.threads} threads, {self.children} children"


class Watch:
    """Samples of one process."""

    def __init__(self, pid: int) -> None:
        self.samples: list[Sample] = []
        self.pid = pid
        self._since = time.monotonic()

    def look(self) -> Sample:
        status = Path(f"/proc/{self.pid}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        found = Sample(
            at=time.monotonic() - self._since,
            rss=int(fields["VmRSS"].split()[0]) * 1024,
            descriptors=len([*Path(f"/proc/{self.pid}/fd").iterdir()]),
            threads=int(fields["Threads"]),
            children=len(below(self.pid)),
        )
        self.samples.append(found)
        return found

    def growth(self, what: str) -> float:
        """How much more (bytes, or a number) in the last third than in the second, by median."""
        third = len(self.samples) // 3
        assert third, "too few samples to compare thirds of"
        second, last = self.samples[third : 2 * third], self.samples[2 * third :]
        return _middle(last, what) - _middle(second, what)


def _middle(samples: Sequence[Sample], what: str) -> float:
    return median(getattr(sample, what) for sample in samples)


def running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def below(pid: int) -> list[int]:
    """Every process started by this one, directly or not, that still runs."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents.setdefault(int(parent), []).append(int(entry.parent.name))
    return [*_all_below(parents, parents.get(pid, ()))]


def _all_below(parents: dict[int, list[int]], found: Iterable[int]) -> Iterable[int]:
    for child in found:
        yield child
        yield from _all_below(parents, parents.get(child, ()))
