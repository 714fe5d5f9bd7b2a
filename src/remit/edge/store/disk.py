"""Is there room to write? Looked up at most once a second; below the reserve nothing passes.

What cannot be looked up counts as no room. The alarm is given once each time the free space falls below
`DISK_ALARM_BYTES`, and never stops a write by itself.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from remit.limits import DISK_ALARM_BYTES, DISK_RESERVE_BYTES
from remit.reasons import Denied, Reason

LOOK_EVERY_MS: Final = 1000

Alarmed = Callable[[str, str], None]
"""What is called with an alarm's name and detail (see `receipt.Alarm`)."""


def unheard(alarm: str, detail: str) -> None:
    """Nobody listens."""


def free_bytes(directory: Path) -> Callable[[], int]:
    """A look-up of what an ordinary user may still write there."""

    def free() -> int:
        found = os.statvfs(directory)
        return found.f_bavail * found.f_frsize

    return free


class Disk:
    """Guards writes by the free space that `free` reports."""

    def __init__(self, free: Callable[[], int], on_alarm: Alarmed) -> None:
        self._free, self._on_alarm = free, on_alarm
        self._looked: int | None = None
        self._left = 0
        self._alarmed = False

    def check(self, now: int) -> None:
        """Raises `Denied(commit.disk)` below the reserve. `now` is epoch ms, and may run back."""
        if self._looked is None or abs(now - self._looked) >= LOOK_EVERY_MS:
            self._look(now)
        if self._left < DISK_RESERVE_BYTES:
            raise Denied(Reason.COMMIT_DISK, f"{self._left} bytes are free, {DISK_RESERVE_BYTES} are kept in reserve")

    def _look(self, now: int) -> None:
        self._looked = now
        try:
            self._left = self._free()
        except OSError:
            self._left = 0
        known, self._alarmed = self._alarmed, self._left < DISK_ALARM_BYTES
        # Last, because whoever hears it may want to write a receipt of it.
        if self._alarmed and not known:
            self._on_alarm("disk", f"{self._left} bytes are free; below {DISK_RESERVE_BYTES} nothing passes")
