"""The people's door: HTTP with JSON in and out, over the unix socket or, for services, over TCP.

Who is at the socket is the kernel's word (`peer.py`); on TCP a service's own token is required. An agent's token opens
nothing here. Each handler reads its input strictly, runs one act and returns what it made true; every error becomes
`{"error": {fault, message, advice}}` in one place.
"""

import pwd
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from remit.canonical import parse
from remit.catalogue import View
from remit.edge.acts.who import Who
from remit.edge.serving import PEER_UID
from remit.errors import CallerFault, ConfigFault, Conflict, NotPermitted, RemitError, StoreFault
from remit.identity.facts import Authenticator
from remit.ledger.receipt import Actor
from remit.reasons import Denied

Handler = Callable[[Who, Request, Any], Awaitable[Any]]

BODY_MAX: Final = 8 * 1024 * 1024
_STATUS: Final[dict[type[RemitError], int]] = {
    CallerFault: 400,
    NotPermitted: 403,
    Conflict: 409,
    ConfigFault: 422,
    StoreFault: 503,
}

_DENIED: Final = {"identity.": 401, "call.": 400}


class Doorkeeper(Struct, frozen=True, kw_only=True):
    """What it takes to know who comes in. `audience` is this door's own URL, for tokens that have to name it;
    `via` is how people come in, as receipts say it: `socket`, or `offline`.
    """

    view: Callable[[], View]
    authenticator: Authenticator
    audience: str
    via: str = "socket"

    async def who(self, request: Request) -> Who:
        """The person at the socket or the service of the token; `NotPermitted` or `Denied` otherwise."""
        uid = request.scope.get("extensions", {}).get(PEER_UID)
        if uid is not None and "authorization" not in request.headers:
            return person(self.view(), uid, via=self.via)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        principal = await self.authenticator.service(token if scheme.lower() == "bearer" else None, self.audience)
        row = self.view().declared.services[principal.name]
        actor = Actor(name=principal.name, kind="service", via="token")
        return Who(actor=actor, id=principal.id, roles=frozenset(row.roles))


def people_door(served: Mapping[tuple[str, str], tuple[Handler, Any]], keeper: Doorkeeper) -> Starlette:
    """The door as an ASGI application. `served` maps (method, path) to a handler and its input's type."""
    return Starlette(
        routes=[
            Route(path, _endpoint(handler, shape, keeper), methods=[method])
            for (method, path), (handler, shape) in served.items()
        ]
    )


def _endpoint(handler: Handler, shape: Any, keeper: Doorkeeper) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            who = await keeper.who(request)
            given = await _input(request, shape)
            return _json(200, await handler(who, request, given))
        except Denied as no:
            status = next((code for stage, code in _DENIED.items() if no.reason.startswith(stage)), 403)
            return _json(status, {"error": {"fault": "Denied", "message": str(no), "advice": "", "reason": no.reason}})
        except RemitError as e:
            fault = {"fault": type(e).__name__, "message": e.message, "advice": e.advice}
            return _json(_STATUS.get(type(e), 500), {"error": fault})

    return endpoint


def person(view: View, uid: int, *, via: str = "socket") -> Who:
    """The catalogued person behind a user id of this machine, or `NotPermitted`."""
    try:
        os_user = pwd.getpwuid(uid).pw_name
    except KeyError:
        raise NotPermitted(f"user id {uid} has no name on this machine") from None
    for name, row in view.declared.people.items():
        if row.os_user == os_user:
            return Who(actor=Actor(name=name, kind="human", via=via), id=f"person/{name}", roles=frozenset(row.roles))
    raise NotPermitted(f"`{os_user}` is nobody the catalogue knows", "add a person with this `os_user` to remit.yaml")


async def _input(request: Request, shape: Any) -> Any:
    if shape is None:
        return None
    body = await _bounded_body(request)
    try:
        return msgspec.convert(parse(body or b"{}", BODY_MAX), shape)
    except msgspec.ValidationError as e:
        raise CallerFault(f"the request does not fit: {e}", "see docs/reference/api.md") from e


async def _bounded_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_MAX:
            raise CallerFault(f"the request is larger than {BODY_MAX} bytes")
    return bytes(body)


def _json(status: int, value: Any) -> Response:
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")
