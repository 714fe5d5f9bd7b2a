"""What carries messages to a tool server and back, as a contract in words."""

from collections.abc import Callable
from typing import Protocol

from msgspec import Raw

from remit.edge.upstream.message import Answer, Message, Request
from remit.errors import UpstreamFault

# Called with the method and params of what the server says that is about no call.
Heard = Callable[[str, Raw], None]


class Held(Protocol):
    """An exchange whose server waits for the client to answer a question; it is answered once, or abandoned."""

    @property
    def question(self) -> Message:
        """What it asks."""
        ...

    async def answered(self, answer: Raw, request: Request) -> "Answer | Held":
        """Give the client's answer, and wait for what comes of the exchange. `request` is the call that brings it: its
        time counts from now, and what the server says is told to it. Raises like `exchange`.
        """
        ...

    def abandon(self) -> None:
        """Nobody will answer: the server is told that the call is cancelled."""
        ...


class Wire(Protocol):
    """One line to one server.

    *Once.* `exchange` writes the request at most once.
    *Faults.* `UpstreamFault(sent=False)` only when no byte of the request can have been written; after that, timeouts,
    resets, the server's death and answers that are not MCP are `sent=True`.
    *Questions.* Of a governed call, an exchange may end in a question to the client instead of an answer, if the client
    answers such; a server's other requests are answered with what we do: nothing but pong.
    *Cancelling* an `exchange` tells the server, where the protocol has a way to, and forgets the answer.
    """

    @property
    def alive(self) -> bool:
        """Whether another exchange can succeed; once False, a new wire is needed."""
        ...

    def speak(self, revision: str) -> None:
        """Use this protocol revision from now on."""
        ...

    async def exchange(self, request: Request) -> Answer | Held:
        """The answer to one request. Raises `UpstreamFault`, `Denied` (a contract that cannot be followed)."""
        ...

    def attend(self) -> None:
        """From now on also hear what the server says outside of any call, where that takes a connection of its own."""
        ...

    async def notify(self, method: str) -> None:
        """Tell the server something that has no answer."""
        ...

    async def close(self) -> None:
        """End the session, stop the server if it is ours. Never raises; may be called again."""
        ...


def timed_out(seconds: float, *, sent: bool = True) -> UpstreamFault:
    return UpstreamFault(f"the tool server did not answer within {seconds:g} s", sent=sent, why="timeout")
