"""The closed list of methods, and who answers each. What is not on it is refused.

The aggregate endpoint serves no resources, since URIs of several servers collide.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from remit.edge.mcp.backend import Backend
from remit.edge.mcp.calls import Calls
from remit.edge.mcp.greeting import Greeting
from remit.edge.mcp.hub import Hub
from remit.edge.mcp.listening import Listens
from remit.edge.mcp.lists import LISTINGS, Lists
from remit.edge.mcp.operating import METHODS as OPERATING, Operating
from remit.edge.mcp.render import Renderer
from remit.edge.mcp.request import Request
from remit.edge.mcp.rpc import Response, unserved
from remit.edge.mcp.sessions import Sessions

Handler = Callable[[Request], Awaitable[Response]]

_GOVERNED: Final = ("tools/call", "prompts/get", "resources/read", "completion/complete")
_SUBSCRIPTIONS: Final = ("resources/subscribe", "resources/unsubscribe")
_RESOURCES: Final = frozenset({"resources/list", "resources/templates/list", "resources/read", *_SUBSCRIPTIONS})


class Methods:
    """The methods of both generations over one backend."""

    def __init__(self, backend: Backend, sessions: Sessions, *, hub: Hub, version: str) -> None:
        renderer = Renderer(version)
        calls, greeting = Calls(backend, renderer), Greeting(backend, sessions, renderer=renderer)
        self.listens = Listens(backend, hub)
        shared: dict[str, Handler] = dict.fromkeys(LISTINGS, Lists(backend, renderer).answer)
        shared |= dict.fromkeys(_GOVERNED, calls.answer)
        self._modern = shared | dict.fromkeys(OPERATING, Operating(backend, renderer).answer)
        self._modern |= {"server/discover": greeting.discover, "subscriptions/listen": self.listens.modern}
        self._legacy = shared | dict.fromkeys(_SUBSCRIPTIONS, calls.answer)
        self._legacy |= {
            "ping": greeting.ping,
            "initialize": greeting.initialize,
            "logging/setLevel": greeting.level,
        }

    async def answer(self, request: Request) -> Response:
        """The answer to a request; `Fault` for a method that is not served, `Denied` for a token that is not good."""
        method = request.message.method
        handler = (self._modern if request.modern else self._legacy).get(method)
        if handler is None:
            raise unserved(f"`{method[:80]}` is not served here")
        if request.endpoint.connector is None and method in _RESOURCES:
            raise unserved("resources are served at their connector's own endpoint, `/mcp/<connector>`")
        return await handler(request)
