"""What `remit connect CLIENT` does: shows the entry it would write, writes it, or takes it out again.

Without `--write` nothing is touched. Undoing gives back the file as it was where nobody changed it since, and takes out
our entry alone where somebody did.
"""

import difflib
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from remit.edge.cli.clients import place
from remit.edge.cli.clients.known import CLIENTS, Client, is_ours, program, server_name
from remit.edge.cli.clients.place import Place
from remit.edge.cli.home import find, profile_of
from remit.edge.cli.output import Screen, visible
from remit.edge.cli.profile import Profile, load, read
from remit.errors import CallerFault


class _Entry(NamedTuple):
    """One entry of one client's file; `there` is what it says now, None where it is not."""

    client: Client
    name: str
    found: Place
    there: Any

    @property
    def path(self) -> tuple[str, str]:
        return self.client.key, self.name

    def put(self, text: str, value: Mapping[str, Any]) -> str:
        return str(self.client.editor.put(text, self.path, entry=value))

    def drop(self, text: str) -> str:
        return str(self.client.editor.drop(text, self.path))


def configure(options: Namespace, screen: Screen) -> None:
    """Show, write or undo the entry of one client. Raises `CallerFault`, `ConfigFault`, `Conflict`."""
    entry = _meant(options)
    if entry.there is not None and not is_ours(entry.there):
        raise CallerFault(
            f"`{entry.name}` in `{entry.found.file}` is not ours", "`--name` gives the entry another name"
        )
    if options.undo:
        _undo(entry, screen)
    else:
        _put(entry, options, screen=screen)


def _meant(options: Namespace) -> _Entry:
    client = CLIENTS[options.client]
    name = server_name(options.name, options.connector)
    project: Path | None = options.project
    if project is not None and not project.is_dir():
        raise CallerFault(f"`{project}` is no directory", "name the project's own")
    file = client.user_file() if project is None else project / client.project
    found = place.find(file, within=project)
    try:
        entries = client.editor.value(found.text).get(client.key, {})
        there = entries.get(name)
    except AttributeError:
        raise CallerFault(f"`{found.file}` holds no `{client.key}` that entries could stand in") from None
    except CallerFault as e:
        raise CallerFault(f"`{found.file}`: {e.message}", e.advice) from e
    return _Entry(client, name, found, there)


def _put(entry: _Entry, options: Namespace, *, screen: Screen) -> None:
    value, found = _wanted(entry.client, options), entry.found
    try:
        after = entry.put(found.text, value)
    except CallerFault as e:
        screen.note(f"this is the entry:\n{entry.put('', value)}")
        raise CallerFault(f"`{found.file}`: {e.message}", e.advice or "put the entry there by hand") from e
    if entry.there == value:
        _tell(entry, screen, [f"{entry.name} stands in {visible(found.file, most=None)} already"], changed=False)
        return
    lines = list(_difference(found, after))
    if options.write:
        backup = place.keep(found)
        place.replace(found, after.encode())
        lines.append(f"written to {visible(found.file, most=None)}")
        lines += [f"what was there is kept in {visible(backup, most=None)}"] if backup else []
        lines.append(entry.client.after)
    else:
        lines.append("nothing was written; `--write` writes it")
    _tell(entry, screen, lines, changed=options.write, value=value)


def _undo(entry: _Entry, screen: Screen) -> None:
    found, shown = entry.found, visible(entry.found.file, most=None)
    if entry.there is None:
        _tell(entry, screen, [f"no entry {entry.name} stands in {shown}"], changed=False)
        return
    backup = _before(entry)
    if backup is not None:
        place.replace(found, backup.read_bytes())
        backup.unlink()
        told = f"{shown} is as it was before"
    elif entry.put("", entry.there) == found.text:
        place.remove(found)
        told = f"{shown} held nothing else and is removed"
    else:
        place.replace(found, entry.drop(found.text).encode())
        told = f"{entry.name} is taken out of {shown}; what else changed since stays"
    _tell(entry, screen, [told], changed=True)


def _before(entry: _Entry) -> Path | None:
    """The copy that differs from what is there by our entry and nothing else."""
    for backup in entry.found.backups():
        kept = place.find(backup, within=backup.parent)
        try:
            without = entry.client.editor.value(kept.text).get(entry.client.key, {}).get(entry.name) is None
            if without and entry.put(kept.text, entry.there) == entry.found.text:
                return backup
        except (CallerFault, AttributeError):
            continue
    return None


def _wanted(client: Client, options: Namespace) -> dict[str, Any]:
    """The entry: the bridge or, with `--http`, the helper; the agent and its profile by name, nothing of its key."""
    file, profile = _profile(options)
    more = [("--profile", str(file)), ("--connector", options.connector), ("--task", options.task)]
    given = [word for name, value in more if value is not None for word in (name, value)]
    if options.http:
        words = (*program(), "agent", "headers", profile.agent, *given, "--client", options.label or options.client)
        return client.helped(profile.endpoint(options.connector), words)
    labelled = ("--client", options.label) if options.label else ()
    return client.bridged((*program(), "connect", "--agent", profile.agent, *given, *labelled))


def _profile(options: Namespace) -> tuple[Path, Profile]:
    """The profile that is named or the named agent's; else the only one of the home."""
    file: Path | None = options.profile
    if file is None and options.agent is None:
        profiles = sorted(find(options.home).agents.glob("*.json"))
        if len(profiles) != 1:
            raise CallerFault("which agent is meant is not clear", "name it with `--agent` or `--profile`")
        file = profiles[0]
    file = (file or profile_of(options.home, options.agent)).expanduser().absolute()
    return file, read(file) if options.agent is None else load(file, options.agent)


def _difference(found: Place, after: str) -> Iterator[str]:
    """What changes, line by line, and nothing of the lines around it: secrets of other servers may stand there."""
    name = str(found.file)
    before, new = found.text.splitlines(), after.splitlines()
    changes = difflib.unified_diff(before, new, name, name, n=0, lineterm="")
    return (visible(line, most=None) for line in changes)


def _tell(
    entry: _Entry, screen: Screen, lines: list[str], *, changed: bool, value: Mapping[str, Any] | None = None
) -> None:
    about = {"file": str(entry.found.file), "server": entry.name, "changed": changed}
    screen.answer(about | ({} if value is None else {"entry": value}), lines)
