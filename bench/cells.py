"""One measurement: a lane under one kind of load, checked at both ends.

Whatever way calls take, the tool server must have seen exactly them, and each must have been answered; what a gateway
must have on record of them is noted as a claim, which `proof.py` holds against its ledger.
"""

import asyncio
import hashlib
import http.client
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Final, NamedTuple

import msgspec
import uvloop
from msgspec import Struct

from bench import tools
from bench.home import Desk, Opened
from bench.load import Calls, Load, Pace, Place, Window
from bench.machine import Process
from bench.proof import Claim, Unproven
from bench.upstream import digest_of

_SEEN_S: Final = 30


class Cell(Struct, frozen=True, kw_only=True):
    """One lane under one load. Times are microseconds; `cpu_us` and `busy` are the measured process's, CPU a call
    and the share of its core; `load_us` is what a call cost the load itself.
    """

    per_s: float
    p50_us: float
    p99_us: float
    cpu_us: float
    busy: float
    load_us: float


class Lane(NamedTuple):
    """Where calls go and whose CPU counts."""

    place: Place
    process: Process | None = None


class Governed(NamedTuple):
    """A gateway that is called: its home, its process, and what its ledger will have to hold."""

    desk: Desk
    process: Process
    claims: list[Claim]

    @property
    def lane(self) -> Lane:
        return Lane(Place(self.desk.port, self.desk.path), self.process)


class Ground(NamedTuple):
    """What all measurements of a run share: the tool server's port, and what numbers the calls."""

    upstream: int
    serials: Iterator[int]


def cell(ground: Ground, lane: Lane, calls: Calls, pace: Pace) -> Cell:
    """Measure an ungoverned lane."""
    return _loaded(ground, lane, Load(lane.place, calls, serials=ground.serials), pace)


def governed_cell(
    ground: Ground, governed: Governed, calls: Calls, *, pace: Pace, tasks: Sequence[Opened] | None = None
) -> Cell:
    """Measure a gateway, under `tasks`, a caller each in turn; else under a new one, ended afterwards."""
    opened = tasks or governed.desk.open()
    calls = calls._replace(headers=[one.headers for one in opened])
    load = Load(governed.lane.place, calls, serials=ground.serials)
    found = _loaded(ground, governed.lane, load, pace)
    for one, sent in zip(opened, load.sent, strict=True):
        governed.claims.append(Claim(one.task, calls.tool, tuple(sent), calls.lines))
    if tasks is None:
        governed.desk.complete(opened)
    return found


def middle(cells: Sequence[Cell]) -> Cell:
    """The median, figure by figure."""
    return Cell(**{name: median(getattr(one, name) for one in cells) for name in Cell.__struct_fields__})


def _loaded(ground: Ground, lane: Lane, load: Load, pace: Pace) -> Cell:
    _arrived(ground.upstream)
    usage: Callable[[], float] = lane.process.cpu_s if lane.process else lambda: 0.0
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        window = runner.run(load.run(pace, usage))
    _check_arrivals(load, _arrived(ground.upstream))
    return _cell_of(window)


def _cell_of(window: Window) -> Cell:
    taken = sorted(window.latencies)
    if not taken:
        raise Unproven("no call was answered while it was measured")
    used = window.used[1] - window.used[0]
    return Cell(
        per_s=len(taken) / window.seconds,
        p50_us=taken[len(taken) // 2] / 1000,
        p99_us=taken[len(taken) * 99 // 100] / 1000,
        cpu_us=used / len(taken) * 1e6,
        busy=used / window.seconds,
        load_us=window.own_s / len(taken) * 1e6,
    )


def _arrived(upstream: int) -> Mapping[str, object]:
    connection = http.client.HTTPConnection("127.0.0.1", upstream, timeout=_SEEN_S)
    try:
        connection.request("GET", "/seen")
        found: Mapping[str, object] = msgspec.json.decode(connection.getresponse().read())
        return found
    finally:
        connection.close()


def _check_arrivals(load: Load, seen: Mapping[str, object]) -> None:
    sent = [serial for some in load.sent for serial in some]
    made = [hashlib.sha256(tools.arguments(serial, load.lines)).digest() for serial in sent]
    if load.answered != len(sent) or seen != {"calls": len(made), "arguments": digest_of(made)}:
        raise Unproven(f"{len(sent)} calls were made, {load.answered} answered, the tool server saw {seen}")
