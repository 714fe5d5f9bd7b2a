"""The declared work an agent does, who may act on it, and what has been used of it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from msgspec import Struct, field

from remit.catalogue.model import Calls, Count, Minutes, Role, Tier

Source = Literal["requester", "orchestrator", "agent"]


class State(StrEnum):
    OPEN = "open"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    REVOKED = "revoked"
    EXPIRED = "expired"


class Party(Struct, frozen=True, kw_only=True):
    """Who acts on a task. `id` is what a task's `requester` or `opened_by` says of them, for an agent its catalogue
    name. `on_behalf` is the `issuer#subject` of a verified ID token a service presented with its request.
    """

    kind: Literal["human", "service", "agent", "gateway"]
    id: str
    roles: frozenset[Role] = frozenset()
    on_behalf: str | None = None


class Stamp(Struct, frozen=True, kw_only=True):
    """What the shell gives a new task: its unguessable id, and the time in epoch milliseconds."""

    id: str
    at: int


class Requester(Struct, frozen=True, kw_only=True):
    """The person the work is for. `proof` says how we know: authenticated at our door, a verified ID token, or
    merely asserted by whoever opened the task.
    """

    id: str
    proof: Literal["authenticated", "id_token", "asserted"]


class Scope(Struct, frozen=True, kw_only=True):
    """What a task could ever reach. `tools` are patterns, as `catalogue/patterns.py` reads them. `arguments` maps
    patterns to a JSON Schema the arguments of every call of theirs must also fit.
    """

    tools: tuple[str, ...]
    environment: str
    tenant: str
    data_classes: tuple[str, ...] = ()
    tiers: tuple[Tier, ...] = ("read",)
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Budget(Struct, frozen=True, kw_only=True):
    """How many calls, in all and per `connector/name`. Returned only when a call was certainly not sent."""

    calls: int
    per_tool: Mapping[str, int] = field(default_factory=dict)


class TaskSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request to open a task, as a person or service writes it. None takes what the purpose or the agent says;
    anything said may only narrow it. `requester` is who the work is for, when that is not the one who asks.
    """

    agent: str
    purpose: str
    text: str = ""
    text_source: Source = "requester"
    requester: str | None = None
    tools: tuple[str, ...] | None = None
    tiers: tuple[Tier, ...] | None = None
    data_classes: tuple[str, ...] | None = None
    environment: str | None = None
    tenant: str | None = None
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    calls: Calls | None = None
    per_tool: Mapping[str, Count] = field(default_factory=dict)
    minutes: Minutes | None = None


class Task(Struct, frozen=True, kw_only=True):
    """The declared work. Times are epoch milliseconds. `origin` `template` marks a task opened for a client that
    named none. `text` is the request as evidence, never an instruction; `text_source` says who supplied it.
    `opened_by` is the principal's id. `client` is set for template tasks: one task per (agent, client). `held`: a
    suspension was not lifted yet, also of a task that has expired since.
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
    held: bool = False


class Standing(Struct, frozen=True, kw_only=True):
    """Who asks under a task, and when. `agent` is a catalogue name, `tenant` that agent's. `now` is epoch ms;
    `last_used` when a call of the task was last committed, None if never.
    """

    agent: str
    tenant: str
    now: int
    last_used: int | None = None


class History(Struct, frozen=True, kw_only=True):
    """What the task has committed so far, calls in flight included; read from the counters `commit` keeps."""

    calls: int = 0
    tiers: Mapping[str, int] = field(default_factory=dict)
    tools: Mapping[str, int] = field(default_factory=dict)
    data_classes: Mapping[str, int] = field(default_factory=dict)
