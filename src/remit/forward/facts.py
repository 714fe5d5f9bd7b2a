"""The upstreams, as a contract in words."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from msgspec import Raw

from remit.catalogue.model import Contract
from remit.commit.model import Warrant
from remit.forward.model import Committed, Outgoing, Reply

Told = Callable[[str, Raw], None]


class Aside(NamedTuple):
    """What a server says beside its answers, to the sessions of `agent` (empty: to one that all share)."""

    connector: str
    agent: str
    method: str
    params: Raw


class Upstreams(Protocol):
    """Sessions with tool servers, one per (connector, agent, task) unless the connector is stateless.

    *Once.* `forward` puts the call on the wire at most once: no retry, none after a restart of the server either.
    *Faults.* It raises `UpstreamFault` with `sent=False` only when no byte of the call can have reached the server.
    *Contracts.* A session is opened only to a server whose contract for the called name equals `contract.digest`;
    else `Denied(schema.quarantined)`, and whoever watches contracts is told.
    *Questions.* Where the server waits for the client's answer on an open exchange, the reply says so and names it; the
    exchange is kept for the call that brings the answers, once, and no longer than `ANSWER_WAIT_S`.
    *Identity.* Nothing of the caller's credential, headers or environment travels.
    """

    async def forward(self, warrant: Warrant, contract: Contract, *, outgoing: Outgoing, told: Told) -> Reply:
        """Send one call, return the server's answer. Raises `UpstreamFault`, `Denied`. `told` is called with the method
        and params of whatever else the server says about the call meanwhile.
        """
        ...

    def abandon(self, held: str) -> None:
        """Nobody will answer what the server asked on this exchange; it is told so. Unknown names are ignored."""
        ...

    async def tend(self, committed: Committed, contract: Contract, *, outgoing: Outgoing) -> Reply:
        """Ask a server about an operation that a call already sent has become (`tasks/get`), or tell it to stop it
        (`tasks/cancel`), in the session that call went through if there still is one. Raises like `forward`. Stopping
        asks neither whether the contract still is the pinned one, nor whether what the call was made for has ended.
        """
        ...

    def capabilities(self, connector: str) -> Mapping[str, Any] | None:
        """What the server last said it can do, as MCP has it; None if nobody has asked it yet."""
        ...

    async def attend(self, connector: str, agent: str) -> None:
        """From now on, until `leave`, hear what the server says to this agent's sessions beside its answers."""
        ...

    async def leave(self, connector: str, agent: str, *, uris: Collection[str] = ()) -> None:
        """One who attended does so no more; `uris` are resources nobody wants to hear of now."""
        ...

    async def advertised(self, connector: str) -> Sequence[Contract]:
        """What the server says of itself now: tools, prompts, resources, templates and the server's own contract."""
        ...

    async def end(
        self, *, task: str | None = None, connector: str | None = None, agent: str | None = None, before: int = 0
    ) -> None:
        """Close every session of a task, connector or agent; kill stdio servers with their process group.

        With `before`, the seq of the receipt that says why, their calls whose intent is older are no longer sent.
        """
        ...

    async def close(self) -> None:
        """Close everything."""
        ...
