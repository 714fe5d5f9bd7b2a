"""Step 3, half an answer: how much could this call do, and to what?

A call's tier is its row's, or that of the first rule its arguments fit; its data classes are the row's. What is not
said counts as the most: no row and no matching rule ⇒ `privileged`, no data class ⇒ the highest. Note that by JSON
Schema a rule's `properties` say nothing about arguments that are left out, and `pattern` nothing about what is no text:
a rule that counts on one names it under `required`, with its `type`.

Example: a row with `rules: [{when: {properties: {write: {const: false}}, required: [write]}, tier: read}]` makes
`{"write": false}` a read and everything else, `{}` too, privileged.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from remit.call import Call
from remit.canonical import canonical
from remit.catalogue.model import Connector, ContractKind, Tier, ToolRow
from remit.catalogue.schemas import validator
from remit.reasons import Denied, Reason

_MISSING: Final = object()
_INDEX: Final = re.compile(r"(?:0|[1-9][0-9]{0,8})")


class Touched(Struct, frozen=True, kw_only=True):
    """A resource a call names: its class, the pointer it was found at, and the value as text."""

    data_class: str
    pointer: str
    value: str


class Classified(Struct, frozen=True, kw_only=True):
    """What a call amounts to. `row` is the one that said so, an empty one if the catalogue has none."""

    tier: Tier
    data_classes: tuple[str, ...]
    touched: tuple[Touched, ...]
    row: ToolRow


def classify(connector: Connector, call: Call, *, classes: tuple[str, ...]) -> Classified:
    """Tier, data classes and touched resources of a call. `classes` are the catalogue's, least sensitive first."""
    if not classes:
        raise Denied(Reason.TASK_DATA_CLASS, "no classes of data are catalogued")
    row = row_of(connector, call.kind, name=call.name)
    return Classified(
        tier=_tier(row, call.shown),
        data_classes=tuple(name for name in classes if name in row.data) or classes[-1:],
        touched=tuple(_touched(row, call.shown)),
        row=row,
    )


def row_of(connector: Connector, kind: ContractKind, *, name: str) -> ToolRow:
    """The catalogue row of a callable: a tool's own, the one for all prompts, or the one for all resources."""
    match kind:
        case "tool":
            return connector.tools.get(name, ToolRow())
        case "prompt":
            return connector.prompts
        case _:
            return connector.resources


def possible_tiers(row: ToolRow) -> frozenset[Tier]:
    """Every tier a call of the row could have, whatever its arguments."""
    if row.tier is not None:
        return frozenset({row.tier})
    return frozenset({rule.tier for rule in row.rules} | {"privileged"})


def _pointed(value: Any, pointer: str) -> Any:
    """What an RFC 6901 pointer points at, `_MISSING` if nothing."""
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and _INDEX.fullmatch(key) and int(key) < len(value):
            value = value[int(key)]
        else:
            return _MISSING
    return value


def _tier(row: ToolRow, arguments: dict[str, Any]) -> Tier:
    if row.tier is not None:
        return row.tier
    return next((rule.tier for rule in row.rules if validator(rule.when).is_valid(arguments)), "privileged")


def _touched(row: ToolRow, arguments: dict[str, Any]) -> Iterator[Touched]:
    for data_class, pointers in row.data.items():
        for pointer in pointers:
            value = _pointed(arguments, pointer)
            if value is not _MISSING:
                text = value if isinstance(value, str) else canonical(value).decode()
                yield Touched(data_class=data_class, pointer=pointer, value=text)
