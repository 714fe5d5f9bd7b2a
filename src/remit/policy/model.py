"""What policy is asked."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class Request(Struct, frozen=True, kw_only=True):
    """One question to policy, engine-neutral; names are catalogue names.

    `action` is `connector/name`; `tier` the tier of this very call, which decides the action's group. `facts` is the
    context without `args`, `untyped` and `approvals`: task, history, environment, boundary, tool, method, time. `args`
    are the call's arguments as decoded from canonical bytes. `agent` and `connector` are the entities' attributes.
    """

    agent_name: str
    agent: Mapping[str, Any]
    action: str
    tier: str
    connector_name: str
    connector: Mapping[str, Any]
    facts: Mapping[str, Any]
    args: Mapping[str, Any]
