"""How a session's conversation comes about: which driver, which generation of the protocol.

What all sessions share is here: the pool of HTTP connections, the launcher of processes, and which servers were found
to be of the older generation, so that the next session with one need not probe.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from remit.catalogue.model import Connector
from remit.edge.upstream.conversation import Conversation, opened
from remit.edge.upstream.mcp_http import HttpWire, pool
from remit.edge.upstream.mcp_stdio import StdioWire
from remit.edge.upstream.origin import origin
from remit.edge.upstream.params import MODERN
from remit.edge.upstream.process import Launcher
from remit.edge.upstream.session import Opened, Session
from remit.edge.upstream.wire import Changed, Wire
from remit.errors import UpstreamFault


class Opener:
    """`admit` is asked before a process is started and may raise `Denied`; an opening may take `seconds`."""

    def __init__(self, admit: Callable[[Session], None], *, logs: Path, seconds: float) -> None:
        self._admit = admit
        self._seconds = seconds
        self._launcher = Launcher(logs)
        self._http: ClientSession | None = None
        self._legacy: set[str] = set()

    async def open(self, session: Session, changed: Changed) -> Opened:
        """Open a conversation for the session. Raises `UpstreamFault(sent=False)`, `Denied`."""
        connector, row = session.key.connector, session.row
        try:
            async with asyncio.timeout(self._seconds):
                made_of = await self._made_of(row) if row.command else None
                wire = await self._wire(session, changed)
                return Opened(await self._greeted(connector, wire), made_of)
        except TimeoutError as e:
            raise UpstreamFault(f"`{connector}` did not open within {self._seconds:g} s", sent=False) from e

    async def close(self) -> None:
        """Close what is shared; every session has been ended before."""
        await self._launcher.close()
        if self._http is not None:
            await self._http.close()

    async def _made_of(self, row: Connector) -> dict[str, Any]:
        return await asyncio.to_thread(origin, self._launcher.resolve(row.command), row.command)

    async def _wire(self, session: Session, changed: Changed) -> Wire:
        connector, row = session.key.connector, session.row
        if row.command:
            self._admit(session)
            wire = StdioWire(self._launcher, connector, changed=changed)
            await wire.start(row.command, row.env)
            return wire
        if row.url is None:
            raise UpstreamFault(f"`{connector}` has neither `url` nor `command`", sent=False)
        self._http = self._http or pool()
        return HttpWire(self._http, row.url, changed=changed)

    async def _greeted(self, connector: str, wire: Wire) -> Conversation:
        try:
            conversation = await opened(wire, legacy_first=connector in self._legacy)
        except BaseException:
            # There are servers that die of a question they do not know: the next opening begins the other way.
            self._remember(connector, legacy=connector not in self._legacy)
            await wire.close()
            raise
        self._remember(connector, legacy=conversation.server.revision != MODERN)
        return conversation

    def _remember(self, connector: str, *, legacy: bool) -> None:
        (self._legacy.add if legacy else self._legacy.discard)(connector)
