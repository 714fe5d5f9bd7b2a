"""One table put into a TOML text, or taken out of it, with every other byte left as it is.

The table stands at the end, under a comment that says whose it is. The outcome is read again and compared with what it
should say before it is given back; what cannot be done so is refused (`CallerFault`).
"""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

from remit.errors import CallerFault

_MARK: Final = "# Written by `remit connect`, which also removes it: `--undo`."


def value(text: str) -> dict[str, Any]:
    """What a text says. Raises `CallerFault`."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as e:
        raise CallerFault(f"it is not TOML: {e}", "correct it first") from e


def put(text: str, path: tuple[str, str], *, entry: Mapping[str, Any]) -> str:
    """The text with the table `path`, in place of what was there. `entry` holds texts and lists of texts."""
    expected = value(text)
    tables = expected.setdefault(path[0], {})
    there = isinstance(tables, dict) and path[1] in tables
    if not isinstance(tables, dict):
        raise CallerFault(f"`{path[0]}` is no table there")
    tables[path[1]] = dict(entry)
    lines = (_MARK, f"[{path[0]}.{path[1]}]", *(f"{key} = {_rendered(one)}" for key, one in entry.items()))
    newline = "\r\n" if "\r\n" in text else "\n"
    table = "".join(line + newline for line in lines)
    if there:
        start, end = _extent(text, path)
        return _checked(text[:start] + table + text[end:], expected)
    gap = "" if not text or text.endswith("\n") else newline
    return _checked(text + gap + (newline if text else "") + table, expected)


def drop(text: str, path: tuple[str, str]) -> str:
    """The text without the table `path`, which is there. Raises `CallerFault`."""
    expected = value(text)
    del expected[path[0]][path[1]]
    start, end = _extent(text, path)
    before = re.sub(r"(\A|\n)\r?\n\Z", r"\1", text[:start])
    without = before + text[end:]
    if not expected[path[0]] and path[0] not in value(without):
        del expected[path[0]]
    return _checked(without, expected)


def _extent(text: str, path: tuple[str, str]) -> tuple[int, int]:
    """From the comment that is ours, or the table's head, to its last line before a blank, a comment or a table."""
    head = rf"(?:{re.escape(_MARK)}\r?\n)?\[{re.escape(path[0])}\.{re.escape(path[1])}\][ \t]*(?:\r?\n|\Z)"
    found = re.search(rf"(?m)^{head}(?:(?![ \t]*(?:[\[#\r\n]|\Z)).*(?:\n|\Z))*", text)
    if found is None:
        raise CallerFault(f"the table `{path[0]}.{path[1]}` is written in a way that is not ours")
    return found.span()


def _checked(text: str, expected: Mapping[str, Any]) -> str:
    try:
        right = value(text) == expected
    except CallerFault:
        right = False
    if not right:
        raise CallerFault("the text cannot be edited without touching what is not ours")
    return text


def _rendered(given: str | list[str]) -> str:
    """A basic string, or an array of them in one line: JSON's are TOML's, of printable text."""
    return json.dumps(given, ensure_ascii=False)
