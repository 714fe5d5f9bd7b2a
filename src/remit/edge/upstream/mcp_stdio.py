"""MCP over the stdin and stdout of a process, both generations: one JSON-RPC message per line.

Rules: a request is written once; when the server dies, every request in flight fails as sent, and none is written to
the server started after it. Lines that are not JSON-RPC are the server's noise: they go to its log. A line longer than
a result may be is read over without being kept.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from remit.edge.upstream.message import (
    Answer,
    Message,
    Request,
    answer_of,
    attributed,
    not_mcp,
    notification_bytes,
    read,
    request_bytes,
    response_bytes,
)
from remit.edge.upstream.process import Launcher, Process
from remit.edge.upstream.wire import Changed, timed_out
from remit.errors import UpstreamFault
from remit.limits import RESULT_BYTES_MAX

_EDGE_BYTES: Final = 4096
_NOISE_BYTES: Final = 500


class Lines:
    """Cuts a byte stream into lines, holding at most `most` bytes of an unfinished one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rest = bytearray()
        self._dropped = 0
        self._head = b""

    def feed(self, chunk: bytes) -> list[tuple[bytes, int]]:
        """Every line that `chunk` completes, with its length.

        Of a line too long to keep, the first and last bytes are left; its length tells.
        """
        found: list[tuple[bytes, int]] = []
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            if self._rest or len(end) > self._most:
                self._add(end)
                found.append(self._finished())
            else:
                found.append((end, len(end)))
        self._add(rest)
        return found

    def _add(self, part: bytes) -> None:
        self._rest += part
        if len(self._rest) > self._most or self._dropped:
            self._head = self._head or bytes(self._rest[:_EDGE_BYTES])
            excess = len(self._rest) - _EDGE_BYTES
            if excess > 0:
                self._dropped += excess
                del self._rest[:excess]

    def _finished(self) -> tuple[bytes, int]:
        line, size = self._head + bytes(self._rest), self._dropped + len(self._rest)
        self._rest, self._dropped, self._head = bytearray(), 0, b""
        return line, size


class StdioWire:
    """A line to one process. Answers are matched to requests by their ids; an answer nobody waits for is ignored."""

    def __init__(self, launcher: Launcher, connector: str, *, changed: Changed) -> None:
        self._launcher = launcher
        self._log = launcher.log(connector)
        self._process = Process(self._log, heard=self._heard, gone=self._gone)
        self._changed = changed
        self._lines = Lines(RESULT_BYTES_MAX)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._number = 0
        self._closing = False

    @property
    def alive(self) -> bool:
        return self._process.running and not self._closing

    async def start(self, command: Sequence[str], env: Sequence[str]) -> None:
        """Start the server with the variables listed in `env`. Raises `UpstreamFault(sent=False)`."""
        try:
            await self._launcher.start(self._process, command, env=env)
        except BaseException:
            await self.close()
            raise

    def speak(self, revision: str) -> None:
        """Nothing to do: the revision is in the messages."""

    async def exchange(self, request: Request) -> Answer:
        if self._closing:
            raise UpstreamFault("the session was ended", sent=False)
        self._number += 1
        number = self._number
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._process.write(request_bytes(number, request.method, params=request.params) + b"\n")
        self._waiting[number] = waiting
        try:
            async with asyncio.timeout(request.timeout_s):
                return await waiting
        except TimeoutError as e:
            self._withdraw(request, number)
            raise timed_out(request.timeout_s) from e
        except asyncio.CancelledError:
            self._withdraw(request, number)
            raise
        finally:
            del self._waiting[number]

    async def notify(self, method: str) -> None:
        self._process.write(notification_bytes(method) + b"\n")

    async def close(self) -> None:
        self._closing = True
        await self._process.stop()

    def _withdraw(self, request: Request, number: int) -> None:
        if request.outgoing is not None:
            self._tell(notification_bytes("notifications/cancelled", {"requestId": number}))

    def _tell(self, message: bytes) -> None:
        """Write something that has no answer, if it can be written."""
        if self.alive:
            self._process.write(message + b"\n")

    def _heard(self, chunk: bytes) -> None:
        for line, size in self._lines.feed(chunk):
            if size > len(line):
                self._unread(line, Answer(received=size))
            elif line and not line.isspace():
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            message = read(line)
        except ValueError:
            self._log.write(b"not MCP: " + line[:_NOISE_BYTES] + b"\n")
            self._unread(line, not_mcp("the tool server's answer is not JSON-RPC"))
            return
        if message.method is not None:
            self._asked(message)
        elif message.answers is not None:
            self._settle(message.answers, message, size=len(line))

    def _asked(self, message: Message) -> None:
        """A notification, or a request, which is answered with what we do: nothing but pong."""
        if not message.id:
            if (message.method or "").endswith("/list_changed"):
                self._changed()
        elif (response := response_bytes(message)) is not None:
            self._tell(response)

    def _settle(self, number: int, message: Message, *, size: int) -> None:
        waiting = self._waiting.get(number)
        if waiting is None or waiting.done():
            return
        try:
            waiting.set_result(answer_of(message, size))
        except UpstreamFault as e:
            waiting.set_exception(e)

    def _unread(self, line: bytes, outcome: Answer | UpstreamFault) -> None:
        """A line too long or not readable that seems to be an answer ends the wait for it."""
        waiting = self._waiting.get(attributed(line, line) or 0)
        if waiting is not None and not waiting.done():
            if isinstance(outcome, Answer):
                waiting.set_result(outcome)
            else:
                waiting.set_exception(outcome)

    def _gone(self) -> None:
        self._launcher.forget(self._process)
        code = self._process.exit_code
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(UpstreamFault(f"the tool server ended (exit status {code})", sent=True))
