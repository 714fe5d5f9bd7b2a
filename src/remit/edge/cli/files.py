"""Files a command reads and writes: secrets for their owner only, whole or not at all."""

import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from remit.errors import CallerFault, ConfigFault

_SECRET_MODE: Final = 0o600
_READ_MAX: Final = 16 * 1024 * 1024


def read_text(file: Path) -> str:
    """A file's text, standard input for `-`. Raises `CallerFault`."""
    try:
        text = sys.stdin.read(_READ_MAX + 1) if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise CallerFault(f"`{file}` cannot be read: {e}") from e
    if len(text) > _READ_MAX:
        raise CallerFault(f"`{file}` is larger than {_READ_MAX} bytes")
    return text


def read_json(file: Path) -> Any:
    """A file's JSON value. Raises `CallerFault`."""
    try:
        return json.loads(read_text(file))
    except ValueError as e:
        raise CallerFault(f"`{file}` is not JSON: {e}") from e


def write_secret(file: Path, data: bytes) -> Path:
    """Write a new file only its owner can read, under its final name only when it is whole. Raises `ConfigFault` when
    it cannot be written, `CallerFault` when something is there already.
    """
    if os.path.lexists(file):
        raise CallerFault(f"`{file}` exists already", "secrets are never overwritten; choose another file")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _draft(file, data, mode=_SECRET_MODE) as draft:
            os.link(draft, file)  # unlike a renaming, it never replaces what was put there meanwhile
    except OSError as e:
        raise ConfigFault(f"`{file}` cannot be written: {e.strerror}", "choose a directory you may write to") from e
    return file


def write(file: Path, data: bytes) -> Path:
    """Write a file, under its final name only when it is whole. Raises `CallerFault`."""
    try:
        with _draft(file, data, mode=0o666) as draft:
            draft.replace(file)
    except OSError as e:
        raise CallerFault(f"`{file}` cannot be written: {e.strerror}") from e
    return file


@contextmanager
def _draft(file: Path, data: bytes, *, mode: int) -> Iterator[Path]:
    """The data in a file beside its final place, gone at the end unless it was moved there."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        # The mode stands from the first byte on: nobody can open the draft in between.
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)
