"""What exists: the rows of `remit.yaml` as declared, and what of them is in force."""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

Tier = Literal["read", "write", "privileged"]
TIERS: tuple[Tier, ...] = ("read", "write", "privileged")
Role = Literal["requester", "operator", "auditor"]
Keep = Literal["full", "redacted", "none"]
Boundary = Literal["same-user", "separate-user", "separate-host"]
ContractKind = Literal["tool", "prompt", "resource", "template", "server"]


class _Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of the file: unknown keys are errors."""


class Person(_Row):
    """A human. `os_user` is how the people's door knows them; `email` how others do."""

    email: str
    os_user: str | None = None
    roles: tuple[Role, ...] = ()


class ExternalIdentity(_Row):
    """The exact (issuer, subject) an external token must carry. `issuer` is a name under `issuers`."""

    issuer: str
    subject: str


class Service(_Row):
    """An orchestrator that opens tasks at the people's door with its own workload token."""

    owner: str
    identity: ExternalIdentity
    roles: tuple[Role, ...] = ()


class IssuerRow(_Row):
    """An external issuer. Exactly one source of keys: `jwks_url`, `jwks_file`, `bundle_url` or `bundle_file`.

    `issuer` is the `iss` claim (OIDC) or the trust domain `spiffe://…` (SPIFFE). `audiences` are what its tokens
    must name: gateway-wide is allowed for external workloads. `for_people` issuers verify ID tokens of requesters
    and are never accepted at the agents' door.
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


class Model(_Row):
    """The model an agent runs, as its owner declares it."""

    provider: str
    name: str
    version: str


class AgentLimits(_Row):
    """Per-agent bounds; None takes the default of `limits.py`."""

    calls_per_second: int | None = None
    in_flight: int | None = None
    open_tasks: int | None = None
    streams: int | None = None
    processes: int | None = None


class Template(_Row):
    """The default task of a client that names none: read-only scope under a purpose, absolute and idle limits."""

    purpose: str
    tools: tuple[str, ...] = ()
    calls: int = 1000
    minutes: int = 480
    idle_minutes: int = 30


class Agent(_Row):
    """A workload with its own identity. Without `identity` it is of the local trust domain."""

    owner: str
    model: Model
    version: str
    environment: str
    tenant: str = "default"
    identity: ExternalIdentity | None = None
    template: Template | None = None
    limits: AgentLimits = AgentLimits()


class TierRule(_Row):
    """`when` is a JSON Schema over the arguments; the first rule that fits decides the tier."""

    when: Mapping[str, Any]
    tier: Tier


class ToolRow(_Row):
    """One callable as catalogued. `tier` or `rules`, not both; neither ⇒ privileged. `data` maps each data class
    the tool touches to JSON Pointers (RFC 6901) into the arguments that name the resources; none ⇒ the highest class.
    `keep` says what of argument and result values is stored beside the ledger.
    """

    tier: Tier | None = None
    rules: tuple[TierRule, ...] = ()
    data: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keep: Keep = "full"
    timeout_s: int | None = None


class Connector(_Row):
    """One upstream MCP server: `url` (Streamable HTTP) or `command` (stdio), not both.

    `env` lists the names of environment variables a stdio server receives; it gets no others. `stateless` lets all
    agents and tasks share one session. `resources` and `prompts` are the rows for every resource and prompt.
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


class Purpose(_Row):
    """A catalogued kind of task: the most one could ever need."""

    owner: str
    tools: tuple[str, ...]
    environments: tuple[str, ...]
    tiers: tuple[Tier, ...] = ("read",)
    data_classes: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ("default",)
    calls: int = 1000
    minutes: int = 480
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Gateway(_Row):
    """Where Remit listens and what surrounds it. `public_url` is what agents are told; `boundary` what separates
    agents from the gateway: undeclared means the same OS user, the weakest. `checkpoint_to` is a file path or an
    `http(s)` URL outside the store that gets the signed checkpoint every few seconds. `people` is an optional TCP
    address for services at the people's door; people on this machine use the unix socket.
    `tls_cert`/`tls_key` or `behind_proxy` are required to bind anything but loopback. `develop` lets `up` re-apply
    policy files as they change.
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


class Declared(_Row):
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


class Contract(Struct, frozen=True, kw_only=True):
    """One advertised object, whole: what a tool server says of a tool, prompt, resource template or itself.

    `digest` is SHA-256 over RFC 8785 of `body`. For kind `server` the body holds its instructions and, for stdio,
    command line, resolved executable and package version.
    """

    connector: str
    kind: ContractKind
    name: str
    body: Mapping[str, Any]
    digest: str

    @property
    def target(self) -> str:
        return f"{self.connector}/{self.name}"


class Tool(Struct, frozen=True, kw_only=True):
    """A callable in force: its pinned contract, its row, and whether what the server now advertises still matches.

    `quarantined` holds the digest seen instead of the pin, None while they agree.
    """

    contract: Contract
    row: ToolRow
    quarantined: str | None = None
