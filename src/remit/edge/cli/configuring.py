"""What `remit connect CLIENT` does: shows the entry it would write, writes it, or takes it out again.

Without `--write` nothing is touched. Undoing gives back the file as it was where nobody changed it since, and takes out
our entry alone where somebody did.
"""

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
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
    """The lines that change, and nothing else of the file: secrets of other servers may stand there."""
    before, now = found.text.splitlines(), after.splitlines()
    # A new neighbour gives a comma to the line before it, which is told and not shown.
    plain, newly = [line.replace(",", "") for line in before], [line.replace(",", "") for line in now]
    start, end = _alike(plain, newly)
    yield visible(found.file, most=None)
    yield from (f"@@ line {at + 1}: a comma" for at in range(start) if before[at] != now[at])
    gone, come = before[start : len(before) - end], now[start : len(now) - end]
    yield f"@@ line {start + 1}"
    if len(gone) == len(come) == 1:
        first, last = _alike(gone[0], come[0])
        gone, come = [gone[0][first : len(gone[0]) - last]], [come[0][first : len(come[0]) - last]]
    yield from (f"-{_shown(line)}" for line in gone if line)
    yield from (f"+{_shown(line)}" for line in come)


def _alike(one: Sequence[str], other: Sequence[str]) -> tuple[int, int]:
    """How much two sequences share at the beginning and, of the rest, at the end."""
    start = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    start = min(len(one), len(other)) if start is None else start
    most = min(len(one), len(other)) - start
    return start, next((at for at in range(most) if one[-1 - at] != other[-1 - at]), most)


def _shown(text: str) -> str:
    """As it will be written, with tabs as they are and nothing else unseen."""
    return "\t".join(visible(part, most=None) for part in text.split("\t"))


def _tell(
    entry: _Entry, screen: Screen, lines: list[str], *, changed: bool, value: Mapping[str, Any] | None = None
) -> None:
    about = {"file": str(entry.found.file), "server": entry.name, "changed": changed}
    screen.answer(about | ({} if value is None else {"entry": value}), lines)
