"""Server-sent events, as far as MCP uses them: the name and the data of each event.

Rules: an event longer than the bound is read over; its first and last bytes are kept. The last id, and the pause a
server asks for before a stream is resumed, are kept for who resumes it. Source: WHATWG HTML section 9.2.6.
"""

import re
from typing import Final, NamedTuple

_ENDS_BYTES: Final = 4096
_NAME_BYTES: Final = 64  # longer than any name in use; what is cut off a longer one makes it none of them
_UNNAMED: Final = b"message"
_ID_BYTES: Final = 256
_ID: Final = re.compile(rb"[!-~]*\Z")  # it goes into a header when a stream is resumed
_RETRY_DIGITS: Final = 10


class Event(NamedTuple):
    """`size` is the length of the data as it was sent; `data` is shorter, its two ends, where that was too long."""

    name: bytes
    data: bytes
    size: int


class EventReader:
    """Cuts a byte stream into events, holding little more than `most` bytes. `size` is the unfinished one's so far.

    `last_id` is that of the last finished event (empty: none had one), `retry_ms` the pause asked for.
    """

    def __init__(self, most: int) -> None:
        self.size = 0
        self.last_id = b""
        self.retry_ms: int | None = None
        self._id: bytes | None = None
        self._most = most
        self._ends = min(_ENDS_BYTES, most // 2)
        self._line = bytearray()
        self._inside: bytes | None = None  # the field of a line too long to hold, of which a part was taken
        self._name = _UNNAMED
        self._data: bytearray | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        """Every event that `chunk` completes, in order; those without data are left out."""
        self._line += chunk
        # A break at the end of what is there may be half of CR LF: it waits for the next chunk, except LF.
        end = max(self._line.rfind(b"\n"), self._line.rfind(b"\r", 0, -1)) + 1
        lines = bytes(self._line[:end]).splitlines()
        del self._line[:end]
        found = [event for line in lines if (event := self._take(line)) is not None]
        if len(self._line) > self._ends and self.size + len(self._line) > self._most:
            self._spill()
        return found

    def _take(self, line: bytes) -> Event | None:
        if self._inside is not None:
            self._continue(line)
            self._inside = None
        elif line:
            self._begin(line)
        else:
            return self._finished()
        return None

    def _begin(self, line: bytes) -> bytes:
        """Take a line, or the beginning of one; returns its field."""
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            self._name = value[:_NAME_BYTES]
        elif field == b"data":
            self._add(value if self._data is None else b"\n" + value)
        elif field == b"id" and len(value) <= _ID_BYTES and _ID.match(value):
            self._id = value
        elif field == b"retry" and value.isdigit() and len(value) < _RETRY_DIGITS:
            self.retry_ms = int(value)
        return field

    def _continue(self, part: bytes) -> None:
        if self._inside == b"data":
            self._add(part)

    def _spill(self) -> None:
        """Take the part of an unfinished line that is there, less a last CR."""
        part = bytes(self._line).removesuffix(b"\r")
        del self._line[: len(part)]
        if self._inside is None:
            self._inside = self._begin(part)
        else:
            self._continue(part)

    def _add(self, part: bytes) -> None:
        self._data = self._data or bytearray()
        self._data += part
        self.size += len(part)
        if self.size > self._most:
            del self._data[self._ends : -self._ends]

    def _finished(self) -> Event | None:
        # An event may have empty data: servers send one first, to say that the stream could be resumed.
        event = Event(self._name, bytes(self._data), self.size) if self._data else None
        if self._id is not None:
            self.last_id = self._id
        self._name, self._data, self._id, self.size = _UNNAMED, None, None, 0
        return event
