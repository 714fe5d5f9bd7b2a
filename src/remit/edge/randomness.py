"""Random bytes, drawn ahead: each draw from the system lets go of the interpreter, which a busy gateway then waits for.

What is drawn is handed out once and never again; nothing of it survives the process.
"""

import os
from typing import Final

_DRAWN: Final = 4096
_ID_BYTES: Final = 10
_SALT_BYTES: Final = 16


class Randomness:
    """Belongs to one event loop. A process that forks makes a new one."""

    def __init__(self) -> None:
        self._drawn = b""
        self._at = 0

    def new_id(self) -> str:
        """An unguessable id: 80 bits, 20 hex digits."""
        return self._take(_ID_BYTES).hex()

    def salt(self) -> bytes:
        """128 bits."""
        return self._take(_SALT_BYTES)

    def _take(self, count: int) -> bytes:
        if self._at + count > len(self._drawn):
            self._drawn, self._at = os.urandom(_DRAWN), 0
        taken = self._drawn[self._at : self._at + count]
        self._at += count
        return taken
