"""YAML, read so that nothing is guessed.

The tree holds the text of every scalar and the line it stands on, and nothing of YAML's own ideas about types: `no`,
`1_000` and `2024-01-01` become something only when it is known what was asked for. Anchors, aliases, tags, merge keys,
several documents and keys that stand twice are refused.
"""

from collections.abc import Iterator, Mapping
from typing import Final, cast

import yaml
from msgspec import Struct

from remit.limits import CATALOGUE_BYTES_MAX, DEPTH_MAX

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NON_PRINTABLE: Final = yaml.reader.Reader.NON_PRINTABLE


class Scalar(Struct, frozen=True):
    """A scalar's text as written. `plain` says it stood without quotes."""

    line: int
    text: str
    plain: bool


class Sequence(Struct, frozen=True):
    line: int
    items: tuple["Node", ...]


class Table(Struct, frozen=True):
    """A mapping; keys are text. `lines` holds the line of each key."""

    line: int
    entries: Mapping[str, "Node"]
    lines: Mapping[str, int]


Node = Scalar | Sequence | Table


class Fault(Exception):
    """One thing wrong with the text, at a line (counted from 1)."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def parsed(text: str) -> Node:
    """The document's tree; raises `Fault` at the first thing that is no strict YAML."""
    if (odd := _NON_PRINTABLE.search(text)) is not None:
        raise Fault(text.count("\n", 0, odd.start()) + 1, f"the character U+{ord(odd[0]):04X} cannot stand here")
    if len(text.encode()) > CATALOGUE_BYTES_MAX:
        raise Fault(1, f"the file is larger than {CATALOGUE_BYTES_MAX} bytes")
    try:
        events = _checked(yaml.parse(text, Loader=_LOADER))
        first = next(events, None)
        if first is None:
            raise Fault(1, "the file is empty")
        tree = _node(first, events, depth=1)
        if (more := next(events, None)) is not None:
            raise Fault(_line(more), "a second document begins; write one")
        return tree
    except yaml.MarkedYAMLError as e:
        raise Fault(cast("yaml.Mark", e.problem_mark).line + 1, f"not YAML: {e.problem}") from e


def _checked(events: Iterator[yaml.Event]) -> Iterator[yaml.Event]:
    """The events that make up the tree."""
    for event in events:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise Fault(_line(event), "anchors and aliases are not read; write it out")
        if (tag := getattr(event, "tag", None)) is not None:
            raise Fault(_line(event), f"the tag `{tag}` is not read; leave it out")
        if isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            yield event


def _node(event: yaml.Event, events: Iterator[yaml.Event], *, depth: int) -> Node:
    line = _line(event)
    if depth > DEPTH_MAX:
        raise Fault(line, f"nested deeper than {DEPTH_MAX} levels")
    match event:
        case yaml.ScalarEvent():
            return Scalar(line, event.value, not event.style)
        case yaml.SequenceStartEvent():
            return Sequence(line, tuple(_children(events, depth)))
        case _:
            return _table(line, events, depth=depth)


def _children(events: Iterator[yaml.Event], depth: int) -> Iterator[Node]:
    while not isinstance(event := next(events), yaml.CollectionEndEvent):
        yield _node(event, events, depth=depth + 1)


def _table(line: int, events: Iterator[yaml.Event], *, depth: int) -> Table:
    entries: dict[str, Node] = {}
    lines: dict[str, int] = {}
    children = _children(events, depth)
    for key in children:
        if not isinstance(key, Scalar) or not key.text or (key.plain and key.text == "<<"):
            raise Fault(key.line, "a key has to be text")
        if key.text in entries:
            raise Fault(key.line, f"the key `{key.text}` stands twice, first on line {lines[key.text]}")
        entries[key.text], lines[key.text] = next(children), key.line
    return Table(line, entries, lines)


def _line(event: yaml.Event) -> int:
    return cast("yaml.Mark", event.start_mark).line + 1
