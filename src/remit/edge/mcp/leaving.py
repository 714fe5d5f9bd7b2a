"""Whether the client still wants its answer: it may say that it does not, or close its connection."""

import asyncio
from collections.abc import Callable
from typing import Final

# Under this name the server gives, with each request, the set of those to be called when its connection ends.
LEFT: Final = "remit.left"
Left = set[Callable[[], None]]


class Cancelled(asyncio.Event):
    """Set when the client no longer wants an answer. `then` is for who would otherwise keep a task waiting."""

    def __init__(self) -> None:
        super().__init__()
        self._then: list[Callable[[], None]] = []

    def then(self, act: Callable[[], None]) -> None:
        """Call `act` when this is set: at once, if it is."""
        if self.is_set():
            act()
        else:
            self._then.append(act)

    def set(self) -> None:
        super().set()
        acts, self._then = self._then, []
        for act in acts:
            act()


class Leaving:
    """While inside, sets `cancelled` when the client closes the connection. `left` is the server's list of whom to call
    then.

    On the modern wire closing is how a client cancels. Older revisions leave it open; since this door cannot resume
    a stream, nobody could ever read that answer either, so it counts as cancelling there too.
    """

    def __init__(self, left: Left, cancelled: Cancelled) -> None:
        self._left = left
        self._cancelled = cancelled

    def __enter__(self) -> None:
        self._left.add(self._cancelled.set)

    def __exit__(self, *_: object) -> None:
        self._left.discard(self._cancelled.set)
