"""The vocabulary policies are validated against: Cedar's schema, made from the catalogue and the pinned contracts.

Names are without a namespace: Remit owns the whole schema, nothing else is ever merged into it, and `Agent::"triage"`
is what people read and write. Action groups are `Action::"read"`, `"write"` and `"privileged"`; an action belongs to
every group its calls could be in, and each call, when it is decided, to exactly one.
"""

from typing import Any, Final

import cedarpy
from msgspec import json

from remit.catalogue.model import TIERS
from remit.policy.model import ActionShape, Known
from remit.policy.typed import RecordOf, cedar_type, typed

_STRING: Final = {"type": "String"}
_LONG: Final = {"type": "Long"}
_STRINGS: Final = {"type": "Set", "element": _STRING}


def _record(**members: Any) -> dict[str, Any]:
    return {"type": "Record", "attributes": members}


_AGENT: Final = _record(
    name=_STRING,
    owner=_STRING,
    environment=_STRING,
    tenant=_STRING,
    version=_STRING,
    model=_record(provider=_STRING, name=_STRING, version=_STRING),
)
_CONNECTOR: Final = _record(name=_STRING, owner=_STRING, environment=_STRING, tenant=_STRING)
_CONTEXT: Final[dict[str, Any]] = {
    "untyped": _STRINGS,
    "approvals": _STRINGS,
    "method": _STRING,
    "environment": _STRING,
    "boundary": _STRING,
    "task": _record(
        purpose=_STRING,
        origin=_STRING,
        age_s=_LONG,
        calls_left=_LONG,
        requester=_STRING,
        requester_proof=_STRING,
        environment=_STRING,
        tenant=_STRING,
    ),
    "history": _record(calls=_LONG, reads=_LONG, writes=_LONG, privileged=_LONG, tools=_STRINGS, data_classes=_STRINGS),
    "tool": _record(tier=_STRING, data_classes=_STRINGS, open_schema={"type": "Boolean"}),
    "time": _record(epoch_s=_LONG, hour_utc=_LONG, weekday=_LONG),
}


def cedar_schema(known: Known) -> cedarpy.Schema:
    """The schema of everything `known`.

    A group no action is in gets a stand-in of an impossible name, so that a policy about the group validates before the
    first tool of that tier is pinned.
    """
    actions: dict[str, Any] = {tier: {} for tier in TIERS}
    actions |= {shape.name: _action(shape.tiers, typed(shape.schema)) for shape in known.actions}
    for tier in TIERS:
        if not any(tier in shape.tiers for shape in known.actions):
            actions[f"-/{tier}"] = _action((tier,), RecordOf({}))
    entities = {"Agent": {"shape": _AGENT}, "Connector": {"shape": _CONNECTOR}}
    return cedarpy.Schema.from_json_str(json.encode({"": {"entityTypes": entities, "actions": actions}}).decode())


def arguments_type(shape: ActionShape) -> bytes:
    """The Cedar type of an action's arguments as JSON: the part of the schema a decision about it rests on."""
    return json.encode(cedar_type(typed(shape.schema)), order="sorted")


def _action(tiers: tuple[str, ...], args: RecordOf) -> dict[str, Any]:
    return {
        "memberOf": [{"id": tier} for tier in tiers],
        "appliesTo": {
            "principalTypes": ["Agent"],
            "resourceTypes": ["Connector"],
            "context": _record(args=cedar_type(args), **_CONTEXT),
        },
    }
