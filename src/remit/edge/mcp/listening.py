"""Streams that a client keeps open to hear what is about no call: the older generation's GET, the newer one's
`subscriptions/listen`.

A stream is no lasting right: whether its client may still see anything here is asked again whenever what is in force
changes, and now and then; when it may not, its token's expiry included, the stream ends.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

import msgspec

from remit.answer import Refusal, Released
from remit.edge.mcp.backend import Backend, reach
from remit.edge.mcp.exchange import accepts_events
from remit.edge.mcp.hub import Hub, Listener
from remit.edge.mcp.leaving import Cancelled
from remit.edge.mcp.request import Request
from remit.edge.mcp.rpc import Fault, Response, notification, result
from remit.edge.mcp.wire import Code
from remit.reasons import Denied

_SUBSCRIPTION: Final = "io.modelcontextprotocol/subscriptionId"
_FLAGS: Final = {"toolsListChanged": "tools", "promptsListChanged": "prompts", "resourcesListChanged": "resources"}
_KINDS: Final = frozenset(_FLAGS.values())
_LOOK_AGAIN_S: Final = 15.0
_URIS_MAX: Final = 64


class Listens:
    """Serves listening streams over one backend and one hub."""

    def __init__(self, backend: Backend, hub: Hub) -> None:
        self._backend = backend
        self._hub = hub

    async def session(self, request: Request) -> Response:
        """The stream of a session: everything of its endpoint, and the resources it subscribed to. One at a time."""
        session = request.session
        if session is None or not accepts_events(request.headers):
            raise Fault(406, Code.INVALID_REQUEST, message="the stream is text/event-stream, in a session")
        listener = Listener(
            request.principal.name,
            request.endpoint.connector,
            kinds=_KINDS,
            uris=session.subscribed,
            say=lambda method, params: _say(request, method, params),
        )
        listener.speaks = request.speaks()
        with session.listening() as ended, self._counted(request):
            await self._stream(request, listener, ended)
        return Response()

    async def modern(self, request: Request) -> Response:
        """`subscriptions/listen`: what of it is granted is said first; each resource is a governed call."""
        wanted = (request.message.params or {}).get("notifications")
        if not isinstance(wanted, dict) or not request.stream.accepted:
            raise Fault(400, Code.INVALID_PARAMS, message="`notifications` says what to listen for, on an event stream")
        if isinstance(found := await self._backend.listed(request.ask(), "tool"), Refusal):
            raise Denied(found.reason, found.detail)
        with self._counted(request):
            return await self._granted(request, wanted)

    async def _granted(self, request: Request, wanted: Mapping[str, Any]) -> Response:
        uris = await self._subscribed(request, wanted.get("resourceSubscriptions"))
        flags = {flag: True for flag in _FLAGS if wanted.get(flag) is True}
        about = {_SUBSCRIPTION: request.message.id}

        def say(method: str, params: Mapping[str, Any]) -> None:
            _say(request, method, {**params, "_meta": {**params.get("_meta", {}), **about}})

        granted = flags | ({"resourceSubscriptions": sorted(uris)} if uris else {})
        listener = Listener(
            request.principal.name,
            request.endpoint.connector,
            kinds={_FLAGS[flag] for flag in flags},
            uris=uris,
            say=say,
        )
        await self._stream(request, listener, Cancelled(), granted=granted)
        return Response(body=result(request.message.id, {"resultType": "complete", "_meta": about}))

    async def _subscribed(self, request: Request, wanted: Any) -> set[str]:
        """Those of the resources that the caller may subscribe to, each decided on as a call."""
        if wanted is None:
            return set()
        if not isinstance(wanted, list) or len(wanted) > _URIS_MAX or not all(isinstance(uri, str) for uri in wanted):
            raise Fault(400, Code.INVALID_PARAMS, message=f"`resourceSubscriptions` are at most {_URIS_MAX} URIs")
        granted = set()
        for uri in dict.fromkeys(wanted):
            ask = msgspec.structs.replace(request.ask(), method="resources/subscribe", params={"uri": uri})
            answered = await self._backend.answer(ask, Cancelled(), hears=None)
            if isinstance(answered, Released) and answered.error is None:
                granted.add(uri)
        return granted

    async def _stream(
        self, request: Request, listener: Listener, ended: asyncio.Event, *, granted: Mapping[str, Any] | None = None
    ) -> None:
        listener.reaches = await reach(self._backend, request.ask()) is True
        # What happens from here on is heard, though the client learns only then that it is listened for.
        await self._hub.join(listener, self._backend)
        try:
            request.stream.open()
            if granted is not None:
                listener.say("notifications/subscriptions/acknowledged", {"notifications": granted})
            await request.cancellable(lambda cancelled: self._lasting(request, listener, (ended, cancelled)))
        finally:
            await self._hub.leave(listener, self._backend)

    @contextmanager
    def _counted(self, request: Request) -> Iterator[None]:
        """One of the streams an agent may have, before anything is done for it."""
        self._backend.open_stream(request.principal)
        try:
            yield
        finally:
            self._backend.close_stream(request.principal)

    async def _lasting(self, request: Request, listener: Listener, ends: tuple[asyncio.Event, ...]) -> None:
        """Until the client leaves, or may not listen any more."""
        waits = [asyncio.ensure_future(event.wait()) for event in ends]
        try:
            while not any(event.is_set() for event in ends):
                moved = asyncio.ensure_future(listener.moved.wait())
                await asyncio.wait({*waits, moved}, timeout=_LOOK_AGAIN_S, return_when=asyncio.FIRST_COMPLETED)
                moved.cancel()
                listener.moved.clear()
                with suppress(asyncio.CancelledError):
                    await moved
                if isinstance(found := await reach(self._backend, request.ask()), Refusal):
                    return
                listener.sees(found)
        finally:
            for wait in waits:
                wait.cancel()


def _say(request: Request, method: str, params: Mapping[str, Any]) -> None:
    request.stream.say(notification(method, params))
