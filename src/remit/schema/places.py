"""Where a schema's world is closed, where it is open, and how much work it can cause.

A place is *closed* when anything in its schema speaks of members (`properties` and its like); the arguments themselves
always are. It is *open* when the schema says so (`additionalProperties` or `unevaluatedProperties` other
than false, a pattern of names), or when it may hold objects or arrays and nothing is said about what is in them.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from remit.limits import DEPTH_MAX, SCHEMA_WORK_MAX
from remit.schema.walk import Document, Part

_NAMED: Final = frozenset({"properties", "patternProperties"})
_ALL: Final = frozenset({"null", "boolean", "number", "integer", "string", "array", "object"})


def open_in(document: Document) -> tuple[str, ...]:
    """JSON Pointers to where what the schema does not name may still be sent, sorted. Raises `CallerFault`.

    Example: `{"properties": {"labels": {"type": "object"}}}` is open at `/properties/labels`.
    """
    found: set[str] = set()
    seen: set[str] = set()
    todo = [document.root]
    while todo:
        place = todo.pop()
        if place.pointer in seen:
            continue
        seen.add(place.pointer)
        tree = document.tree(place)
        found.update(f"{part.pointer}/{keyword}" for part in tree for keyword in _open_keywords(document, part))
        if _may_hold_anything(document, tree):
            found.add(place.pointer)
        todo.extend(part for node in tree for part in document.parts(node) if part.child)
    return tuple(sorted(found))


def speaks_of_members(document: Document, tree: tuple[Part, ...]) -> bool:
    """Whether anything in it names members of an object, or says something about those it does not name."""
    return any(not (_NAMED | document.others).isdisjoint(part.node) for part in _objects(tree))


def settles(document: Document, part: Part) -> bool:
    """Whether it rules on every member itself, by a statement about those it does not name."""
    return isinstance(part.node, dict) and not document.others.isdisjoint(part.node)


def work_by_depth(document: Document) -> tuple[int, ...]:
    """How often a value at depth 0, 1, … is checked; its length is how deep arguments may nest to be checked at all,
    so that no chain of values in them is checked more than `SCHEMA_WORK_MAX` times.

    `DEPTH_MAX` for ordinary schemas. Less for one whose branches each check the same member again, level by level:
    the work doubles with every level, so it is the depth that has to be bounded. Raises `CallerFault`.
    """
    places = {part.pointer: document.tree(part, negated=True) for part in document.everything().values()}
    inside = {pointer: _applied(document, tree) for pointer, tree in places.items()}
    work = {pointer: len(tree) for pointer, tree in places.items()}
    totals = [work[""]]
    while len(totals) <= DEPTH_MAX:
        deeper = {pointer: len(places[pointer]) + _most(work, groups) for pointer, groups in inside.items()}
        if deeper[""] > SCHEMA_WORK_MAX:
            break
        if deeper == work:  # nothing deeper is described, so nothing deeper is checked
            totals += [deeper[""]] * (DEPTH_MAX + 1 - len(totals))
            break
        totals.append(deeper[""])
        work = deeper
    return (totals[0], *(after - before for before, after in pairwise(totals)))


def _most(work: Mapping[str, int], groups: Iterable[tuple[str, ...]]) -> int:
    return max((sum(work[at] for at in group) for group in groups), default=0)


def _applied(document: Document, tree: tuple[Part, ...]) -> tuple[tuple[str, ...], ...]:
    """What is applied to one member or element: pointers, grouped by the member they can meet on."""
    named: dict[str, list[str]] = {}
    any_member: list[str] = []
    elements: list[str] = []
    for part in (part for node in tree for part in document.parts(node) if not part.in_place and part.keyword != "not"):
        if part.keyword == "properties":
            named.setdefault(part.member, []).append(part.pointer)
        elif part.keyword in ("items", "prefixItems", "additionalItems", "unevaluatedItems", "contains"):
            elements.append(part.pointer)
        elif part.keyword in ("patternProperties", *document.others):
            any_member.append(part.pointer)
    groups = [tuple(group + any_member) for group in named.values()]
    return (*groups, tuple(any_member), tuple(elements))


def _open_keywords(document: Document, part: Part) -> Iterator[str]:
    if isinstance(part.node, dict):
        yield from (keyword for keyword in document.others if part.node.get(keyword, False) is not False)
        if part.node.get("patternProperties"):
            yield "patternProperties"


def _may_hold_anything(document: Document, tree: tuple[Part, ...]) -> bool:
    place = tree[0]
    if place is document.root:
        return False
    kinds = _kinds(document, place)
    return ("object" in kinds and not speaks_of_members(document, tree)) or (
        "array" in kinds and not _speaks_of_elements(document, tree)
    )


def _speaks_of_elements(document: Document, tree: tuple[Part, ...]) -> bool:
    return any(
        # `items` as a list (up to 2019-09) leaves the rest to `additionalItems`, as `prefixItems` does to `items`.
        ("additionalItems" in part.node if isinstance(part.node.get("items"), list) else "items" in part.node)
        or ("unevaluatedItems" in part.node and not document.legacy)
        for part in _objects(tree)
    )


def _kinds(document: Document, part: Part) -> frozenset[str]:
    """The JSON types a place may hold. Fixed values (`const`, `enum`) are no place for anything else."""
    if isinstance(part.node, bool):
        return _ALL if part.node else frozenset()
    if "const" in part.node or "enum" in part.node:
        return frozenset()
    declared = part.node.get("type", _ALL)
    kinds = frozenset((declared,) if isinstance(declared, str) else declared)
    choices: dict[str, frozenset[str]] = {}
    for inner in document.parts(part):
        if inner.keyword in ("allOf", "$ref"):
            kinds &= _kinds(document, inner)
        elif inner.keyword in ("anyOf", "oneOf"):
            choices[inner.keyword] = choices.get(inner.keyword, frozenset()) | _kinds(document, inner)
    for kind in choices.values():
        kinds &= kind
    return kinds


def _objects(tree: tuple[Part, ...]) -> Iterator[Any]:
    return (part for part in tree if isinstance(part.node, dict))
