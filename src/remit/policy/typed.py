"""JSON Schema → Cedar types, and arguments → Cedar values of those types.

What Cedar cannot type faithfully is not approximated: it is absent from `context.args` and listed by its path in
`context.untyped`. Typed are strings, booleans, integers (within ±(2^53-1) they fit Cedar's 64 bits), numbers as
`decimal` (always optional: one with more than four decimals, or out of range, is untyped), arrays of those as sets, and
objects with named members as records. Untyped are unions, recursion, `null`, free-form objects, tuples, and members
that the schema does not name or whose names are not plain.

A value is typed again when it is projected, so a schema that lies about its arguments only makes them untyped.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

from msgspec import Struct

from remit.limits import POLICY_TYPE_DEPTH_MAX, POLICY_TYPES_MAX

_PLAIN: Final = re.compile(r"(?!__)[A-Za-z0-9_$-]{1,128}\Z")
_SCALARS: Final = {"string": "String", "integer": "Long", "boolean": "Boolean", "number": "decimal"}
_PYTHON: Final = {"String": str, "Long": int, "Boolean": bool}
_DECIMAL_MAX: Final = Decimal(2**63 - 1).scaleb(-4)
_FOUR: Final = Decimal("0.0001")
_NONE: Final = object()

Kind: TypeAlias = "str | SetOf | RecordOf"
_Read: TypeAlias = "tuple[Kind, bool] | None"


class SetOf(Struct, frozen=True):
    """An array whose order and repetitions policy does not see. Every element is typed in full, or it is untyped."""

    element: Kind


class RecordOf(Struct, frozen=True):
    """An object's named members: type, and whether it is required."""

    members: Mapping[str, tuple[Kind, bool]]


def typed(schema: Mapping[str, Any]) -> RecordOf:
    """The record of a tool's arguments by their JSON Schema; empty when it names none."""
    found = _Reading(schema).kind(schema, 0)
    return found[0] if found and isinstance(found[0], RecordOf) else RecordOf({})


def cedar_type(kind: Kind) -> dict[str, Any]:
    """The type in Cedar's JSON schema format."""
    if isinstance(kind, SetOf):
        return {"type": "Set", "element": cedar_type(kind.element)}
    if isinstance(kind, RecordOf):
        members = sorted(kind.members.items())
        return {
            "type": "Record",
            "attributes": {name: {**cedar_type(inner), "required": always} for name, (inner, always) in members},
        }
    return {"type": "Extension", "name": "decimal"} if kind == "decimal" else {"type": kind}


def projected(record: RecordOf, args: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The arguments as Cedar JSON by their types, and the sorted paths (`a`, `a.b`) of what has none."""
    untyped: list[str] = []
    found = _members(record, args, untyped=untyped)
    return found, sorted(untyped)


def _members(record: RecordOf, value: Mapping[str, Any], *, untyped: list[str], at: str = "") -> dict[str, Any]:
    found = {}
    for name, inner in value.items():
        kind, _ = record.members.get(name, (None, False))
        if isinstance(kind, RecordOf) and isinstance(inner, dict):
            found[name] = _members(kind, inner, untyped=untyped, at=f"{at}{name}.")
        elif kind is not None and (cedar := _value(kind, inner)) is not _NONE:
            found[name] = cedar
        else:
            untyped.append(at + name)
    return found


def _value(kind: Kind, value: Any) -> Any:
    """A value in full, or `_NONE`: nothing inside it may be lost."""
    if isinstance(kind, str):
        return _decimal(value) if kind == "decimal" else value if type(value) is _PYTHON[kind] else _NONE
    if isinstance(kind, SetOf):
        elements = [_value(kind.element, item) for item in value] if isinstance(value, list) else [_NONE]
        return _NONE if _NONE in elements else elements
    untyped: list[str] = []
    members = _members(kind, value, untyped=untyped) if isinstance(value, dict) else None
    return _NONE if members is None or untyped else members


def _decimal(value: Any) -> Any:
    if type(value) not in (int, float):
        return _NONE
    exact = Decimal(repr(value))  # the shortest digits that read back as this number: those of its canonical form
    if abs(exact) > _DECIMAL_MAX or exact != exact.quantize(_FOUR):
        return _NONE
    return {"__extn": {"fn": "decimal", "arg": f"{exact:.4f}"}}


class _Reading:
    """One schema on its way to types: resolves local references and stops at recursion, depth and number.

    A kind comes with whether every value that fits the schema has it, in full: only then can it be required.
    """

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._within: list[str] = []
        self._left = POLICY_TYPES_MAX

    def kind(self, schema: Any, depth: int) -> _Read:
        self._left -= 1
        if not isinstance(schema, Mapping) or depth > POLICY_TYPE_DEPTH_MAX or self._left < 0:
            return None
        if "$ref" in schema:
            return self._referred(str(schema["$ref"]), depth)
        match schema.get("type"):
            case "object":
                return self._record(schema, depth)
            case "array":
                return self._set(schema, depth)
            case str(name):
                return (_SCALARS[name], name != "number") if name in _SCALARS else None
            case [*names]:
                return self._either([{**schema, "type": name} for name in names], depth)
            case _:
                return self._unsaid(schema, depth)

    def _unsaid(self, schema: Mapping[str, Any], depth: int) -> _Read:
        fixed = schema.get("enum", [schema["const"]] if "const" in schema else None)
        if isinstance(fixed, list):
            return ("String", True) if fixed and all(isinstance(value, str) for value in fixed) else None
        for keyword in ("anyOf", "oneOf"):
            if isinstance(schema.get(keyword), list):
                return self._either(schema[keyword], depth)
        whole = schema.get("allOf")
        if isinstance(whole, list) and len(whole) == 1:
            return self.kind(whole[0], depth)
        # Without a type, `properties` say nothing of a value that is no object; the arguments themselves always are.
        return self._record(schema, depth) if depth == 0 else None

    def _either(self, choices: list[Any], depth: int) -> _Read:
        """A type or null is that type, optional; any other union has no type."""
        real = [choice for choice in choices if not (isinstance(choice, Mapping) and choice.get("type") == "null")]
        found = self.kind(real[0], depth) if len(real) == 1 else None
        return found and (found[0], found[1] and len(choices) == 1)

    def _record(self, schema: Mapping[str, Any], depth: int) -> _Read:
        named, required = schema.get("properties"), schema.get("required")
        members: dict[str, tuple[Kind, bool]] = {}
        for name, inner in named.items() if isinstance(named, Mapping) else ():
            found = self.kind(inner, depth + 1) if _PLAIN.match(name) else None
            if found is not None:
                members[name] = (found[0], found[1] and isinstance(required, list | tuple) and name in required)
        return (RecordOf(members), True) if members or depth == 0 else None

    def _set(self, schema: Mapping[str, Any], depth: int) -> _Read:
        found = self.kind(schema.get("items"), depth + 1) if "prefixItems" not in schema else None
        return found and (SetOf(found[0]), found[1] and not isinstance(found[0], RecordOf))

    def _referred(self, reference: str, depth: int) -> _Read:
        if reference in self._within or not reference.startswith("#/"):
            return None
        target: Any = self._root
        for token in reference[2:].split("/"):
            target = target.get(token.replace("~1", "/").replace("~0", "~")) if isinstance(target, Mapping) else None
        self._within.append(reference)
        try:
            return self.kind(target, depth)
        finally:
            self._within.pop()
