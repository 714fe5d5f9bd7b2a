"""What exists: the rows of `remit.yaml` as declared, and what of them is in force."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct, field

from remit.limits import (
    AGENT_CALLS_PER_SECOND,
    AGENT_IN_FLIGHT,
    AGENT_OPEN_TASKS,
    AGENT_PROCESSES,
    AGENT_STREAMS,
    EXTERNAL_TOKEN_LIFETIME_MAX_S,
    TASK_CALLS_MAX,
    TASK_LIFETIME_MAX_S,
    TEMPLATE_IDLE_S,
)

Count = Annotated[int, Meta(ge=1)]
Calls = Annotated[int, Meta(ge=1, le=TASK_CALLS_MAX)]
Minutes = Annotated[int, Meta(ge=1, le=TASK_LIFETIME_MAX_S // 60)]
Tier = Literal["read", "write", "privileged"]
TIERS: tuple[Tier, ...] = ("read", "write", "privileged")
Role = Literal["requester", "operator", "auditor"]
Keep = Literal["full", "redacted", "none"]
Boundary = Literal["same-user", "separate-user", "separate-host"]
Question = Literal["elicitation", "sampling", "roots"]
ContractKind = Literal["tool", "prompt", "resource", "template", "server"]


class _Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of the file: unknown keys are errors."""


class Person(_Row, frozen=True, kw_only=True):
    """A human. `os_user` is how the people's door knows them; `email` how others do."""

    email: str
    os_user: str | None = None
    roles: tuple[Role, ...] = ()


class ExternalIdentity(_Row, frozen=True, kw_only=True):
    """The exact (issuer, subject) an external token must carry. `issuer` is a name under `issuers`."""

    issuer: str
    subject: str


class Service(_Row, frozen=True, kw_only=True):
    """An orchestrator that opens tasks at the people's door with its own workload token."""

    owner: str
    identity: ExternalIdentity
    roles: tuple[Role, ...] = ()


class IssuerRow(_Row, frozen=True, kw_only=True):
    """An external issuer. Exactly one source of keys: `jwks_url`, `jwks_file`, `bundle_url` or `bundle_file`.

    `issuer` is the `iss` claim (OIDC) or the trust domain `spiffe://…` (SPIFFE). `audiences` are what its tokens
    must name: gateway-wide is allowed for external workloads. `for_people` issuers verify ID tokens of requesters
    and are never accepted at the agents' door. A token that lives longer than `lifetime_max_s` is refused.
    """

    kind: Literal["oidc", "spiffe"]
    issuer: str
    owner: str
    audiences: tuple[str, ...]
    algorithms: tuple[str, ...] = ("ES256", "RS256", "Ed25519")
    jwks_url: str | None = None
    jwks_file: str | None = None
    bundle_url: str | None = None
    bundle_file: str | None = None
    for_people: bool = False
    lifetime_max_s: Count = EXTERNAL_TOKEN_LIFETIME_MAX_S


class Model(_Row, frozen=True, kw_only=True):
    """The model an agent runs, as its owner declares it."""

    provider: str
    name: str
    version: str


class AgentLimits(_Row, frozen=True, kw_only=True):
    """Per-agent bounds; what is not said takes the default of `limits.py`."""

    calls_per_second: Count = AGENT_CALLS_PER_SECOND
    in_flight: Count = AGENT_IN_FLIGHT
    open_tasks: Count = AGENT_OPEN_TASKS
    streams: Count = AGENT_STREAMS
    processes: Count = AGENT_PROCESSES


class Template(_Row, frozen=True, kw_only=True):
    """The default task of a client that names none: read-only scope under a purpose, absolute and idle limits.

    Without `tools` it has all of the purpose's.
    """

    purpose: str
    tools: tuple[str, ...] | None = None
    calls: Calls = 1000
    minutes: Minutes = 480
    idle_minutes: Minutes = TEMPLATE_IDLE_S // 60


class Agent(_Row, frozen=True, kw_only=True):
    """A workload with its own identity. Without `identity` it is of the local trust domain."""

    owner: str
    model: Model
    version: str
    environment: str
    tenant: str = "default"
    identity: ExternalIdentity | None = None
    template: Template | None = None
    limits: AgentLimits = AgentLimits()


class TierRule(_Row, frozen=True, kw_only=True):
    """`when` is a JSON Schema over the arguments; the first rule that fits decides the tier."""

    when: Mapping[str, Any]
    tier: Tier


class ToolRow(_Row, frozen=True, kw_only=True):
    """One callable as catalogued. `tier` or `rules`, not both; neither ⇒ privileged. `data` maps each data class
    the tool touches to JSON Pointers (RFC 6901) into the arguments that name the resources; none ⇒ the highest class.
    `keep` says what of argument and result values is stored beside the ledger.
    """

    tier: Tier | None = None
    rules: tuple[TierRule, ...] = ()
    data: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keep: Keep = "full"
    timeout_s: Count | None = None


class Connector(_Row, frozen=True, kw_only=True):
    """One upstream MCP server: `url` (Streamable HTTP, or HTTP+SSE of 2024-11-05) or `command` (stdio), not both.

    `env` lists the names of environment variables a stdio server receives; it gets no others. `stateless` lets all
    agents and tasks share one session. `resources` and `prompts` are the rows for every resource and prompt. `may_ask`
    is what the server may ask of a client while a call of that client runs; sampling and roots only if they are named.
    """

    owner: str
    environment: str
    tenant: str = "default"
    url: str | None = None
    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    stateless: bool = False
    tools: Mapping[str, ToolRow] = field(default_factory=dict)
    resources: ToolRow = ToolRow()
    prompts: ToolRow = ToolRow()
    may_ask: tuple[Question, ...] = ("elicitation",)


class Purpose(_Row, frozen=True, kw_only=True):
    """A catalogued kind of task: the most one could ever need.

    `tools` are `connector/tool`, `connector/prompt:NAME`, `connector/resource:URI`, or one of these ending in `*` for
    a whole connector, all its prompts, or the resources below a URI. `arguments` maps one of `tools` to a JSON Schema
    the arguments of its calls must also fit.
    """

    owner: str
    tools: tuple[str, ...]
    environments: tuple[str, ...]
    tiers: tuple[Tier, ...] = ("read",)
    data_classes: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ("default",)
    calls: Calls = 1000
    minutes: Minutes = 480
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Gateway(_Row, frozen=True, kw_only=True):
    """Where Remit listens and what surrounds it. `public_url` is what agents are told; `boundary` what separates
    agents from the gateway: undeclared means the same OS user, the weakest. `checkpoint_to` is a file path or an
    `http(s)` URL outside the store that gets the signed checkpoint every few seconds. `people` is an optional TCP
    address for services at the people's door; people on this machine use the unix socket.
    `tls_cert`/`tls_key` or `behind_proxy` are required to bind anything but loopback.
    """

    listen: str = "127.0.0.1:8700"
    public_url: str | None = None
    boundary: Boundary = "same-user"
    checkpoint_to: str | None = None
    people: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    behind_proxy: bool = False
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()


class Declared(_Row, frozen=True, kw_only=True):
    """The whole of `remit.yaml`. `data_classes` are ordered from least to most sensitive."""

    version: Literal[1]
    trust_domain: str
    environments: tuple[str, ...]
    tenants: tuple[str, ...] = ("default",)
    data_classes: tuple[str, ...] = ("public", "internal", "confidential", "restricted")
    gateway: Gateway = Gateway()
    people: Mapping[str, Person] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    issuers: Mapping[str, IssuerRow] = field(default_factory=dict)
    agents: Mapping[str, Agent] = field(default_factory=dict)
    connectors: Mapping[str, Connector] = field(default_factory=dict)
    purposes: Mapping[str, Purpose] = field(default_factory=dict)


_TARGET: Final[dict[ContractKind, str]] = {
    "tool": "",
    "prompt": "prompt:",
    "resource": "resource:",
    "template": "template:",
    "server": "server:",
}


class Contract(Struct, frozen=True, kw_only=True):
    """One advertised object, whole: what a tool server says of a tool, prompt, resource, resource template or itself.

    `name` is the object's own: a tool's or prompt's name, a resource's URI, a template's URI template; for kind
    `server` whatever the server calls itself. `digest` is SHA-256 over RFC 8785 of `body`. For kind `server` the body
    holds its instructions and, for stdio, command line, resolved executable and package version.
    """

    connector: str
    kind: ContractKind
    name: str
    body: Mapping[str, Any]
    digest: str

    @property
    def target(self) -> str:
        """What people call it: as `Call.target`, and `connector/template:…`, `connector/server:…`."""
        return f"{self.connector}/{_TARGET[self.kind]}{self.name}"

    @property
    def key(self) -> str:
        """Where the store keeps it, under kinds `pin` and `seen`."""
        return f"{self.connector}/{self.kind}/{self.name}"


class Tool(Struct, frozen=True, kw_only=True):
    """A callable in force: its pinned contract, its row, and whether what the server now advertises still matches.

    `quarantined` holds the digest seen instead of the pin (empty: it is no longer advertised), None while they agree.
    """

    contract: Contract
    row: ToolRow
    quarantined: str | None = None


class AgentKey(Struct, frozen=True, kw_only=True):
    """A key an agent of the local trust domain was enrolled with. `jwk` is RFC 7517, public members only."""

    agent: str
    jwk: Mapping[str, Any]


class StandingToken(Struct, frozen=True, kw_only=True):
    """A token that stands for weeks, as it was issued: for which agent, at which endpoint's URL, by whom and why. The
    token itself is nowhere. `at` and `expires` are epoch ms.
    """

    agent: str
    audience: str
    at: int
    expires: int
    actor: str
    reason: str
