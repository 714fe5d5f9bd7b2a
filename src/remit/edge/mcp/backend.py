"""What the door needs from the gateway behind it, as a contract in words, and what an operator sets."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from msgspec import Struct

from remit.answer import Answered, Asking, Followed, Refusal
from remit.call import Ask
from remit.case import Hears
from remit.catalogue.model import Contract, ContractKind
from remit.edge.mcp.leaving import Cancelled
from remit.identity.model import Principal
from remit.identity.resource import Site
from remit.reasons import Reason

_KINDS: Final[tuple[ContractKind, ...]] = ("tool", "prompt", "resource", "template")


class Backend(Protocol):
    """The gateway as the door sees it. Nothing here raises for a call that is refused: that is an answer."""

    async def authenticate(self, token: str | None, audience: str) -> Principal:
        """Who presents this token at this endpoint, on every request; `Denied(identity.*)` otherwise."""
        ...

    async def answer(self, ask: Ask, cancelled: Cancelled, *, hears: Hears | None) -> Answered:
        """Govern one call. When `cancelled` is set while it runs, the client no longer wants the answer: stop as
        soon as the record allows, and still return. What the server says meanwhile goes to `hears`.
        """
        ...

    async def tended(self, ask: Ask, cancelled: Cancelled) -> Answered | Followed:
        """How it stands with an operation (`tasks/get`), or an empty result once its server was told the client's
        answers (`tasks/update`, a call of its own) or to stop it (`tasks/cancel`). The params' `taskId` is text.
        """
        ...

    def abandon(self, asking: Asking) -> None:
        """The client will not answer: a server that waits for it is told so."""
        ...

    async def listed(self, ask: Ask, kind: ContractKind) -> tuple[Contract, ...] | Refusal:
        """The pinned contracts of one kind within the caller's reach: of one connector, or of all (the aggregate)."""
        ...

    def tool(self, connector: str, name: str) -> Contract | None:
        """The pinned contract of a tool, whoever may reach it; the door uses only what of it mirrors into headers."""
        ...

    def instructions(self, connector: str) -> str:
        """The pinned instructions of a connector; empty if it has none or is unknown."""
        ...

    def capabilities(self, connector: str) -> Mapping[str, Any] | None:
        """What the connector's server last said it can do; None if nobody knows."""
        ...

    async def attend(self, connector: str, agent: str) -> None:
        """Listen for what the server says to this agent's sessions beside its answers."""
        ...

    async def leave(self, connector: str, agent: str, *, uris: Iterable[str] = ()) -> None:
        """One listener less; nobody wants to hear of `uris` any more."""
        ...

    def open_stream(self, principal: Principal) -> None:
        """Count one listening stream in, or raise `Denied(identity.in_flight)`."""
        ...

    def close_stream(self, principal: Principal) -> None:
        """Count it out again."""
        ...

    def sessions_max(self, agent: str) -> int:
        """How many legacy sessions one agent may hold at once."""
        ...

    def jwks(self) -> Mapping[str, Any]:
        """The public keys of the local trust domain, RFC 7517."""
        ...

    async def refused(self, reason: Reason, detail: str, *, who: Principal | None) -> None:
        """A request was refused before it became a call: on record if it is proven who sent it, else counted."""
        ...


async def reach(backend: Backend, ask: Ask) -> bool | Refusal:
    """Whether anything that is asked about is within the caller's reach; a refusal if the caller may ask nothing."""
    for kind in _KINDS:
        found = await backend.listed(ask, kind)
        if isinstance(found, Refusal):
            return found
        if found:
            return True
    return False


class DoorSettings(Struct, frozen=True, kw_only=True):
    """`public_url` is scheme and authority only, as agents are told; `site` what requests may name.

    `authorization_servers` are the issuers an OAuth client may obtain a token from. `version` is Remit's own.
    """

    public_url: str
    version: str
    site: Site
    authorization_servers: tuple[str, ...] = ()
