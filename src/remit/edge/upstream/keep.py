"""The keeper's program: stops process groups named on stdin when stdin ends. See `keeper.py`.

It imports four small modules and nothing of Remit, so that it starts in a few milliseconds.
"""

import contextlib
import os
import signal
import time

_GRACE_S = 2.0
_READ_BYTES = 65536


def keep() -> None:
    """Read `+GROUP` and `-GROUP` lines until the pipe ends, then stop the groups that are left."""
    groups: set[int] = set()
    rest = b""
    while chunk := os.read(0, _READ_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            (groups.add if line[:1] == b"+" else groups.discard)(int(line[1:]))
    for number in (signal.SIGTERM, signal.SIGKILL):
        for group in groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)
        if groups and number == signal.SIGTERM:
            time.sleep(_GRACE_S)


if __name__ == "__main__":
    keep()
