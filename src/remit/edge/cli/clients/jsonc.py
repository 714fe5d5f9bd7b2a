"""One entry put into a JSON text, or taken out of it, with every other byte left as it is.

The text may hold comments and trailing commas, as editors allow in their settings. It is never parsed and written anew:
an entry is inserted, replaced or cut where it stands, and the outcome is read again and compared with what it should
say before it is given back. What cannot be done so is refused (`CallerFault`).
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self

from remit.errors import CallerFault

_DEPTH_MAX: Final = 100
_BLANK: Final = " \t\r\n"
_TRIVIA: Final = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_SCALAR: Final = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_STRINGS: Final = json.JSONDecoder()
_BOM: Final = "\ufeff"


class Node(NamedTuple):
    """A value and where its text stands; `members` of an object, None of anything else."""

    start: int
    end: int
    value: Any
    members: "tuple[Member, ...] | None" = None


class Member(NamedTuple):
    """A member of an object: where its name begins, its value, where the comma behind it stands."""

    name: str
    start: int
    node: Node
    comma: int | None


def value(text: str) -> Any:
    """What a text says; an empty one says `{}`. Raises `CallerFault`."""
    return _read(_or_empty(text)).value


def put(text: str, path: tuple[str, str], *, entry: Mapping[str, Any]) -> str:
    """The text with `entry` at `path`, in place of what was there. Raises `CallerFault`."""
    given = _or_empty(text)
    root = _read(given)
    expected = dict(_object(root.value, path))
    expected[path[0]] = {**_object(expected.get(path[0], {}), path), path[1]: dict(entry)}
    return _checked(_put(given, root, path, given=entry), expected)


def drop(text: str, path: tuple[str, str]) -> str:
    """The text without the entry at `path`, which is there. Raises `CallerFault`."""
    root = _read(text)
    expected = dict(_object(root.value, path))
    expected[path[0]] = {name: one for name, one in expected[path[0]].items() if name != path[1]}
    return _checked(
        _drop(text, _member(_member(root, path[0]).node, path[1]), of=_member(root, path[0]).node), expected
    )


def _or_empty(text: str) -> str:
    return text if text.strip(_BLANK + _BOM) else f"{text[:1] if text[:1] == _BOM else ''}{{}}\n"


def _object(found: Any, path: tuple[str, str]) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise CallerFault(f"there is no place for `{path[1]}` under `{path[0]}`: an object is needed there")
    return found


def _checked(text: str, expected: Any) -> str:
    try:
        right = _read(text).value == expected
    except CallerFault:
        right = False
    if not right:
        raise CallerFault("the text cannot be edited without touching what is not ours")
    return text


def _put(text: str, node: Node, path: tuple[str, ...], *, given: Mapping[str, Any]) -> str:
    name, *rest = path
    if all(member.name != name for member in node.members or ()):
        for inner in reversed(rest):
            given = {inner: given}
        return _insert(text, node, name, given=given)
    found = _member(node, name)
    if rest:
        return _put(text, found.node, tuple(rest), given=given)
    indent = _indent(text, found.start) if "\n" in text[found.start : found.node.end] else None
    return text[: found.node.start] + _rendered(text, given, indent) + text[found.node.end :]


def _insert(text: str, node: Node, name: str, *, given: Mapping[str, Any]) -> str:
    """A new last member: a comma right behind the value before it, the member behind whatever comments follow that."""
    members, close = node.members or (), node.end - 1
    last = members[-1] if members else None
    at = len(text[:close].rstrip(_BLANK))
    if last and "\n" not in text[at:close]:
        piece, behind = f" {json.dumps(name)}: {_rendered(text, given, None)}", ""
    else:
        outer = _indent(text, node.start)
        indent = _indent(text, last.start) if last else outer + _unit(text)
        piece = f"{_newline(text)}{indent}{json.dumps(name)}: {_rendered(text, given, indent)}"
        behind = "" if "\n" in text[at:close] else _newline(text) + outer
    if last and last.comma is not None:
        return text[:at] + piece + "," + behind + text[at:]
    if last:
        return text[: last.node.end] + "," + text[last.node.end : at] + piece + behind + text[at:]
    return text[:at] + piece + behind + text[at:]


def _drop(text: str, member: Member, *, of: Node) -> str:
    members = of.members or ()
    start = len(text[: member.start].rstrip(_BLANK))
    if member.comma is not None:
        return text[:start] + text[member.comma + 1 :]
    at = members.index(member)
    before = members[at - 1].comma if at else None
    if before is not None:
        return text[:before] + text[before + 1 : start] + text[member.node.end :]
    rest = text[member.node.end : of.end - 1]
    empty = start == of.start + 1 and not rest.strip(_BLANK)
    return text[:start] + ("" if empty else rest) + text[of.end - 1 :]


def _member(node: Node, name: str) -> Member:
    found = [member for member in node.members or () if member.name == name]
    if len(found) != 1:
        raise CallerFault(f"`{name}` stands there {len(found)} times")
    return found[0]


def _rendered(text: str, given: Mapping[str, Any], indent: str | None) -> str:
    """The value as this file would have it: on lines of its own, or in one where `indent` is None."""
    if indent is None:
        return json.dumps(given, ensure_ascii=False)
    return json.dumps(given, indent=_unit(text), ensure_ascii=False).replace("\n", _newline(text) + indent)


def _indent(text: str, at: int) -> str:
    """The blanks that the line of a place begins with."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(text: str) -> str:
    """What one level is set in by: as the first line that is."""
    found = re.search(r"\n([ \t]+)\S", text)
    return found[1] if found else "  "


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _read(text: str) -> Node:
    reader = _Reader(text)
    try:
        return reader.whole()
    except (ValueError, IndexError, RecursionError) as e:
        where = f"{text.count(chr(10), 0, reader.at) + 1}"
        raise CallerFault(f"it is not JSON in line {where}", "correct it first") from e


class _Reader:
    """A recursive descent over the text. Raises `ValueError` where it is not JSON (with comments)."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._depth = 0
        self.at = 1 if text.startswith(_BOM) else 0

    def whole(self) -> Node:
        self._skip()
        node = self._value()
        self._skip()
        if self.at != len(self._text):
            raise ValueError("something follows")
        return node

    def _value(self) -> Node:
        start, first = self.at, self._text[self.at]
        if first in "{[":
            return self._nested(start, first)
        if first == '"':
            text = self._string()
            return Node(start, self.at, text)
        found = _SCALAR.match(self._text, start)
        if not found:
            raise ValueError("no value")
        self.at = found.end()
        return Node(start, self.at, json.loads(found[0]))

    def _string(self) -> str:
        if self._text[self.at] != '"':
            raise ValueError("no string")
        text, self.at = _STRINGS.raw_decode(self._text, self.at)
        return str(text)

    def _nested(self, start: int, first: str) -> Node:
        with self:
            self.at += 1
            return self._members(start) if first == "{" else self._elements(start)

    def _members(self, start: int) -> Node:
        members: list[Member] = []
        while not self._closes("}"):
            if members and members[-1].comma is None:
                raise ValueError("no comma")
            at, name = self.at, self._string()
            self._take(":")
            node = self._value()
            members.append(Member(name, at, node, self._comma()))
        found = {member.name: member.node.value for member in members}
        return Node(start, self.at, found, tuple(members))

    def _elements(self, start: int) -> Node:
        found: list[Any] = []
        comma: int | None = start
        while not self._closes("]"):
            if comma is None:
                raise ValueError("no comma")
            found.append(self._value().value)
            comma = self._comma()
        return Node(start, self.at, found)

    def _closes(self, bracket: str) -> bool:
        self._skip()
        if self._text[self.at] != bracket:
            return False
        self.at += 1
        return True

    def _comma(self) -> int | None:
        self._skip()
        if self._text[self.at] != ",":
            return None
        self.at += 1
        return self.at - 1

    def _take(self, sign: str) -> None:
        self._skip()
        if self._text[self.at] != sign:
            raise ValueError(f"no `{sign}`")
        self.at += 1
        self._skip()

    def _skip(self) -> None:
        found = _TRIVIA.match(self._text, self.at)
        self.at = found.end() if found else self.at

    def __enter__(self) -> Self:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise ValueError("too deep")
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
