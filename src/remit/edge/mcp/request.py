"""One authenticated request at one endpoint, as the door's methods see it."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from msgspec import Struct

from remit.call import Ask, Client
from remit.case import Hears
from remit.edge.mcp.exchange import label
from remit.edge.mcp.leaving import Cancelled, Leaving, Left
from remit.edge.mcp.rpc import Message, notification
from remit.edge.mcp.sessions import Session
from remit.edge.mcp.stream import Stream
from remit.edge.mcp.wire import TASKS, Meta
from remit.forward.model import NOBODY
from remit.identity.model import Principal
from remit.limits import REQUEST_ID_CHARS_MAX
from remit.result.note import LEVELS

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
    left: Left
    stream: Stream
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
            speaks=self.speaks(),
        )

    def hears(self) -> Hears | None:
        """Passes on what the server says of the call; None where the client reads no event stream."""
        if not self.stream.accepted:
            return None
        token = self.message.meta.get(Meta.PROGRESS)

        def heard(method: str, params: dict[str, Any]) -> None:
            if method == "notifications/progress":
                params["progressToken"] = token
            self.stream.say(notification(method, params))

        return heard

    def speaks(self) -> Client:
        """What the client can do for a server, as it says: in each modern request, or once for the session."""
        meta, streams = self.message.meta, self.stream.accepted
        progress = streams and _is_token(meta.get(Meta.PROGRESS))
        if self.session is not None:
            asked = self.session.capabilities if streams else {}
            level = self.session.level if streams else None
            return Client(capabilities=asked, log_level=level, progress=progress, session=True)
        able, least = meta.get(Meta.CLIENT_CAPABILITIES), meta.get(Meta.LOG_LEVEL)
        if not able and least is None and not progress:
            return NOBODY
        return Client(
            capabilities=able if isinstance(able, dict) else {},
            log_level=least if streams and least in LEVELS else None,
            progress=progress,
            operations=_declares(able, TASKS),
        )

    async def cancellable(self, work: Callable[[Cancelled], Awaitable[T]]) -> T:
        """What `work` gives; it learns when the client cancels it or goes away."""
        cancelled = Cancelled()
        with Leaving(self.left, cancelled):
            if self.session is None or self.message.id is None:
                return await work(cancelled)
            with self.session.running(self.message.id, cancelled):
                return await work(cancelled)


def _declares(able: Any, extension: str) -> bool:
    extensions = able.get("extensions") if isinstance(able, dict) else None
    return isinstance(extensions, dict) and isinstance(extensions.get(extension), dict)


def _is_token(value: Any) -> bool:
    """A progress token goes back with every notification, so it is no longer than a request's id may be."""
    if isinstance(value, str):
        return len(value) <= REQUEST_ID_CHARS_MAX
    return isinstance(value, int) and not isinstance(value, bool)
