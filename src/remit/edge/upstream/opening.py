"""How a session's conversation comes about: which driver, which generation of the protocol.

What all sessions share is here: the pool of HTTP connections, the launcher of processes, and which servers were found
to be of the older generation or to speak its first transport, so that the next session with one need not probe.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from remit.edge.upstream.conversation import Able, Conversation, by_handshake, opened
from remit.edge.upstream.http1 import Pool
from remit.edge.upstream.mcp_http import Elsewhere, HttpWire
from remit.edge.upstream.mcp_sse import SseWire
from remit.edge.upstream.mcp_stdio import StdioWire
from remit.edge.upstream.origin import origin
from remit.edge.upstream.params import MODERN
from remit.edge.upstream.pool import pool
from remit.edge.upstream.process import Launcher
from remit.edge.upstream.session import Opened, Session
from remit.edge.upstream.wire import Heard, Wire
from remit.errors import UpstreamFault


class Opener:
    """`admit` is asked before a process is started and may raise `Denied`; an opening may take `seconds`."""

    def __init__(self, admit: Callable[[Session], None], *, logs: Path, seconds: float) -> None:
        self._admit = admit
        self._seconds = seconds
        self._launcher = Launcher(logs)
        self._http: Pool | None = None
        self._legacy: set[str] = set()
        self._modern: set[str] = set()
        self._streamed: set[str] = set()

    async def open(self, session: Session, heard: Heard) -> Opened:
        """Open a conversation for the session. Raises `UpstreamFault(sent=False)`, `Denied`."""
        connector = session.key.connector
        try:
            async with asyncio.timeout(self._seconds):
                return await (self._started if session.row.command else self._reached)(session, heard)
        except TimeoutError as e:
            raise UpstreamFault(f"`{connector}` did not open within {self._seconds:g} s", sent=False) from e

    def is_modern(self, connector: str) -> bool:
        """Whether the server was found to be of the newer generation."""
        return connector in self._modern

    async def close(self) -> None:
        """Close what is shared; every session has been ended before."""
        await self._launcher.close()
        if self._http is not None:
            await self._http.close()

    async def _started(self, session: Session, heard: Heard) -> Opened:
        connector, row = session.key.connector, session.row
        made_of = await asyncio.to_thread(origin, self._launcher.resolve(row.command), row.command)
        self._admit(session)
        wire = StdioWire(self._launcher, connector, heard=heard)
        await wire.start(row.command, row.env)
        return Opened(await self._greeted(session, wire), made_of)

    async def _reached(self, session: Session, heard: Heard) -> Opened:
        """Over HTTP: by POST at its URL; where that is refused, by the transport of 2024-11-05, if there is one.

        A server once found to speak the latter is asked that way first.
        """
        connector, url, able = session.key.connector, session.row.url, _able_of(session)
        if url is None:
            raise UpstreamFault(f"`{connector}` has neither `url` nor `command`", sent=False)
        self._http = self._http or pool()
        if connector in self._streamed:
            try:
                return await self._streams(connector, SseWire(self._http, url, heard=heard), able)
            except UpstreamFault as e:
                if e.why != "protocol":
                    raise
        try:
            return Opened(await self._greeted(session, HttpWire(self._http, url, heard=heard)), None)
        except Elsewhere as e:
            try:
                return await self._streams(connector, SseWire(self._http, url, heard=heard), able)
            except UpstreamFault as neither:
                raise UpstreamFault(f"{e.message}; {neither.message}", neither.advice, sent=False) from neither

    async def _streams(self, connector: str, wire: SseWire, able: Able) -> Opened:
        try:
            await wire.start()
            conversation = await by_handshake(wire, able=able)
        except BaseException:
            self._streamed.discard(connector)
            await wire.close()
            raise
        self._streamed.add(connector)
        return Opened(conversation, None)

    async def _greeted(self, session: Session, wire: Wire) -> Conversation:
        connector, legacy_first = session.key.connector, session.key.legacy or session.key.connector in self._legacy
        try:
            conversation = await opened(wire, able=_able_of(session), legacy_first=legacy_first)
        except BaseException:
            # There are servers that die of a question they do not know: the next opening begins the other way.
            self._remember(connector, legacy=not legacy_first)
            await wire.close()
            raise
        if not session.key.legacy:
            is_modern = conversation.server.revision == MODERN
            self._remember(connector, legacy=not is_modern)
            (self._modern.add if is_modern else self._modern.discard)(connector)
        return conversation

    def _remember(self, connector: str, *, legacy: bool) -> None:
        (self._legacy.add if legacy else self._legacy.discard)(connector)


def _able_of(session: Session) -> Able:
    """What the clients of a session can do for its server."""
    able: Able = msgspec.json.decode(session.key.able)
    return able
