"""A small world to ask policy about: one desk, one shop, and the agents who work there."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from remit.policy import Policies, load
from remit.policy.model import (
    ActionShape,
    AgentFacts,
    ConnectorFacts,
    Facts,
    HistoryFacts,
    Known,
    ModelFacts,
    Request,
    TaskFacts,
    TimeFacts,
    ToolFacts,
)

FILE = {
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "size": {"type": "integer"},
        "price": {"type": "number"},
        "force": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "owner": {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}},
        "any": {},
    },
    "required": ["path"],
}
KNOWN = Known(
    agents=("triage", "clerk"),
    connectors=("desk", "shop"),
    actions=(
        ActionShape(name="desk/read", tiers=("read",), schema=FILE),
        ActionShape(name="desk/write", tiers=("write",), schema=FILE),
        ActionShape(name="desk/run", tiers=("read", "write", "privileged"), schema=FILE),
        ActionShape(name="shop/buy", tiers=("privileged",), schema={"type": "object"}),
    ),
)
AGENT = AgentFacts(
    owner="ada@corp.example",
    environment="prod",
    tenant="default",
    model=ModelFacts(provider="acme", name="opus", version="5"),
    version="1.0",
)
CONNECTOR = ConnectorFacts(owner="bob@corp.example", environment="prod", tenant="default")
TASK = TaskFacts(
    purpose="triage",
    origin="declared",
    age_s=60,
    calls_left=9,
    requester="eve@corp.example",
    requester_proof="authenticated",
    environment="prod",
    tenant="default",
)


def facts(**changes: Any) -> Facts:
    """The facts of a call, with `task`, `history` and `tool` members changed by name."""
    task = {
        name: changes.pop(name)
        for name in list(changes)
        if name in TaskFacts.__struct_fields__ and name != "environment"
    }
    history = {name: changes.pop(name) for name in list(changes) if name in HistoryFacts.__struct_fields__}
    tool = {name: changes.pop(name) for name in list(changes) if name in ToolFacts.__struct_fields__}
    base = Facts(
        task=replace(TASK, **task),
        history=HistoryFacts(**history),
        tool=ToolFacts(**{"tier": "read", **tool}),
        time=TimeFacts.at(1_767_225_600_000),
        method="tools/call",
        environment="prod",
        boundary="separate-user",
    )
    return replace(base, **changes)


def request(
    action: str = "desk/read", tier: str = "read", *, args: Mapping[str, Any] | None = None, **changes: Any
) -> Request:
    """A call by `triage` of the desk; changes are members of `Request`, else of its facts."""
    own = {name: changes.pop(name) for name in list(changes) if name in Request.__struct_fields__}
    base = Request(
        agent_name="triage",
        agent=AGENT,
        action=action,
        tier=tier,
        connector_name=action.partition("/")[0],
        connector=CONNECTOR,
        facts=facts(tier=tier, **changes),
        args={"path": "/a"} if args is None else args,
    )
    return replace(base, **own)


def in_force(*texts: str, known: Known = KNOWN) -> Policies:
    """Policies over the world; one without `@id` is named by its position."""
    named = (text if "@id(" in text else f'@id("p{at}") {text}' for at, text in enumerate(texts))
    return load({"policy.cedar": "\n".join(named)}, known)
