"""How a JSON Schema hangs together, for every draft MCP servers use (4, 6, 7, 2019-09, 2020-12).

A *part* of a schema speaks of the same value (`in place`: allOf, anyOf, if, $ref and their like), of a value inside it
(`child`), or stands apart (`$defs`, `not`). References are followed only to a JSON Pointer into the same schema:
there is no base URI to guess about and nothing to fetch.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from remit.errors import CallerFault
from remit.limits import DEPTH_MAX, SCHEMA_BRANCHES_MAX, SCHEMA_STEPS_MAX

Node = dict[str, Any] | bool

LEGACY: Final = frozenset(f"http://json-schema.org/draft-0{n}/schema" for n in (4, 6, 7))
MODERN: Final = frozenset(f"https://json-schema.org/draft/{n}/schema" for n in ("2019-09", "2020-12"))

_IN_PLACE: Final = frozenset({"allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas", "dependencies"})
_MEMBERS: Final = frozenset({"properties", "patternProperties", "additionalProperties", "unevaluatedProperties"})
_ELEMENTS: Final = frozenset({"items", "prefixItems", "additionalItems", "unevaluatedItems"})
_CHILD: Final = _MEMBERS | _ELEMENTS
_APART: Final = frozenset({"$defs", "definitions", "not", "contains", "propertyNames", "contentSchema"})
_KNOWN: Final = _IN_PLACE | _CHILD | _APART
_SINCE_2019: Final = frozenset({"unevaluatedProperties", "unevaluatedItems", "prefixItems", "dependentSchemas"})
_MAPS: Final = frozenset(
    {"properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions"}
)
_STALLS: Final = "such a schema could stall the gateway; ask the owner of the tool server for a simpler one"
_UNREAD: Final = frozenset({"$dynamicRef", "$recursiveRef"})


class Part(NamedTuple):
    """A schema at `pointer` (RFC 6901), and by which keyword of which schema it is applied."""

    pointer: str
    node: Node
    keyword: str = ""
    member: str = ""

    @property
    def in_place(self) -> bool:
        return self.keyword in _IN_PLACE or self.keyword == "$ref"

    @property
    def child(self) -> bool:
        return self.keyword in _CHILD


class Document:
    """One schema, readable part by part. Raises `CallerFault` for what cannot be read without guessing."""

    def __init__(self, root: Any) -> None:
        if not isinstance(root, dict):
            raise CallerFault("the schema is not a JSON object", "ask the owner of the tool server to correct it")
        dialect = str(root.get("$schema", "https://json-schema.org/draft/2020-12/schema")).rstrip("#")
        if dialect not in LEGACY | MODERN:
            raise CallerFault(f"the schema is written in `{dialect[:120]}`, which is not a known draft")
        self.root = Part("", root)
        self._steps = 0
        self._trees: dict[tuple[str, bool], tuple[Part, ...]] = {}
        self.legacy = dialect in LEGACY
        self._keywords = _KNOWN - _SINCE_2019 if self.legacy else _KNOWN
        self.others = frozenset({"additionalProperties"} if self.legacy else _MEMBERS - _MAPS)
        self._unread = _UNREAD | {"id" if dialect.endswith("draft-04/schema") else "$id"}

    def parts(self, of: Part) -> Iterator[Part]:
        """The parts one step below; the target of `$ref` is one of them. Bounded over the document's whole reading."""
        for part in self._parts(of):
            self._steps += 1
            if self._steps > SCHEMA_STEPS_MAX:
                raise CallerFault(f"the schema takes over {SCHEMA_STEPS_MAX} steps to read", _STALLS)
            yield part

    def _parts(self, of: Part) -> Iterator[Part]:
        if isinstance(of.node, bool):
            return
        if "$ref" in of.node:
            yield self._target(of.node["$ref"])
            if self.legacy:  # up to draft 7, what stands beside `$ref` is ignored
                return
        for keyword, value in of.node.items():
            if keyword in self._keywords:
                yield from _below(f"{of.pointer}/{keyword}", keyword, value=value)

    def tree(self, of: Part, *, negated: bool = False) -> tuple[Part, ...]:
        """The part and all that speaks of the same value, as often as it is applied; what is under `not` only if
        `negated`. Bounded, which also ends the schema that refers to itself for the same value.
        """
        remembered = self._trees.get((of.pointer, negated))
        if remembered is not None:
            return remembered
        found = [of]
        for part in found:  # grows while it is read: breadth first
            found.extend(inner for inner in self.parts(part) if inner.in_place or (negated and inner.keyword == "not"))
            if len(found) > SCHEMA_BRANCHES_MAX:
                raise CallerFault(
                    f"`{of.pointer or '/'}` of the schema has over {SCHEMA_BRANCHES_MAX} branches or refers to itself",
                    _STALLS,
                )
        self._trees[of.pointer, negated] = tuple(found)
        return self._trees[of.pointer, negated]

    def everything(self) -> dict[str, Part]:
        """Every part that can ever be applied or referred to, by pointer."""
        found = {"": self.root}
        todo = [self.root]
        while todo:
            for part in self.parts(todo.pop()):
                if part.pointer not in found:
                    self._readable(part)
                    found[part.pointer] = part
                    todo.append(part)
        return found

    def _readable(self, part: Part) -> None:
        if part.pointer.count("/") > 2 * DEPTH_MAX:
            raise CallerFault(f"the schema is nested deeper than {2 * DEPTH_MAX} levels")
        if isinstance(part.node, dict) and (unread := self._unread & part.node.keys()):
            raise CallerFault(
                f"the schema uses `{min(unread)}` at `{part.pointer}`, which is not supported",
                "ask the owner of the tool server to write plain references (`#/$defs/…`)",
            )

    def _target(self, reference: Any) -> Part:
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise CallerFault(
                f"the schema refers to `{str(reference)[:120]}`, which is not a JSON Pointer into itself",
                "nothing is fetched to read a schema; ask the owner of the tool server to inline it",
            )
        node: Any = self.root.node
        for token in reference[1:].split("/")[1:]:
            node = _step(node, token.replace("~1", "/").replace("~0", "~"))
        if not isinstance(node, dict | bool):
            raise CallerFault(f"the schema refers to `{reference[:120]}`, where it holds no schema")
        return Part(reference[1:], node, "$ref")


def _below(at: str, keyword: str, *, value: Any) -> Iterator[Part]:
    if keyword in _MAPS and isinstance(value, dict):
        named = list(value.items())
    elif isinstance(value, list):
        named = [(str(index), item) for index, item in enumerate(value)]
    else:
        yield from (Part(at, node, keyword) for node in (value,) if isinstance(node, dict | bool))
        return
    for name, node in named:
        if isinstance(node, dict | bool):  # `dependencies` also hold lists of names
            yield Part(f"{at}/{escaped(name)}", node, keyword, name)


def _step(node: Any, token: str) -> Any:
    if isinstance(node, dict):
        return node.get(token)
    if isinstance(node, list) and token.isdecimal() and int(token[:6]) < len(node):
        return node[int(token[:6])]
    return None


def escaped(name: str) -> str:
    """One reference token of a JSON Pointer."""
    return name.replace("~", "~0").replace("/", "~1")
