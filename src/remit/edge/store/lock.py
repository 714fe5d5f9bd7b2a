"""Exactly one sequencer: an exclusive lock on a file beside the database, held as long as the store is open.

The lock is the kernel's (`flock`), so it ends with the process however that ends; the file stays and means nothing by
itself.
"""

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from remit.errors import StoreFault

_LOOK_S: Final = 0.05


class Lock:
    """Taken when made. Raises `StoreFault` when somebody else holds it for longer than `patience_s`: a command that
    runs without a gateway holds it for a moment, and a gateway that starts just then should not fail over it.
    """

    def __init__(self, path: Path, *, patience_s: float = 0) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as e:
            raise StoreFault(f"the store's lock `{path}` cannot be opened", "check the directory and its owner") from e
        try:
            self._take(time.monotonic() + patience_s)
        except BlockingIOError as e:
            os.close(self._file)
            raise StoreFault(
                f"a gateway of this home runs already: `{path}` is locked",
                "a ledger has one writer; ask the gateway that runs, or stop it first",
            ) from e

    def _take(self, until: float) -> None:
        while True:
            try:
                return fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise
                time.sleep(_LOOK_S)

    def release(self) -> None:
        """Let the next one in."""
        os.close(self._file)


def beside(store: Path) -> Path:
    """The lock's place: beside the file itself, so that a link to it is no second store."""
    found = store.resolve()
    return found.with_name(found.name + ".lock")
