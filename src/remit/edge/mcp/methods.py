"""The closed list of methods, and the answer to each. What is not on it is refused.

`tools/call`, `prompts/get` and `resources/read` are governed: whatever the backend answers is rendered. The rest is
answered from pinned copies. The aggregate endpoint serves no resources, since URIs of several servers collide.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from remit.answer import Accepted, Answered, Asking, Refusal, ServerError
from remit.call import Ask
from remit.edge.mcp.agreement import Mirrored, agrees, mirrored_by
from remit.edge.mcp.asking import UNANSWERED, asked
from remit.edge.mcp.backend import Backend, reach
from remit.edge.mcp.exchange import Cancelled
from remit.edge.mcp.hub import Hub
from remit.edge.mcp.listening import Listens
from remit.edge.mcp.lists import LISTINGS, Pager
from remit.edge.mcp.operating import METHODS as OPERATING, Operating
from remit.edge.mcp.render import Renderer
from remit.edge.mcp.request import Request
from remit.edge.mcp.rounds import Rounds
from remit.edge.mcp.rpc import Fault, Message, Response, error, result
from remit.edge.mcp.sessions import Session, Sessions
from remit.edge.mcp.wire import LEGACY, SERVED, TASKS, Code
from remit.identity.resource import UNAUTHENTICATED
from remit.limits import CONTRACTS_PER_CONNECTOR_MAX, LIST_TTL_MS, ROUNDS_MAX
from remit.reasons import WORDS, Denied, Reason
from remit.result.note import LEVELS

Handler = Callable[[Request], Awaitable[Response]]

_GOVERNED: Final = ("tools/call", "prompts/get", "resources/read", "completion/complete")
_SUBSCRIPTIONS: Final = ("resources/subscribe", "resources/unsubscribe")
_RESOURCES: Final = frozenset({"resources/list", "resources/templates/list", "resources/read", *_SUBSCRIPTIONS})
_STATUS: Final[dict[int, int]] = {Code.MISSING_CAPABILITY: 400, Code.METHOD_NOT_FOUND: 404}
_CHANGES: Final = {"listChanged": True}
_AGGREGATE: Final = "Tools and prompts are named `connector/name`. Resources are served at `/mcp/<connector>` only."


class Methods:
    """The methods of both generations over one backend."""

    def __init__(self, backend: Backend, sessions: Sessions, *, hub: Hub, renderer: Renderer) -> None:
        self._backend = backend
        self._sessions = sessions
        self._render = renderer
        self._pager = Pager()
        self._rounds = Rounds()
        self.listens = Listens(backend, hub)
        self._mirrored: dict[str, tuple[Mirrored, ...]] = {}
        listings: dict[str, Handler] = dict.fromkeys(LISTINGS, self._listing)
        shared: dict[str, Handler] = listings | dict.fromkeys(_GOVERNED, self._governed)
        operating = dict.fromkeys(OPERATING, Operating(backend, renderer).answer)
        own: dict[str, Handler] = {"server/discover": self._discover, "subscriptions/listen": self.listens.modern}
        self._modern = shared | own | operating
        session: dict[str, Handler] = {
            "ping": self._ping,
            "initialize": self._initialize,
            "logging/setLevel": self._level,
        }
        self._legacy = shared | session | dict.fromkeys(_SUBSCRIPTIONS, self._governed)

    async def answer(self, request: Request) -> Response:
        """The answer to a request; `Fault` for a method that is not served, `Denied` for a token that is not good."""
        method = request.message.method
        handler = (self._modern if request.modern else self._legacy).get(method)
        if handler is None:
            raise _unserved(f"`{method[:80]}` is not served here")
        if request.endpoint.connector is None and method in _RESOURCES:
            raise _unserved("resources are served at their connector's own endpoint, `/mcp/<connector>`")
        return await handler(request)

    async def _governed(self, request: Request) -> Response:
        if request.modern and request.message.method == "tools/call":
            await self._check_mirrored(request)
        ask = request.ask()
        if request.modern and (about := self._rounds.resumed(request)) is not None:
            ask = msgspec.structs.replace(ask, round=about)
        answered = await request.cancellable(lambda cancelled: self._carried(request, ask, cancelled))
        if isinstance(answered, Refusal):
            return self._refused(request, answered)
        if isinstance(answered, Asking):
            state = self._rounds.asked(request, answered.round)
            return Response(body=self._render.asking(request.message.id, answered, state=state))
        if isinstance(answered, Accepted):
            return Response(body=self._render.accepted(request.message.id, answered))
        if request.session is not None and answered.error is None:
            _note_subscription(request.session, request.message)
        written = self._render.released(
            request.message.id, answered, method=request.message.method, modern=request.modern
        )
        return Response(body=written, status=_status(answered.error) if request.modern else 200)

    async def _carried(self, request: Request, ask: Ask, cancelled: Cancelled) -> Answered:
        """A call, and for a client that is asked over its session every further one that its answers are."""
        hears, session = request.hears(), request.session
        rounds = 1
        while True:
            answered = await self._backend.answer(ask, cancelled, hears)
            if session is None or not isinstance(answered, Asking):
                return answered
            more = rounds < ROUNDS_MAX
            given = await asked(session, answered, stream=request.stream, cancelled=cancelled) if more else None
            if given is None:
                self._backend.abandon(answered)
                return UNANSWERED
            answers = {"inputResponses": {key: one.answer for key, one in given.items()}}
            token = next(iter(given.values())).token if given else ask.token
            params = {**(request.message.params or {}), **answers}
            ask = msgspec.structs.replace(ask, params=params, round=answered.round, token=token)
            rounds += 1

    async def _listing(self, request: Request) -> Response:
        if request.session is not None and request.stream.accepted:
            # Clients of the older generation are used to streams, and some count on them.
            request.stream.open()
        params = request.message.params or {}
        unknown = params.keys() - {"cursor", "_meta"}
        if unknown:
            raise Fault(400, Code.INVALID_PARAMS, message=f"unknown member `{min(unknown)[:80]}` of params")
        listing = LISTINGS[request.message.method]
        found = await self._backend.listed(request.ask(), listing.kind)
        if isinstance(found, Refusal):
            return self._refused(request, found)
        items, after = self._pager.page(
            found, params.get("cursor"), caller=request.principal.id, prefixed=request.endpoint.connector is None
        )
        members: dict[str, Any] = {listing.member: items} | ({"nextCursor": after} if after else {})
        return self._complete(request, members, ttl_ms=LIST_TTL_MS)

    async def _discover(self, request: Request) -> Response:
        members = {"supportedVersions": SERVED, **await self._about(request)}
        return self._complete(request, members, ttl_ms=LIST_TTL_MS)

    async def _initialize(self, request: Request) -> Response:
        params = request.message.params or {}
        wanted = params.get("protocolVersion")
        shapes = isinstance(params.get("capabilities"), dict), isinstance(params.get("clientInfo"), dict)
        if not isinstance(wanted, str) or not all(shapes):
            raise Fault(
                400, Code.INVALID_PARAMS, message="`initialize` has `protocolVersion`, `capabilities` and `clientInfo`"
            )
        revision = wanted if wanted in LEGACY else LEGACY[0]
        most = self._backend.sessions_max(request.principal.name)
        session = self._sessions.open(request.principal, request.endpoint.connector, revision=revision, most=most)
        session.capabilities = params["capabilities"]
        # From here on the client has its name, under which its default task may be opened.
        about = await self._about(msgspec.structs.replace(request, session=session))
        members = {"protocolVersion": revision, "serverInfo": self._render.info, **about}
        body = result(request.message.id, members)
        return Response(body=body, headers=((b"mcp-session-id", session.id.encode()),))

    async def _level(self, request: Request) -> Response:
        """Remembered here; a server learns of it with the next call."""
        level = (request.message.params or {}).get("level")
        if request.session is None or level not in LEVELS:
            raise Fault(400, Code.INVALID_PARAMS, message=f"`level` is one of {', '.join(LEVELS)}")
        request.session.level = level
        return self._complete(request, {})

    async def _ping(self, request: Request) -> Response:
        return self._complete(request, {})

    async def _about(self, request: Request) -> dict[str, Any]:
        """What every caller is told; of a connector only if something of it is within reach."""
        connector = request.endpoint.connector
        if connector is None:
            return {"capabilities": dict.fromkeys(("tools", "prompts"), _CHANGES), "instructions": _AGGREGATE}
        if await reach(self._backend, request.ask()) is not True:
            return {"capabilities": _relayed(None)}
        about: dict[str, Any] = {"capabilities": _relayed(self._backend.capabilities(connector), modern=request.modern)}
        if instructions := self._backend.instructions(connector):
            about["instructions"] = instructions
        return about

    async def _check_mirrored(self, request: Request) -> None:
        """`Mcp-Param-*` against the arguments, only for a tool the caller can see: the check must not tell more."""
        params = request.message.params or {}
        name, arguments = params.get("name"), params.get("arguments") or {}
        if not isinstance(name, str) or not isinstance(arguments, dict):
            return
        connector = request.endpoint.connector
        if connector is None:
            connector, _, name = name.partition("/")
        contract = self._backend.tool(connector, name)
        if contract is None or not (mirrored := self._mirror(contract.digest, contract.body.get("inputSchema"))):
            return
        found = await self._backend.listed(request.ask(), "tool")
        if not isinstance(found, Refusal) and any(one.digest == contract.digest for one in found):
            agrees(mirrored, arguments, headers=request.headers)

    def _mirror(self, digest: str, schema: Any) -> tuple[Mirrored, ...]:
        found = self._mirrored.get(digest)
        if found is None:
            if len(self._mirrored) >= CONTRACTS_PER_CONNECTOR_MAX:
                self._mirrored.clear()
            found = self._mirrored[digest] = mirrored_by(schema)
        return found

    def _complete(self, request: Request, members: dict[str, Any], *, ttl_ms: int | None = None) -> Response:
        whole = self._render.complete(members, modern=request.modern, ttl_ms=ttl_ms)
        return Response(body=result(request.message.id, whole))

    def _refused(self, request: Request, refusal: Refusal) -> Response:
        if refusal.reason in UNAUTHENTICATED:
            raise Denied(refusal.reason, refusal.detail)
        if refusal.reason is Reason.CALL_ANSWER and request.modern:
            # The model never saw the questions: it is its client that has to be told.
            body = error(request.message.id, Code.INVALID_PARAMS, message=refusal.detail or WORDS[refusal.reason].text)
            return Response(status=400, body=body)
        return Response(body=self._render.refusal(request.message, refusal, modern=request.modern))


def _relayed(offered: Mapping[str, Any] | None, *, modern: bool = False) -> dict[str, Any]:
    """Of what a server can do, what is relayed; while nobody has asked it, what every connector has here."""
    if offered is None:
        return {"tools": _CHANGES, "prompts": _CHANGES, "resources": _CHANGES}
    relayed: dict[str, Any] = {name: {} for name in ("completions", "logging") if name in offered}
    relayed |= {name: _CHANGES for name in ("tools", "prompts", "resources") if name in offered}
    resources = offered.get("resources")
    if isinstance(resources, Mapping) and resources.get("subscribe") is True:
        relayed["resources"] = {**_CHANGES, "subscribe": True}
    extensions = offered.get("extensions")
    if modern and isinstance(extensions, Mapping) and TASKS in extensions:
        relayed["extensions"] = {TASKS: {}}
    return relayed


def _note_subscription(session: Session, message: Message) -> None:
    """What a session hears of on its stream, once the call that asks for it has passed."""
    if message.method == "resources/subscribe":
        session.subscribed.add((message.params or {})["uri"])
    elif message.method == "resources/unsubscribe":
        session.subscribed.discard((message.params or {})["uri"])


def _status(wrong: ServerError | None) -> int:
    """How the modern wire says a server's error besides (MCP 2026-07-28, transports)."""
    return _STATUS.get(wrong.code, 200) if wrong is not None else 200


def _unserved(message: str) -> Fault:
    return Fault(404, Code.METHOD_NOT_FOUND, message=message, reason=Reason.CALL_METHOD)
