"""Files that hold a secret: read only where they are this user's own, closed to everybody else, and no link."""

import os
import stat
from pathlib import Path
from typing import Final

from remit.errors import ConfigFault

_BYTES_MAX: Final = 64 * 1024


def read_secret(path: Path, *, what: str, advice: str) -> bytes:
    """The file's bytes. Raises `ConfigFault`: `what` names the file's kind to the reader, `advice` is what to do when
    it is not there.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            found = os.fstat(file.fileno())
            _refuse_another_s(found, path, what=what)
            if stat.S_IMODE(found.st_mode) & 0o077:
                raise ConfigFault(f"the {what} `{path}` is open to others", f"run `chmod 600 {path}`")
            return file.read(_BYTES_MAX)
    except PermissionError as e:
        _refuse_another_s(_status(path), path, what=what)
        raise ConfigFault(f"the {what} `{path}` is closed to you", f"run `chmod 600 {path}`") from e
    except OSError as e:
        raise ConfigFault(f"the {what} `{path}` cannot be read", advice) from e


def _refuse_another_s(found: os.stat_result | None, path: Path, *, what: str) -> None:
    """Another user's file could be changed under us, and a secret two users hold is none."""
    if found is not None and found.st_uid != os.geteuid():
        raise ConfigFault(f"the {what} `{path}` is owned by another user", "run this as its owner, or `chown` it")


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError:
        return None  # the directory is closed as well
