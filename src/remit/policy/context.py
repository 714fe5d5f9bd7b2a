"""A request as Cedar reads it: entities and context.

Only what stands here reaches the engine. Names and facts are plain strings and numbers; the only escapes Cedar would
read as its own (`__extn` for decimals) are written by `typed`, never taken from an argument.
"""

from typing import Any

import cedarpy
import msgspec

from remit.policy.model import Request
from remit.policy.typed import RecordOf, projected


def context_of(request: Request, record: RecordOf | None) -> dict[str, Any]:
    """The context of a request whose arguments are typed by `record`, nothing approved; without `record`, none of
    its arguments. Facts stay structs, which are written as records.
    """
    args, untyped = ({}, []) if record is None else projected(record, request.args)
    return {**msgspec.structs.asdict(request.facts), "args": args, "untyped": untyped, "approvals": []}


def attributes_of(request: Request) -> dict[str, dict[str, Any]]:
    """The attributes of `principal` and `resource`."""
    return {
        "principal": {"name": request.agent_name, **msgspec.to_builtins(request.agent)},
        "resource": {"name": request.connector_name, **msgspec.to_builtins(request.connector)},
    }


def entities_of(request: Request) -> cedarpy.Entities:
    """The agent, the connector, and the action in the one group of this call's tier."""
    attributes = attributes_of(request)
    entities = [
        {"uid": _uid("Agent", request.agent_name), "attrs": attributes["principal"], "parents": []},
        {"uid": _uid("Connector", request.connector_name), "attrs": attributes["resource"], "parents": []},
        {"uid": _uid("Action", request.action), "attrs": {}, "parents": [_uid("Action", request.tier)]},
    ]
    return cedarpy.Entities.from_json_str(msgspec.json.encode(entities).decode())


def asked_of(request: Request, context: bytes) -> dict[str, Any]:
    """The engine's question; `context` is JSON."""
    return {
        "principal": _uid("Agent", request.agent_name),
        "action": _uid("Action", request.action),
        "resource": _uid("Connector", request.connector_name),
        "context": context.decode(),
    }


def _uid(kind: str, name: str) -> dict[str, str]:
    return {"type": kind, "id": name}
