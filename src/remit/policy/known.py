"""What policies may speak of, as the catalogue and the pinned contracts have it."""

from collections.abc import Mapping
from typing import Any, Final

from remit.catalogue import View
from remit.catalogue.classify import possible_tiers
from remit.catalogue.model import TIERS, ToolRow
from remit.policy.model import ActionShape, Known

_URI: Final[Mapping[str, Any]] = {"type": "object", "properties": {"uri": {"type": "string"}}, "required": ["uri"]}


def known(view: View) -> Known:
    """Everything a view declares or has pinned.

    What is revoked stays nameable: a revocation must never make the policies in force unreadable. A tool that is
    quarantined is there as pinned. One that is catalogued and was never pinned can be named, but nothing is known of
    its arguments yet.
    """
    declared = view.declared
    pinned = [tool for tool in view.callables.values() if tool.quarantined != tool.contract.digest]
    actions = [
        _shape(tool.contract.target, tool.row, body=tool.contract.body)
        for tool in pinned
        if tool.contract.kind == "prompt" or (tool.contract.kind == "tool" and ":" not in tool.contract.name)
    ]
    resources = [
        _shape(f"{name}/resource:*", connector.resources, body={}) for name, connector in declared.connectors.items()
    ]
    named = {shape.name for shape in actions}
    unpinned = [
        _shape(f"{connector}/{name}", row, body={})
        for connector, one in declared.connectors.items()
        for name, row in one.tools.items()
        if f"{connector}/{name}" not in named
    ]
    return Known(
        agents=tuple(declared.agents),
        connectors=tuple(declared.connectors),
        actions=(*actions, *resources, *unpinned),
    )


def _shape(action: str, row: ToolRow, *, body: Mapping[str, Any]) -> ActionShape:
    possible = possible_tiers(row)
    tiers = tuple(tier for tier in TIERS if tier in possible)
    return ActionShape(name=action, tiers=tiers, schema=arguments_schema(action, body))


def arguments_schema(action: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The JSON Schema of an action's arguments, from the body of its pinned contract; of none for a resource."""
    _, _, name = action.partition("/")
    if name == "resource:*":
        return _URI
    if not name.startswith("prompt:"):
        found = body.get("inputSchema")
        return found if isinstance(found, Mapping) else {}
    rows = [row for row in body.get("arguments") or () if isinstance(row, Mapping)]
    return {
        "type": "object",
        "properties": {str(row.get("name")): {"type": "string"} for row in rows},
        "required": [str(row.get("name")) for row in rows if row.get("required") is True],
    }
