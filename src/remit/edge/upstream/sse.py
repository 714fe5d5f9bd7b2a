"""Server-sent events, as far as MCP uses them: the `data` of each event.

Source: WHATWG HTML section 9.2.6. Event names, ids and retry times are not used: a broken stream is never resumed.
"""

from typing import Final

_BREAKS: Final = b"\r\n"


class TooLong(Exception):
    """One event is larger than the bound; `received` bytes of it were read."""

    def __init__(self, received: int) -> None:
        super().__init__(received)
        self.received = received


class EventReader:
    """Cuts a byte stream into events, holding at most `most` bytes of an unfinished one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of every event that `chunk` completes, in order. Raises `TooLong`."""
        self._line += chunk
        # A break at the end of what is there may be half of CR LF: it waits for the next chunk, except LF.
        end = max(self._line.rfind(b"\n"), self._line.rfind(b"\r", 0, -1)) + 1
        if not end:
            self._bound(len(self._line))
            return []
        lines = bytes(self._line[:end]).splitlines()
        del self._line[:end]
        found = [event for line in lines if (event := self._take(line)) is not None]
        self._bound(len(self._line))
        return found

    def _take(self, line: bytes) -> bytes | None:
        if not line:
            data, self._data, self._size = self._data, [], 0
            # An event may have empty data: servers send one first, to say that the stream could be resumed.
            return b"\n".join(data) or None
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value)
            self._bound(0)
        return None

    def _bound(self, unfinished: int) -> None:
        if self._size + unfinished > self._most:
            raise TooLong(self._size + unfinished)
