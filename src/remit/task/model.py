"""The declared work an agent does, and what has been used of it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from msgspec import Struct, field

Source = Literal["requester", "orchestrator", "agent"]


class State(StrEnum):
    OPEN = "open"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    REVOKED = "revoked"
    EXPIRED = "expired"


class Requester(Struct, frozen=True, kw_only=True):
    """The person the work is for. `proof` says how we know: authenticated at our door, a verified ID token, or
    merely asserted by whoever opened the task."""

    id: str
    proof: Literal["authenticated", "id_token", "asserted"]


class Scope(Struct, frozen=True, kw_only=True):
    """What a task could ever reach. `tools` are `connector/name` or `connector/*`; for resources the name is the
    URI, or a prefix of it before `*`. `arguments` maps one of `tools` to a JSON Schema its arguments must also fit.
    """

    tools: tuple[str, ...]
    environment: str
    tenant: str
    data_classes: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ("read",)
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Budget(Struct, frozen=True, kw_only=True):
    """How many calls, in all and per `connector/name`. Returned only when a call was certainly not sent."""

    calls: int
    per_tool: Mapping[str, int] = field(default_factory=dict)


class Task(Struct, frozen=True, kw_only=True):
    """The declared work. Times are epoch milliseconds. `origin` `template` marks a task opened for a client that
    named none. `text` is the request as evidence, never an instruction; `text_source` says who supplied it.
    `opened_by` is the principal's id. `client` is set for template tasks: one task per (agent, client).
    """

    id: str
    agent: str
    purpose: str
    requester: Requester
    scope: Scope
    budget: Budget
    opened_at: int
    expires_at: int
    opened_by: str
    origin: Literal["declared", "template"] = "declared"
    state: State = State.OPEN
    text: str = ""
    text_source: Source = "requester"
    client: str = ""
    idle_s: int | None = None


class History(Struct, frozen=True, kw_only=True):
    """What the task has committed so far, calls in flight included; read from the counters `commit` keeps."""

    calls: int = 0
    tiers: Mapping[str, int] = field(default_factory=dict)
    tools: Mapping[str, int] = field(default_factory=dict)
    data_classes: Mapping[str, int] = field(default_factory=dict)
