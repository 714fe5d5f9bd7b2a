"""What `remit doctor` looks at. Each check gives findings and raises nothing; none changes anything."""

import os
import platform
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from remit import __version__
from remit.catalogue import load
from remit.catalogue.model import Declared
from remit.edge.cli.door import Door
from remit.edge.cli.files import read_text
from remit.edge.cli.finding import Finding, log_of, problem
from remit.edge.cli.home import Home
from remit.edge.cli.output import counted, now_ms
from remit.edge.cli.soundness import soundness
from remit.edge.cli.standing import told
from remit.errors import RemitError
from remit.limits import DISK_ALARM_BYTES, DISK_RESERVE_BYTES, STANDING_TOKEN_OLD_DAYS

_MIB: Final = 1024 * 1024


def checkup(home: Home) -> Iterator[Finding]:
    """Every finding about a home, in the order a person would look."""
    yield Finding("version", "ok", f"remit {__version__}, Python {platform.python_version()}, {platform.system()}")
    yield from _modes(home)
    declared = None
    try:
        declared = load(read_text(home.catalogue), str(home.catalogue))
        kinds = ((declared.agents, "agent"), (declared.connectors, "tool server"), (declared.purposes, "purpose"))
        yield Finding("catalogue", "ok", ", ".join(counted(len(rows), kind) for rows, kind in kinds))
    except RemitError as e:
        yield problem("catalogue", e)
    yield from soundness(home)
    yield from _disk(home)
    yield from _socket(home)
    if declared is not None:
        yield from _executables(declared)
        yield from _boundary(declared)
        yield from _checkpoints(declared)
        yield from _in_force(home, declared)


def _modes(home: Home) -> Iterator[Finding]:
    secret = [home.keys, home.state, home.agents, *sorted(home.keys.glob("*")), *sorted(home.agents.glob("*.json"))]
    found = [(path, path.stat()) for path in secret if path.exists()]
    theirs = [path for path, status in found if status.st_uid != os.geteuid()]
    open_ = [path for path, status in found if stat.S_IMODE(status.st_mode) & 0o077]
    for path in theirs:
        yield Finding("modes", "problem", f"`{path}` is owned by another user", "run this as its owner, or `chown` it")
    for path in open_:
        yield Finding("modes", "problem", f"`{path}` is open to others", f"run `chmod go-rwx {path}`")
    if not theirs and not open_:
        yield Finding("modes", "ok", "keys, state and profiles are for their owner only")


def _disk(home: Home) -> Iterator[Finding]:
    free = shutil.disk_usage(home.root).free
    told = f"{free // _MIB} MiB free"
    if free < DISK_RESERVE_BYTES:
        yield Finding("disk", "problem", f"{told}: no call passes below {DISK_RESERVE_BYTES // _MIB}", "make room")
    elif free < DISK_ALARM_BYTES:
        yield Finding("disk", "warning", told, f"no call passes below {DISK_RESERVE_BYTES // _MIB} MiB")
    else:
        yield Finding("disk", "ok", told)


def _socket(home: Home) -> Iterator[Finding]:
    try:
        runs = Door(home).runs()
    except OSError as e:
        yield Finding("door", "problem", f"`{home.socket}` cannot be reached: {e.strerror}")
        return
    yield Finding("door", "ok", "a gateway answers" if runs else "no gateway runs")


def _executables(declared: Declared) -> Iterator[Finding]:
    for name, connector in declared.connectors.items():
        if not connector.command:
            continue
        program = connector.command[0]
        found = shutil.which(program)
        if found is None:
            told = f"`{program}` of the tool server `{name}` is not found"
            yield Finding("tools", "problem", told, "install it, or name it with its whole path")
        else:
            yield Finding("tools", "ok", f"{name}: {found}")


def _boundary(declared: Declared) -> Iterator[Finding]:
    boundary = declared.gateway.boundary
    if boundary == "same-user":
        told = "same-user: agents that run as this user can read the keys and act as you; nothing privileged passes"
        yield Finding("boundary", "warning", told, "run the gateway as a user of its own, then declare `separate-user`")
    else:
        yield Finding("boundary", "ok", f"{boundary}, as declared")


def _checkpoints(declared: Declared) -> Iterator[Finding]:
    to = declared.gateway.checkpoint_to
    if to is None:
        told = "checkpoints stay beside the store: who can rewrite one can rewrite the other"
        yield Finding("checkpoints", "warning", told, "set `checkpoint_to` to a place this user cannot rewrite")
    else:
        yield Finding("checkpoints", "ok", f"they go to {to}")


def _in_force(home: Home, declared: Declared) -> Iterator[Finding]:
    """What only the gateway knows, or its code under the store's lock."""
    door = Door(home)
    try:
        status = door.get("/v1/status")
        yield from (Finding("alarm", "problem", alarm) for alarm in status["alarms"])
        yield from (Finding("policy", "warning", warning) for warning in status["warnings"])
        yield from _standing(status.get("standing", ()))
        yield from _workers(status.get("workers", ()))
        for connector in status["connectors"]:
            if connector["detail"]:
                name = connector["name"]
                told = f"{name} is {connector['state']}: {connector['detail']}"
                yield Finding("tools", "warning", told, log_of(home, name, connector=declared.connectors.get(name)))
        if not status["policy_set"]:
            yield Finding(
                "policy", "problem", "no policy is in force: every call is denied", "run `remit policy apply`"
            )
            return
        yield _policy(door, home.policy)
    except RemitError as e:
        yield problem("policy", e)


def _standing(tokens: Iterable[dict[str, Any]]) -> Iterator[Finding]:
    """The tokens that stand for longer than anybody may remember why."""
    old = now_ms() - STANDING_TOKEN_OLD_DAYS * 24 * 3600 * 1000
    for token in tokens:
        if token["issued"] < old:
            advice = f"if nobody needs it, `remit agent revoke --token {token['jti']} --reason TEXT`"
            yield Finding("standing", "warning", told(token), advice)


def _workers(workers: Iterable[dict[str, Any]]) -> Iterator[Finding]:
    """Processes that serve agents, where there are several."""
    for worker in workers:
        told = f"worker {worker['index']}, pid {worker['pid']}: {counted(worker['calls'], 'call')}"
        if not worker["serving"]:
            yield Finding("workers", "problem", f"{told}; it does not serve", "the gateway's log says why")
        elif worker["restarts"]:
            restarts = f"{told}; started again {counted(worker['restarts'], 'time')}"
            yield Finding("workers", "warning", restarts, "the gateway's log says why")
        else:
            yield Finding("workers", "ok", told)


def _policy(door: Door, directory: Path) -> Finding:
    files = {file.name: read_text(file) for file in sorted(directory.glob("*.cedar"))}
    changes = door.post("/v1/policy/check", {"files": files})
    if any(changes[what] for what in ("added", "removed", "changed")):
        return Finding("policy", "warning", "the files differ from the set in force", "`remit policy check` shows how")
    return Finding("policy", "ok", f"{changes['digest']} is in force, as in {directory.name}/")
