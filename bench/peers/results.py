"""PEERS.md: figures of the run, answers of the probes, and what was read in the installed sources, apart."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench.cells import Cell, middle
from bench.peers.gateways import CONTEXTFORGE, FASTMCP, HANGAR, PEERS
from bench.peers.probes import Probed
from bench.proof import Proof
from bench.tables import ms, table

DIRECT: Final = "direct"
BARE: Final = "pass-through"
REMIT: Final = "Remit"

# What cannot be asked over the wire, with where it can be read. Paths are within the installed packages.
_READ: Final = (
    (
        "checks who calls, at each call",
        "yes: signature, expiry, revocation; a token's signature once",
        "no (none is configured by default)",
        "yes: JWT, tenant and role (`auth/http_middleware.py`)",
        "yes: JWT and role (`auth.py`)",
    ),
    (
        "holds calls against a policy over their arguments and task",
        "yes, Cedar",
        "no",
        "roles and tenants; rules over arguments can be set, none is by default",
        "roles; plugins can be set, none is by default",
    ),
    (
        "holds a tool's contract against what a person pinned",
        "yes",
        "no",
        "yes, by digest (`pin --write`)",
        "no: nothing of the kind in `tool_service.py` or `gateway_service.py`",
    ),
    (
        "writes the call down, durably, before it is sent",
        "yes",
        "no",
        "no: requested and completed are stored together after the answer (`events.created_at`)",
        "no: counters are written in batches afterwards; an audit trail exists and is off by default (`config.py`)",
    ),
    (
        "a record that shows if it was changed",
        "yes: Merkle tree, signed checkpoints",
        "no record",
        "no: rows in SQLite",
        "no: rows in the database",
    ),
)


class Row(NamedTuple):
    """One lane: its cells by number of callers, a round each; megabytes at the end; what it answered when asked."""

    name: str
    cells: Mapping[int, Sequence[Cell]]
    memory_mb: float
    probed: Probed


class Found(NamedTuple):
    """Everything a run found. `missing` are the gateways that did not run, and why."""

    rows: Sequence[Row]
    missing: Mapping[str, str]
    proof: Proof
    rounds: int
    measure_s: float


def write(found: Found, machine: Mapping[str, str], file: Path) -> None:
    """Write the file anew."""
    parts = (_head(found, machine), _figures(found.rows), _probes(found.rows), _read(), _caveats(found))
    file.write_text("\n\n".join("\n".join(part) for part in parts) + "\n", encoding="utf-8")


def _head(found: Found, machine: Mapping[str, str]) -> list[str]:
    setups = [(peer.name, f"`{peer.requirement}`", peer.settings) for peer in PEERS]
    setups.insert(0, (REMIT, f"`{machine['Remit']}`", "the base case of RESULTS.md"))
    return [
        "# Remit beside other gateways",
        "",
        "Written by `python -m bench.peers`: one tool server, one load, one run; every gateway one process on the same",
        "core, called in turn. Remit governs every call as in RESULTS.md.",
        "",
        *table(("", ""), machine.items()),
        "",
        *table(("", "version", "settings"), setups),
        "",
        f"Rounds: {found.rounds}, {found.measure_s:g} s a lane and number of callers; figures are their medians.",
    ]


def _figures(rows: Sequence[Row]) -> list[str]:
    lines = [
        (row.name, callers, *_cell(row, middle(cells)), f"{row.memory_mb:.0f} MB" if row.memory_mb else "")
        for callers in rows[0].cells
        for row in rows
        for cells in [row.cells[callers]]
    ]
    return ["## Figures", "", *table(("", "callers", "calls/s", "p50", "p99", "CPU a call", "memory"), lines)]


def _cell(row: Row, cell: Cell) -> tuple[str, ...]:
    cpu = f"{cell.cpu_us:,.0f} µs" if row.name != DIRECT else ""
    return f"{cell.per_s:,.0f}", ms(cell.p50_us), ms(cell.p99_us), cpu


def _probes(rows: Sequence[Row]) -> list[str]:
    header = ("", "refuses a call without a token", "refuses arguments against the schema", "refuses unknown arguments")
    lines = [
        (row.name, *(_said(one) for one in row.probed[:3]), _said(row.probed.sends_token_on))
        for row in rows
        if row.name != DIRECT
    ]
    return [
        "## Asked",
        "",
        "One call each, and a look at whether it reached the tool server. The schema leaves open what else an object",
        "may hold, so letting unknown arguments through is no fault by it; Remit closes it.",
        "",
        *table((*header, "sends the caller's token to the tool server"), lines),
    ]


def _said(yes: bool) -> str:
    return "yes" if yes else "no"


def _read() -> list[str]:
    header = ("at each call", REMIT, FASTMCP.name, HANGAR.name, CONTEXTFORGE.name)
    return [
        "## Read",
        "",
        "From the installed sources and what they leave on the disk, for the settings above.",
        "",
        *table(header, _READ),
    ]


def _caveats(found: Found) -> list[str]:
    missing = [f"- {name} did not run, or not to the end: {why}" for name, why in found.missing.items()]
    return [
        "## To bear in mind",
        "",
        "- One process and one core each; several of these are meant to run as several workers.",
        "- The tool server answers in tens of microseconds. Beside a slow one, every gateway looks alike.",
        "- A lane that manages few calls has few of them in its percentiles.",
        "- The others do things Remit does not, and are used for them: this table is about one governed call.",
        *missing,
        "",
        f"Remit's {found.proof.calls:,} calls are in its exported ledger, verified, each with intent and outcome.",
    ]
