"""The quick way: a schema of the usual shape as one validator of the closed world.

Where objects are described by `properties` alone and nothing is composed, closing the text is sound: one look at a
value then says yes, and only a no is looked into by `compiled`, which says why. Everything else has no quick way. A
test holds that both ways agree.
"""

from collections.abc import Mapping
from typing import Any, Final

# Says nothing about members of objects, whatever stands beside it.
_PLAIN: Final = frozenset(
    {"$schema", "const", "default", "deprecated", "description", "enum", "examples", "exclusiveMaximum"}
    | {"exclusiveMinimum", "format", "maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum"}
    | {"multipleOf", "pattern", "title", "type", "uniqueItems"}
)
_OBJECT: Final = frozenset({"additionalProperties", "properties", "required"})
_SCALARS: Final = frozenset({"boolean", "integer", "null", "number", "string"})


class _Composed(Exception):
    """The schema is not of the usual shape."""


def shut(schema: Any) -> dict[str, Any] | None:
    """The schema with every described object closed, the whole of it included; None if it has no quick way."""
    try:
        found = _shut(schema)
    except _Composed:
        return None
    if not isinstance(found, dict):
        return None
    return {"additionalProperties": False, **found}


def _shut(node: Any) -> Any:
    if isinstance(node, bool):
        return node
    if not isinstance(node, Mapping) or not node.keys() <= _PLAIN | _OBJECT | {"items", "anyOf"}:
        raise _Composed
    found = dict(node)
    if "anyOf" in node and not _is_choice_of_scalars(node):
        raise _Composed
    if "items" in node:
        found["items"] = _shut(node["items"])
    if "properties" in node:
        found["properties"] = {name: _shut(inner) for name, inner in node["properties"].items()}
        found.setdefault("additionalProperties", False)
    if isinstance(node.get("additionalProperties"), Mapping):
        found["additionalProperties"] = _shut(node["additionalProperties"])
    return found


def _is_choice_of_scalars(node: Mapping[str, Any]) -> bool:
    """`anyOf` over scalars only, as for an optional string; then no branch can name a member."""
    return _OBJECT.isdisjoint(node) and all(
        isinstance(branch, Mapping) and branch.keys() <= _PLAIN and branch.get("type") in _SCALARS
        for branch in node["anyOf"]
    )
