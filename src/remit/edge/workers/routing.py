"""Which worker a request is for: the one that its agent's requests all go to.

Sessions with tool servers, sessions of legacy clients and an agent's limits live in memory, so an agent is served by
one worker. To find it, the subject of the bearer token is read from the request's head **without believing it**: it
decides who checks, never what is allowed. The worker it leads to verifies the token as it would any, and `Owned`
refuses one that proves an agent of another worker: a request cannot be steered away from where its agent's limits are
counted. What names nobody is handled where it arrived, and refused there.
"""

import asyncio
import re
import socket
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from remit.catalogue.model import Declared
from remit.edge.workers.passage import Passed, packed
from remit.edge.workers.relay import relay
from remit.identity.facts import Authenticator
from remit.identity.model import Principal
from remit.identity.spiffe import agent_id
from remit.reasons import Denied, Reason

_CLAIMS: Final = re.compile(rb"\r\nauthorization:[ \t]*bearer +[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.", re.IGNORECASE)
_REMEMBERED_MAX: Final = 1024


class _Claims(msgspec.Struct):
    sub: str


_READ: Final = msgspec.json.Decoder(_Claims)


def owners(declared: Declared, workers: int) -> dict[str, int]:
    """The worker of each subject a token of an agent can have, evenly spread by the catalogue's order."""
    found: dict[str, int] = {}
    for number, (name, row) in enumerate(declared.agents.items()):
        subject = row.identity.subject if row.identity else agent_id(declared.trust_domain, name)
        # Two issuers may use one subject: then both agents have one worker.
        found.setdefault(subject, number % workers)
    return found


class Router:
    """`serving.Divert` of one worker: `own` is its index, `send` passes a connection on."""

    def __init__(self, owner: Mapping[str, int], *, own: int, send: Callable[[Passed], None]) -> None:
        self._owner, self._own, self._send = owner, own, send
        self._remembered: dict[bytes, int] = {}

    def __call__(self, head: bytes, transport: asyncio.Transport) -> bool:
        """Pass the connection on if its next request is another worker's."""
        to = self.of(head)
        if to == self._own:
            return False
        try:
            self._send(_packed(to, head, transport))
        except OSError:  # no descriptor is left for it
            transport.abort()
        return True

    def of(self, head: bytes) -> int:
        """Whose request it says it is; ours, if it does not say."""
        found = _CLAIMS.search(head, 0, head.find(b"\r\n\r\n"))
        if found is None:
            return self._own
        claims = found[1]
        owner = self._remembered.get(claims)
        if owner is None:
            if len(self._remembered) >= _REMEMBERED_MAX:
                self._remembered.clear()
            owner = self._remembered[claims] = self._owner.get(_subject(claims), self._own)
        return owner


class Owned(Authenticator):
    """An authenticator that admits only the agents of one worker."""

    def __init__(self, inner: Authenticator, owner: Mapping[str, int], *, own: int) -> None:
        self._inner, self._owner, self._own = inner, owner, own

    async def agent(self, token: str | None, audience: str) -> Principal:
        principal = await self._inner.agent(token, audience)
        if self._owner.get(principal.subject) != self._own:
            raise Denied(Reason.IDENTITY_INVALID, "the request's head does not name the agent of its token plainly")
        return principal

    async def service(self, token: str | None, audience: str) -> Principal:
        return await self._inner.service(token, audience)

    async def subject(self, id_token: str) -> str:
        return await self._inner.subject(id_token)


def _packed(to: int, head: bytes, transport: asyncio.Transport) -> Passed:
    """The connection itself; of one under TLS, whose state is in this process, the far end of a relay."""
    if transport.get_extra_info("sslcontext") is not None:
        with relay(transport) as far:
            return packed(to, far.fileno(), read=head)
    sock: socket.socket = transport.get_extra_info("socket")
    transport.pause_reading()
    passed = packed(to, sock.fileno(), read=head)
    # It closes our descriptor; the connection lives on in the copy.
    transport.close()
    return passed


def _subject(claims: bytes) -> str:
    try:
        return _READ.decode(urlsafe_b64decode(claims + b"=" * (-len(claims) % 4))).sub
    except (Base64Error, msgspec.MsgspecError, UnicodeDecodeError):
        return ""
