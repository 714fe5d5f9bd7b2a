"""One authenticated request at one endpoint, as the door's methods see it."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from msgspec import Struct

from remit.call import Ask
from remit.edge.mcp.exchange import Receive, label, leaving
from remit.edge.mcp.rpc import Message
from remit.edge.mcp.sessions import Session
from remit.identity.model import Principal


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

    @contextmanager
    def cancellable(self) -> Iterator[asyncio.Event]:
        """An event that is set when the client cancels the call that runs inside, or goes away."""
        cancelled = asyncio.Event()
        with ExitStack() as stack:
            if self.session is not None:
                stack.enter_context(self.session.running(self.message.id, cancelled))
            stack.enter_context(leaving(self.receive, cancelled))
            yield cancelled
