"""A schema made ready: compiled once, bounded, remembered by digest.

The text is compiled as it stands, under the draft it declares, plus one annotation (`remit:world`) where a
value's members are named or the rest of them is ruled on. Which members of a given value were named is read from
the annotations of the validation itself, so branches of `allOf`, `anyOf`, `oneOf`, `if` and `$ref` add up exactly as
the draft composes them, at any depth, in drafts that have no `unevaluatedProperties` too, and nothing under `not` or
in a branch that failed counts. Closing the text branch by branch would refuse what siblings name and change which
branches match.
"""

import copy
from collections.abc import Iterator, Mapping
from operator import mul
from typing import Any, Final, NamedTuple

import jsonschema_rs
from jsonschema_rs import Validator
from msgspec import json

from remit import json_schema
from remit.canonical import digest
from remit.errors import CallerFault
from remit.limits import CONTRACT_BYTES_MAX, SCHEMA_CHECKS_MAX, SCHEMAS_COMPILED_MAX
from remit.schema.places import open_in, settles, speaks_of_members, work_by_depth
from remit.schema.shut import shut
from remit.schema.walk import Document, escaped

_WORLD: Final = "remit:world"
_NAMING: Final = ("/properties", "/patternProperties")
_NESTING: Final = (dict, list)
_ADVICE: Final = "ask the owner of the tool server to correct it"


class Compiled(NamedTuple):
    """`work` says how often a value at each depth is checked, and by its length how deep values may nest; `open` lists
    the open places; `quick`, where there is one, says yes to exactly the values that fit and hold nothing unnamed.
    """

    validator: Validator
    work: tuple[int, ...]
    open: tuple[str, ...]
    quick: Validator | None

    def fits(self, value: Any) -> bool:
        """Whether it is known at once that there is nothing against a value; a no means: look into it."""
        return self.quick is not None and len(_levels(value)) <= len(self.work) and self.quick.is_valid(value)

    def failures(self, value: Any) -> Iterator[str]:
        """Where a value does not fit and by which keyword: `` `/path` (type)``. Never any part of a value."""
        levels = _levels(value)
        if len(levels) > len(self.work):
            yield f"`/` (nested deeper than {len(self.work) - 1} levels)"
            return
        if sum(map(mul, levels, self.work)) > SCHEMA_CHECKS_MAX:
            yield "`/` (too much to check at once)"
            return
        if not self.validator.is_valid(value):
            for error in self.validator.iter_errors(value):
                path = "".join(f"/{escaped(str(token))}" for token in error.instance_path)
                yield f"`{path[:200] or '/'}` ({_expected(error)})"

    def unnamed(self, value: Any) -> Iterator[str]:
        """Pointers to members of `value`, which fits, that nothing in the schema names."""
        named: dict[str, set[str]] = {"": set()}
        settled: set[str] = set()
        for note in self.validator.evaluate(value).annotations():
            at, said = note["instanceLocation"], note["annotations"]
            if isinstance(said, dict):
                if _WORLD in said:
                    named.setdefault(at, set())
                    if said[_WORLD] == "settled":
                        settled.add(at)
            elif isinstance(said, list) and note["schemaLocation"].endswith(_NAMING):
                named.setdefault(at, set()).update(str(name) for name in said)
        return _unnamed(value, {at: names for at, names in named.items() if at not in settled})


_REMEMBERED: Final[dict[str, Compiled]] = {}


def compiled(schema: Any, key: str = "") -> Compiled:
    """The schema, ready. `key` stands for it, where its digest need not be taken. Raises `CallerFault`."""
    key = key or digest(json.encode(schema))
    found = _REMEMBERED.get(key)
    if found is None:
        found = _compile(schema)
        while len(_REMEMBERED) >= SCHEMAS_COMPILED_MAX:
            del _REMEMBERED[next(iter(_REMEMBERED))]
        _REMEMBERED[key] = found
    return found


def _compile(schema: Any) -> Compiled:
    size = len(json.encode(schema))
    if size > CONTRACT_BYTES_MAX:
        raise CallerFault(f"the schema has {size} bytes, at most {CONTRACT_BYTES_MAX} are read", _ADVICE)
    document = Document(copy.deepcopy(dict(schema) if isinstance(schema, Mapping) else schema))
    everything = document.everything()
    json_schema.compiled(document.root.node)  # first as it stands: what follows may rely on its being a schema
    work, places = work_by_depth(document), open_in(document)
    closed = shut(schema)
    for part in everything.values():
        if isinstance(part.node, dict):
            part.node.pop(_WORLD, None)
            if "if" in part.node:  # alone it decides nothing and is not evaluated, yet what it names is named
                part.node.setdefault("then", True)
            if settles(document, part):
                part.node[_WORLD] = "settled"
            elif speaks_of_members(document, document.tree(part)):
                part.node[_WORLD] = "closed"
    quick = None if closed is None else json_schema.compiled(closed)
    return Compiled(json_schema.compiled(document.root.node), work, places, quick)


def _unnamed(value: Any, closed: dict[str, set[str]], *, at: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        names = closed.get(at)
        for name, inner in value.items():
            below = f"{at}/{escaped(name)}"
            if names is not None and name not in names:
                yield below
            else:
                yield from _unnamed(inner, closed, at=below)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _unnamed(inner, closed, at=f"{at}/{index}")


def _expected(error: jsonschema_rs.ValidationError) -> str:
    """The keyword, with what the schema (never the value) says where that helps."""
    kind = error.kind
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Type):
        return f"type: {', '.join(kind.types)}"
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
        return f"required: `{kind.property[:80]}`"
    return str(kind.name)


def _levels(value: Any) -> list[int]:
    """How many values there are at depth 0, 1, …, objects and arrays only below the top."""
    levels, inside = [1], _inside(value)
    while inside:
        levels.append(len(inside))
        inside = [inner for outer in inside for inner in _inside(outer)]
    return levels


def _inside(value: Any) -> list[Any]:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [inner for inner in members if isinstance(inner, _NESTING)]
