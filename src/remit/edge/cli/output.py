"""What a command shows: text for people, JSON for programs, one line for errors.

The answer goes to standard output, everything else to standard error. Colour and progress appear only on a terminal,
never with `NO_COLOR` or `--json`. Text that came from an agent, a tool or a requester may hold anything: `visible`
makes control, bidirectional and other unseen characters readable, and everything shown in a line goes through it.
"""

import json
import os
import sys
import time
import unicodedata
from collections.abc import Iterable, Sequence
from typing import IO, Any, Final

from remit.errors import RemitError

# Cc and Cf hold escape sequences, bidirectional overrides, zero-width characters and tags; the others have no glyph.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_STYLES: Final = {"good": "32", "bad": "31", "wait": "33", "dim": "2", "bold": "1"}
_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def visible(text: object, most: int | None = 500) -> str:
    r"""`text` on one line with nothing hidden in it: unseen characters as `\u{202e}`, cut after `most` characters.

    What a person is about to accept is never cut: `most` is None there.
    """
    shown = str(text)
    cut = shown if most is None or len(shown) <= most else shown[: most - 1] + "…"
    if cut.isascii() and cut.isprintable():
        return cut
    return "".join(f"\\u{{{ord(c):x}}}" if unicodedata.category(c) in _UNSEEN else c for c in cut)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of aligned columns. Every cell is made visible; no rows make no lines."""
    cells = [[visible(cell) for cell in row] for row in rows]
    if not cells:
        return []
    lines = [[name.upper() for name in head], *cells]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def moment(ms: int) -> str:
    """Epoch milliseconds as local time, to the second, with its distance from UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(ms / 1000))


def counted(count: int, thing: str) -> str:
    """A number of things in words: `1 agent`, `2 agents`."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def distance(ms: int, now: int) -> str:
    """How far a moment is from now: `in 12 min`, `3 h ago`."""
    seconds = abs(ms - now) // 1000
    amount = next((f"{seconds // unit} {name}" for unit, name in _UNITS if seconds >= unit), "0 s")
    return f"in {amount}" if ms > now else f"{amount} ago"


def now_ms() -> int:
    """The clock of the person at the keyboard; nothing is decided by it."""
    return time.time_ns() // 1_000_000


class Screen:
    """One command's way to speak. With `json`, only `answer` and `fault` are seen, as one JSON value each."""

    def __init__(self, *, json: bool = False, out: IO[str] | None = None, err: IO[str] | None = None) -> None:
        self.json = json
        self._out = out
        self._err = err

    @property
    def out(self) -> IO[str]:
        return self._out or sys.stdout

    @property
    def err(self) -> IO[str]:
        return self._err or sys.stderr

    def answer(self, value: Any, lines: Iterable[str]) -> None:
        """The command's result: `value` for programs, `lines` for people."""
        if self.json:
            self.event(value)
        else:
            self.say(*lines)

    def event(self, value: Any) -> None:
        """One JSON value on a line of its own, and only with `--json`."""
        if self.json:
            print(_spelled(json.dumps(value)), file=self.out, flush=True)

    def say(self, *lines: str) -> None:
        """Lines for people."""
        if not self.json:
            print(*lines, sep="\n", file=self.out, flush=True)

    def exactly(self, text: str) -> None:
        """JSON and no more, to be kept in a file; a terminal gets it with nothing hidden, and its line's end."""
        self.out.write(_spelled(text) + "\n" if self.out.isatty() else text)
        self.out.flush()

    def note(self, line: str) -> None:
        """What a person should know and a pipe need not: standard error."""
        if not self.json:
            print(line, file=self.err, flush=True)

    def fault(self, fault: RemitError) -> None:
        """The one line that says what is wrong, and the one that says what to do."""
        if self.json:
            self.event({"error": _told(fault)})
            return
        # Set in, so that no line of what is quoted can pass for one of ours.
        message = "\n    ".join(visible(line, most=2000) for line in str(fault).splitlines())
        print(f"remit: {message}", file=self.err)
        if fault.advice:
            print(f"  {visible(fault.advice, most=2000)}", file=self.err, flush=True)

    def paint(self, text: str, style: str) -> str:
        """`text` in colour where colour is welcome. Styles: good, bad, wait, dim, bold."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self._colours() else text

    def _colours(self) -> bool:
        plain = self.json or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        return not plain and self.out.isatty()


def _spelled(text: str) -> str:
    """JSON with unseen characters as its own escapes: the same value, safe to print."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(c) if unicodedata.category(c) in _UNSEEN else c for c in text)


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _told(fault: RemitError) -> dict[str, str]:
    told = {"fault": type(fault).__name__, "message": str(fault), "advice": fault.advice}
    reason = getattr(fault, "reason", None)
    return told if reason is None else {**told, "fault": "Denied", "reason": reason}
