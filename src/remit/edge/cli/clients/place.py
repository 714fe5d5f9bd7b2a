"""A client's file: read once, replaced whole or not at all, and only if nobody else wrote it in between.

What was there is kept beside it as `NAME.remit-backup` (`.1`, `.2`, … where one differs). The new text is written to a
file of its own, flushed, and renamed: a crash leaves the old one or the new one. Mode and owner stay; a file made here
is its owner's alone. A symbolic link is followed to the file it means, in a project only to one that lies in it.
"""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from remit.errors import CallerFault, ConfigFault, Conflict

_NEW_MODE: Final = 0o600
_READ_MAX: Final = 64 * 1024 * 1024


class Place(NamedTuple):
    """A file as it was found; `data` is None where there is none, and then so is `status`."""

    file: Path
    data: bytes | None
    status: os.stat_result | None

    @property
    def text(self) -> str:
        """What it says, empty where there is none. Raises `CallerFault`."""
        try:
            return (self.data or b"").decode("utf-8")
        except UnicodeDecodeError as e:
            raise CallerFault(f"`{self.file}` is not UTF-8", "correct it first") from e

    def backups(self) -> list[Path]:
        """What was kept of it, the newest first."""
        first = self.file.with_name(f"{self.file.name}.remit-backup")
        numbered = [
            (int(found.suffix[1:]), found)
            for found in self.file.parent.glob(f"{_plain(first.name)}.*")
            if found.suffix[1:].isdecimal()
        ]
        return [found for _, found in sorted(numbered, reverse=True)] + ([first] if os.path.lexists(first) else [])


def find(file: Path, *, within: Path | None = None) -> Place:
    """The file that is meant, and what is in it. `within` is the directory a link may not leave. Raises `CallerFault`,
    `ConfigFault`.
    """
    real = Path(os.path.realpath(file))
    if within is not None and not real.is_relative_to(os.path.realpath(within)):
        raise CallerFault(f"`{file}` leads out of the project, to `{real}`", "write that file by hand, or use `--user`")
    try:
        # Without blocking, so that a pipe is seen to be one; a file is read as ever.
        with os.fdopen(os.open(real, os.O_RDONLY | os.O_NONBLOCK), "rb") as opened:
            status = os.fstat(opened.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise CallerFault(f"`{real}` is no file")
            data = opened.read(_READ_MAX + 1)
    except FileNotFoundError:
        return Place(real, None, None)
    except OSError as e:
        raise ConfigFault(f"`{real}` cannot be read: {e.strerror}", "look at its mode and owner") from e
    if len(data) > _READ_MAX:
        raise CallerFault(f"`{real}` is larger than {_READ_MAX} bytes")
    return Place(real, data, status)


def keep(place: Place) -> Path | None:
    """A copy of what is there now, beside it; None where nothing is. A copy that is there already is not made twice."""
    if place.data is None or place.status is None:
        return None
    kept = place.backups()
    same = next((backup for backup in kept if not backup.is_symlink() and backup.read_bytes() == place.data), None)
    if same is not None:
        return same
    number = 0 if not kept else int(kept[0].suffix[1:]) + 1 if kept[0].suffix[1:].isdecimal() else 1
    backup = place.file.with_name(f"{place.file.name}.remit-backup" + (f".{number}" if number else ""))
    with _writing(backup), _draft(backup, place.data, like=place.status) as draft:
        os.link(draft, backup)  # unlike a renaming, it never replaces what was put there meanwhile
    return backup


def replace(place: Place, data: bytes) -> None:
    """Put `data` in place of what was found. Raises `Conflict` if it is no longer what is there, `ConfigFault`."""
    with _writing(place.file):
        place.file.parent.mkdir(parents=True, exist_ok=True)
        with _draft(place.file, data, like=place.status) as draft:
            if place.status is None:
                try:
                    os.link(draft, place.file)
                except FileExistsError:
                    raise _moved(place) from None
            else:
                _unchanged(place)
                draft.replace(place.file)
        _settle(place.file.parent)


def remove(place: Place) -> None:
    """Take away the file that was found. Raises `Conflict` if it is no longer what is there, `ConfigFault`."""
    with _writing(place.file):
        _unchanged(place)
        place.file.unlink()
        _settle(place.file.parent)


def _unchanged(place: Place) -> None:
    """Between this look and the renaming lie microseconds: a client that writes in them is not seen."""
    now = find(place.file)
    if now.data != place.data or _identity(now) != _identity(place):
        raise _moved(place)


def _identity(place: Place) -> tuple[int, ...] | None:
    status = place.status
    return None if status is None else (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


def _moved(place: Place) -> Conflict:
    return Conflict(f"`{place.file}` was changed meanwhile; nothing was written", "close the client, then run it again")


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise ConfigFault(f"`{file}` cannot be written: {e.strerror}", "look at the directory's mode and owner") from e


@contextmanager
def _draft(file: Path, data: bytes, *, like: os.stat_result | None) -> Iterator[Path]:
    """The data in a file beside its final place, with the mode and owner of what it replaces; gone at the end unless it
    was moved.
    """
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _NEW_MODE), "wb") as out:
            if like is not None:
                if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(out.fileno(), like.st_uid, like.st_gid)
                os.fchmod(out.fileno(), stat.S_IMODE(like.st_mode))
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _settle(directory: Path) -> None:
    """A renaming is durable when its directory is."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _plain(name: str) -> str:
    """A name as a pattern that means it alone."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)
