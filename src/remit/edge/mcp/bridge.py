"""The stdio bridge: lets a desktop client that can only start a process reach the agents' door.

The client writes one JSON-RPC message per line; each is forwarded as it is, with a token minted for this request, and
the answer comes back as one line. The bridge decides nothing. It keeps what HTTP needs and stdio does not have: the
legacy session, the headers that repeat a modern body, the schemas that say which arguments they repeat. Standard
output carries messages and nothing else; no token is ever written anywhere.

When the gateway has forgotten the session (it was restarted), the bridge opens a new one and sends the message again:
a 404 for a session is given before anything of the message is looked at.
"""

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import IO, Any, Final

import aiohttp
import msgspec
from aiohttp.http import HttpProcessingError
from msgspec import Struct

from remit.edge.mcp.agreement import Mirrored, encoded, mirror, mirrored_by
from remit.edge.mcp.rpc import Answered, Fault, Id, Message, error, read
from remit.edge.mcp.wire import NAMED, Code, Meta
from remit.errors import CallerFault, RemitError
from remit.limits import BODY_BYTES_MAX

Write = Callable[[bytes], Awaitable[None]]

# How long calls may still run after the client closed our input, before they are abandoned.
_GRACE_S: Final = 1.5
_CONNECT_S: Final = 10
# The third is a line longer than is read, the last a session or revision that no header can carry.
_BROKEN: Final = (aiohttp.ClientError, TimeoutError, HttpProcessingError, ValueError)
_UNREACHABLE: Final = "the gateway cannot be reached; nothing was sent; check that it runs"
_CUT_OFF: Final = "the gateway did not answer; what was asked may have happened, so check before repeating it"


class Destination(Struct, frozen=True, kw_only=True):
    """Where messages go: the endpoint's URL, a `token` minted anew for each request, the `client` label, the task.

    `token` may raise `RemitError`; its message is told to the client, so it holds no secret.
    """

    url: str
    token: Callable[[], str]
    client: str
    task: str | None = None


async def bridge(destination: Destination, lines: AsyncIterator[bytes], *, write: Write) -> None:
    """Forward each line and write each answer, until the lines end; then close the session.

    `write` takes one message without its newline and is never called twice at once.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=jar) as http:
        await _Bridge(destination, http, write=write).run(lines)


async def bridge_stdio(destination: Destination) -> None:
    """`bridge` over this process's standard input and output; `CallerFault` if they are no pipes."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=BODY_BYTES_MAX + 1)
    try:
        _pollable(sys.stdin)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout)
    except ValueError as e:
        raise CallerFault("standard input and output have to be pipes", "let an MCP client start the bridge") from e
    writer = asyncio.StreamWriter(transport, protocol, None, loop)

    async def write(message: bytes) -> None:
        writer.write(message + b"\n")
        await writer.drain()

    # A client that closed our output no longer reads: there is nobody to tell.
    with suppress(BrokenPipeError, ConnectionResetError):
        await bridge(destination, _lines(reader), write=write)


def _pollable(stream: IO[str]) -> None:
    """Raises `ValueError` for what cannot be waited for, `/dev/null` say: asyncio would fail out of our reach."""
    mode = os.fstat(stream.fileno()).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stream.isatty()):
        raise ValueError("no pipe, no socket, no terminal")


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        try:
            line = await reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as e:
            if e.partial.strip():
                yield e.partial
            return
        except asyncio.LimitOverrunError:
            # Refused as too large; nothing after it can be told apart any more.
            yield b"x" * (BODY_BYTES_MAX + 1)
            return
        if line.strip():
            yield line


class _Bridge:
    def __init__(self, destination: Destination, http: aiohttp.ClientSession, *, write: Write) -> None:
        self._to = destination
        self._http = http
        self._write = write
        self._writing = asyncio.Lock()
        self._running: dict[Id, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: str | None = None
        self._revision: str | None = None
        self._opening: bytes | None = None
        self._reopening = asyncio.Lock()
        self._mirrored: dict[str, tuple[Mirrored, ...]] = {}

    async def run(self, lines: AsyncIterator[bytes]) -> None:
        try:
            async for line in lines:
                await self._take(line.strip())
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=_GRACE_S)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._close()

    async def _take(self, line: bytes) -> None:
        try:
            message = read(line)
        except Fault as fault:
            await self._say(error(None, fault.code, message=fault.message))
            return
        if isinstance(message, Answered):
            await self._notify(line)
            return
        if message.method == "notifications/cancelled" and self._abandon(message):
            return
        if message.id is None:
            await self._notify(line)
            return
        task = asyncio.create_task(self._ask(message, line))
        self._tasks.add(task)
        self._running[message.id] = task
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda done: self._forget(message.id, done))

    def _forget(self, call: Id | None, task: asyncio.Task[None]) -> None:
        if call is not None and self._running.get(call) is task:
            del self._running[call]

    def _abandon(self, message: Message) -> bool:
        """On the modern wire, closing the connection is how a call is cancelled; True if that was all to do."""
        if self._session is not None:
            return False
        call = (message.params or {}).get("requestId")
        task = self._running.get(call) if isinstance(call, str | int) else None
        if task is not None:
            task.cancel()
        return True

    async def _notify(self, line: bytes) -> None:
        """Only the legacy wire has notifications and answers from a client, and none of them is answered."""
        if self._session is None:
            return
        with suppress(*_BROKEN, RemitError):
            async with self._post(line, self._legacy_headers()):
                pass

    async def _ask(self, message: Message, line: bytes) -> None:
        try:
            answer = await self._answer(message, line)
        except aiohttp.ClientConnectorError:
            answer = error(message.id, Code.UNREACHABLE, message=_UNREACHABLE)
        except (*_BROKEN, msgspec.DecodeError, RecursionError, _SessionLost):
            answer = error(message.id, Code.UNREACHABLE, message=_CUT_OFF)
        except RemitError as e:
            answer = error(message.id, Code.UNREACHABLE, message=e.message)
        await self._say(answer)

    async def _answer(self, message: Message, line: bytes) -> bytes:
        if Meta.VERSION in message.meta:
            return await self._send(message, line, headers=self._modern_headers(message))
        if message.method == "initialize":
            self._opening, self._session = line, None
            return await self._send(message, line, headers={})
        session = self._session
        try:
            return await self._send(message, line, headers=self._legacy_headers())
        except _SessionLost:
            await self._reopen(session)
            return await self._send(message, line, headers=self._legacy_headers())

    async def _send(self, message: Message, line: bytes, *, headers: dict[str, str]) -> bytes:
        async with self._post(line, headers) as response:
            if response.status == HTTPStatus.NOT_FOUND and "Mcp-Session-Id" in headers and self._opening is not None:
                raise _SessionLost
            if message.method == "initialize" and response.ok:
                self._session = response.headers.get("Mcp-Session-Id")
            if response.content_type == "text/event-stream":
                return await self._streamed(message, response)
            answer = await response.read()
        return self._noted(message, answer, status=response.status)

    def _post(self, line: bytes, headers: dict[str, str]) -> "aiohttp.client._RequestContextManager":
        whole = {
            "Authorization": f"Bearer {self._to.token()}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "Remit-Client": self._to.client,
            **({"Remit-Task": self._to.task} if self._to.task else {}),
            **headers,
        }
        # A redirect could lead the token elsewhere.
        return self._http.post(self._to.url, data=line, headers=whole, allow_redirects=False)

    def _legacy_headers(self) -> dict[str, str]:
        session = {"Mcp-Session-Id": self._session} if self._session else {}
        return session | ({"MCP-Protocol-Version": self._revision} if self._revision else {})

    def _modern_headers(self, message: Message) -> dict[str, str]:
        params = message.params or {}
        headers = {
            "MCP-Protocol-Version": encoded(str(message.meta[Meta.VERSION])),
            "Mcp-Method": encoded(message.method),
        }
        name = params.get(NAMED.get(message.method, ""))
        if isinstance(name, str):
            headers["Mcp-Name"] = encoded(name)
            arguments = params.get("arguments")
            if message.method == "tools/call" and isinstance(arguments, dict):
                headers |= mirror(self._mirrored.get(name, ()), arguments)
        return headers

    async def _streamed(self, message: Message, response: aiohttp.ClientResponse) -> bytes:
        """Pass on what a stream says until it answers the request."""
        rest = bytearray()
        async for chunk in response.content.iter_any():
            rest += chunk
            # The gateway ends each event with an empty line, and its data is one line.
            *events, unfinished = rest.split(b"\n\n") if b"\n\n" in rest else [rest]
            for event in events:
                _, found, data = bytes(event).partition(b"data: ")
                if not found:
                    continue
                said = msgspec.json.decode(data, type=_Answer)
                if said.id == message.id and said.method is None:
                    return self._noted(message, data, status=response.status)
                await self._say(_one_line(data))
            rest = bytearray(unfinished)
        raise aiohttp.ClientPayloadError

    def _noted(self, message: Message, answer: bytes, *, status: int) -> bytes:
        """The answer as one line with the request's own id; what later requests depend on is remembered."""
        try:
            found = msgspec.json.decode(answer, type=_Answer)
        except msgspec.DecodeError:
            return error(message.id, Code.UNREACHABLE, message=f"the gateway answered with HTTP status {status}")
        if found.error is not msgspec.UNSET and found.id != message.id:
            # The gateway refused before it knew the id.
            return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (msgspec.json.encode(message.id), _one_line(found.error))
        if message.method == "initialize" and found.result is not msgspec.UNSET:
            self._revision = msgspec.json.decode(found.result, type=_Initialized).protocolVersion
        if message.method == "tools/list" and found.result is not msgspec.UNSET:
            for tool in msgspec.json.decode(found.result, type=_Tools).tools:
                self._mirrored[tool.name] = mirrored_by(tool.inputSchema)
        return _one_line(answer)

    async def _reopen(self, lost: str | None) -> None:
        """Open a new session as the client opened its own, once for all requests that lost the same one."""
        async with self._reopening:
            if self._session != lost or self._opening is None:
                return
            self._session = None
            await self._send(_INITIALIZE, self._opening, headers={})
            await self._notify(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')

    async def _close(self) -> None:
        if self._session is None:
            return
        headers = self._legacy_headers()
        with suppress(*_BROKEN, RemitError):
            headers["Authorization"] = f"Bearer {self._to.token()}"
            timeout = aiohttp.ClientTimeout(total=_GRACE_S)
            async with self._http.delete(self._to.url, headers=headers, allow_redirects=False, timeout=timeout):
                pass

    async def _say(self, message: bytes) -> None:
        async with self._writing:
            await self._write(message)


_INITIALIZE: Final = Message(method="initialize", id=0)


class _SessionLost(Exception):
    """The gateway knows no such session."""


class _Answer(Struct):
    """A JSON-RPC answer, its body untouched; whatever has a `method` is none."""

    id: Id | None = None
    method: str | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Initialized(Struct):
    protocolVersion: str  # noqa: N815 - MCP's spelling


class _Tool(Struct):
    name: str
    inputSchema: Any = None  # noqa: N815 - MCP's spelling


class _Tools(Struct):
    tools: list[_Tool] = []


def _one_line(message: bytes | msgspec.Raw) -> bytes:
    """The same JSON without blanks between its parts, so that it holds no newline."""
    return msgspec.json.format(bytes(message), indent=-1)
