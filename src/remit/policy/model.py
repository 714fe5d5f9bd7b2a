"""What policy is asked, and what it may speak of.

A `Request` is engine-neutral: names are catalogue names, facts are plain values. It round-trips through msgspec; its
recorded form (without the arguments, which are kept or erased on their own) lies beside the receipt, and with the
arguments and the policy text it is all a decision is made from. Evolution: fields are only added, with a default.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct, field

from remit.decision import Decision


class ModelFacts(Struct, frozen=True, kw_only=True):
    """The model an agent runs, as its owner declares it."""

    provider: str
    name: str
    version: str


class AgentFacts(Struct, frozen=True, kw_only=True):
    """`principal` in policies, beside its `name`."""

    owner: str
    environment: str
    tenant: str
    model: ModelFacts
    version: str


class ConnectorFacts(Struct, frozen=True, kw_only=True):
    """`resource` in policies, beside its `name`."""

    owner: str
    environment: str
    tenant: str


class TaskFacts(Struct, frozen=True, kw_only=True):
    """`context.task`: the work the call is for. `age_s` since it was opened; `calls_left` of its budget, in all.

    `origin` is `declared` or `template`; `requester_proof` is `authenticated`, `id_token` or `asserted`.
    """

    purpose: str
    origin: str
    age_s: int
    calls_left: int
    requester: str
    requester_proof: str
    environment: str
    tenant: str


class HistoryFacts(Struct, frozen=True, kw_only=True):
    """`context.history`: what the task has committed, calls in flight included, this call not. Sorted names."""

    calls: int = 0
    reads: int = 0
    writes: int = 0
    privileged: int = 0
    tools: tuple[str, ...] = ()
    data_classes: tuple[str, ...] = ()


class ToolFacts(Struct, frozen=True, kw_only=True):
    """`context.tool`: the tier and data classes of this very call, and whether its schema has open places."""

    tier: str
    data_classes: tuple[str, ...] = ()
    open_schema: bool = False


class TimeFacts(Struct, frozen=True, kw_only=True):
    """`context.time`, in UTC: seconds since the epoch, hour 0 to 23, weekday 1 (Monday) to 7 (ISO 8601)."""

    epoch_s: int
    hour_utc: int
    weekday: int

    @classmethod
    def at(cls, now: int) -> "TimeFacts":
        """The facts of an instant, in epoch milliseconds."""
        seconds = now // 1000
        # The epoch began on a Thursday.
        return cls(epoch_s=seconds, hour_utc=seconds // 3600 % 24, weekday=(seconds // 86400 + 3) % 7 + 1)


class Facts(Struct, frozen=True, kw_only=True):
    """`context` without `args`, `untyped` and `approvals`. `environment` is where the gateway says the call would act;
    `boundary` what separates agents from it.
    """

    task: TaskFacts
    history: HistoryFacts
    tool: ToolFacts
    time: TimeFacts
    method: str
    environment: str
    boundary: str


class Request(Struct, frozen=True, kw_only=True):
    """One question to policy. `action` is `Call.action`; `tier` the tier of this very call, which decides the
    action's group. `args` are the call's arguments as decoded from canonical bytes. `rows` are digests of catalogue
    rows and contracts the call rests on beyond the attributes here: the basis covers them.
    """

    agent_name: str
    agent: AgentFacts
    action: str
    tier: str
    connector_name: str
    connector: ConnectorFacts
    facts: Facts
    args: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[str, ...] = ()

    def recorded(self) -> bytes:
        """The request without its arguments, as JSON: what is kept beside the receipt."""
        return msgspec.json.encode(msgspec.structs.replace(self, args={}))


class ActionShape(Struct, frozen=True, kw_only=True):
    """An action policies may name: `connector/tool`, every tier a call of it could have, and the JSON Schema of its
    arguments.
    """

    name: str
    tiers: tuple[str, ...]
    schema: Mapping[str, Any]


class Known(Struct, frozen=True, kw_only=True):
    """What policies may speak of. Actions outside are load errors; unknown agents and connectors are warnings."""

    agents: tuple[str, ...] = ()
    connectors: tuple[str, ...] = ()
    actions: tuple[ActionShape, ...] = ()


class Difference(Struct, frozen=True, kw_only=True):
    """What changed from one policy set to another: ids, sorted, and a unified diff of the texts."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    text: str


class Explained(Struct, frozen=True, kw_only=True):
    """One policy of the slice: its source, and the value of everything it reads that was there (JSON)."""

    id: str
    effect: str
    text: str
    facts: Mapping[str, Any]


class Explanation(Struct, frozen=True, kw_only=True):
    """A decision derived again, the policies that determined it, and those whose scope fitted but which did not."""

    decision: Decision
    determining: tuple[Explained, ...]
    considered: tuple[Explained, ...]
