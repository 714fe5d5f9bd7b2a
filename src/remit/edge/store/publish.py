"""Checkpoints outside the store: what makes a rewritten ledger show, even one signed with the real key.

Every few seconds the newest checkpoint goes to `checkpoint_to`: a file it is appended to, one JSON string a line
(`ledger/bundle.py:read_published` reads it), or a URL it is POSTed to as text. A failure is an alarm, once until it
works again; it never holds up a call. One that did not change is not sent twice. A file that
ends in one the ledger does not extend is not added to: the ledger was put back from a backup.
"""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import aiohttp

from remit.edge.store.disk import Alarmed
from remit.edge.store.reads import Ledger
from remit.errors import StoreFault, Unverified
from remit.ledger.bundle import encode, read_published
from remit.ledger.checkpoint import read
from remit.limits import CHECKPOINT_EVERY_S

POST_TIMEOUT_S: Final = 10
_TAIL: Final = 64 * 1024
_DELIVERED: Final = range(200, 300)


class Publisher:
    """Sends one ledger's checkpoints to one place."""

    def __init__(self, ledger: Ledger, to: str, *, on_alarm: Alarmed, every_s: float = CHECKPOINT_EVERY_S) -> None:
        self._ledger, self._to, self._on_alarm, self._every_s = ledger, to, on_alarm, every_s
        self._sent = b""
        self._failing = False

    async def run(self) -> None:
        """Publish for ever; cancel it to stop."""
        while True:
            await self.publish()
            await asyncio.sleep(self._every_s)

    async def publish(self) -> None:
        """Send the newest checkpoint, if it is new. Raises nothing: a failure is an alarm."""
        try:
            note = await self._ledger.checkpoint()
            if note != self._sent:
                await self._send(note)
                self._sent = note
            self._failing = False
        except (OSError, aiohttp.ClientError, TimeoutError, StoreFault, ValueError) as e:
            if not self._failing:
                self._on_alarm("checkpoint_not_delivered", f"`{self._to}`: {str(e) or type(e).__name__}")
            self._failing = True

    async def _send(self, note: bytes) -> None:
        if self._to.startswith(("http://", "https://")):
            await _post(self._to, note)
        else:
            await asyncio.to_thread(append, Path(self._to), note)


def append(path: Path, note: bytes) -> None:
    """Add one checkpoint to the file, durably. Raises `OSError`."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        _check_goes_on(_cut_torn_line(handle), note)
        # A crash in here leaves a last line without its end, which readers leave out and the next append cuts off.
        line = encode(note.decode()) + b"\n"
        if os.write(handle, line) != len(line):
            raise OSError("the disk took a part of it")
        os.fsync(handle)
    finally:
        os.close(handle)


def _check_goes_on(last: bytes, note: bytes) -> None:
    """A ledger put back from a backup is not to pass for the one that was published."""
    with suppress(Unverified, IndexError):
        before, now = (read(found).checkpoint for found in (read_published(last)[0], note))
        forked = before.size == now.size and before.root != now.root
        if before.origin == now.origin and (before.size > now.size or forked):
            raise OSError(f"it holds a checkpoint of {before.size} receipts that this ledger does not extend")


def _cut_torn_line(handle: int) -> bytes:
    """Returns the last whole line."""
    size = os.fstat(handle).st_size
    start = max(size - _TAIL, 0)
    tail = os.pread(handle, _TAIL, start)
    whole = tail.rfind(b"\n") + 1
    if whole < len(tail):
        os.ftruncate(handle, start + whole)
    return tail[:whole].removesuffix(b"\n").rpartition(b"\n")[2]


async def _post(url: str, note: bytes) -> None:
    timeout = aiohttp.ClientTimeout(total=POST_TIMEOUT_S)
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(url, data=note, headers=headers, allow_redirects=False) as response,
    ):
        if response.status not in _DELIVERED:
            raise OSError(f"answered {response.status}")
