"""One authenticated request at one endpoint, as the door's methods see it."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from msgspec import Struct

from remit.call import Ask
from remit.edge.mcp.exchange import Cancelled, Leaving, Receive, label
from remit.edge.mcp.rpc import Message
from remit.edge.mcp.sessions import Session
from remit.identity.model import Principal

T = TypeVar("T")


class Endpoint(Struct, frozen=True):
    """`/mcp/<connector>`, or `/mcp` with `connector` None. `url` is what its tokens are for."""

    connector: str | None
    url: str


class Request(Struct, frozen=True, kw_only=True):
    """What was asked, by whom, where. `session` is None for a modern client and for `initialize`."""

    message: Message
    headers: dict[str, str]
    endpoint: Endpoint
    principal: Principal
    token: str | None
    receive: Receive
    session: Session | None = None
    modern: bool = False

    def ask(self) -> Ask:
        """The request as the gateway takes it. A client that names itself is called that, else after its session."""
        client = label(self.headers, "remit-client")
        if client is None:
            client = self.session.label if self.session else ""
        return Ask(
            method=self.message.method,
            params=self.message.params,
            token=self.token,
            audience=self.endpoint.url,
            connector=self.endpoint.connector,
            task=label(self.headers, "remit-task"),
            client=client,
        )

    async def cancellable(self, work: Callable[[Cancelled], Awaitable[T]]) -> T:
        """What `work` gives; it learns when the client cancels it or goes away."""
        cancelled = Cancelled()
        with Leaving(self.receive, cancelled):
            if self.session is None:
                return await work(cancelled)
            with self.session.running(self.message.id, cancelled):
                return await work(cancelled)
