"""MCP over the stdin and stdout of a process, both generations: one JSON-RPC message per line.

Rules: a request is written once; when the server dies, every request in flight fails as sent, and none is written to
the server started after it. Lines that are not JSON-RPC are the server's noise: they go to its log. A line longer than
a result may be is read over without being kept.
"""

import contextlib
from collections.abc import Sequence
from typing import Final

from remit.edge.upstream.message import Answer, Request, notification_bytes
from remit.edge.upstream.pending import Pending
from remit.edge.upstream.process import Launcher, Process
from remit.edge.upstream.wire import Heard, Held
from remit.errors import UpstreamFault
from remit.limits import RESULT_BYTES_MAX

_EDGE_BYTES: Final = 4096


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
    """A line to one process."""

    def __init__(self, launcher: Launcher, connector: str, *, heard: Heard) -> None:
        self._launcher = launcher
        self._log = launcher.log(connector)
        self._process = Process(self._log, heard=self._heard, gone=self._gone)
        self._pending = Pending(tell=self._tell, heard=heard, noise=self._noise)
        self._lines = Lines(RESULT_BYTES_MAX)
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

    async def exchange(self, request: Request) -> Answer | Held:
        if self._closing:
            raise UpstreamFault("the session was ended", sent=False)
        number, body = self._pending.numbered(request)
        self._process.write(body + b"\n")
        return await self._pending.answer(number, request)

    def attend(self) -> None:
        """Nothing to do: everything comes on the one line."""

    async def notify(self, method: str) -> None:
        self._process.write(notification_bytes(method) + b"\n")

    async def close(self) -> None:
        self._closing = True
        await self._process.stop()

    def _tell(self, message: bytes) -> None:
        """Write something that has no answer, if it can be: that it cannot says nothing of what was sent before."""
        with contextlib.suppress(UpstreamFault):
            self._process.write(message + b"\n")

    def _heard(self, chunk: bytes) -> None:
        for line, size in self._lines.feed(chunk):
            if line and not line.isspace():
                self._pending.take(line, size)

    def _noise(self, line: bytes) -> None:
        self._log.write(b"not MCP: " + line + b"\n")

    def _gone(self) -> None:
        self._launcher.forget(self._process)
        code = self._process.exit_code
        self._pending.fail_all(lambda: UpstreamFault(f"the tool server ended (exit status {code})", sent=True))
