"""Exactly one sequencer: an exclusive lock on a file beside the database, held as long as the store is open.

The lock is the kernel's (`flock`), so it ends with the process however that ends; the file stays and means nothing by
itself.
"""

import fcntl
import os
from pathlib import Path

from remit.errors import StoreFault


class Lock:
    """Taken when made. Raises `StoreFault` when somebody else holds it."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as e:
            raise StoreFault(f"the store's lock `{path}` cannot be opened", "check the directory and its owner") from e
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            os.close(self._file)
            raise StoreFault(
                f"the store of `{path}` is open in another process",
                "a ledger has one writer; ask the running gateway, or stop it first",
            ) from e

    def release(self) -> None:
        """Let the next one in."""
        os.close(self._file)


def beside(store: Path) -> Path:
    """The lock's place: beside the file itself, so that a link to it is no second store."""
    found = store.resolve()
    return found.with_name(found.name + ".lock")
