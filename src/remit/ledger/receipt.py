"""The record: what a receipt holds, kind by kind.

A leaf of the ledger is the exact bytes of one `Receipt` as msgspec JSON, stored and never written again. Values
(arguments, results, facts, texts) are never in a leaf: `values` maps a value's name to SHA-256(salt ‖ value);
salt and value lie beside the ledger and can be erased. What many receipts share (policy sets, contracts, catalogue
rows) is a blob found by its digest.

Evolution: fields are only added, with a default; a kind or field never changes meaning; a reader refuses a `v` it
does not know and ignores fields it does not know. `v` is the format's version, apart from the package's.
"""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

FORMAT = 1
SALT_BYTES = 16


class Body(Struct, frozen=True, kw_only=True, tag_field="kind", omit_defaults=True):
    """Base of all kinds."""


class Actor(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who did something at the people's door. `via` is `socket`, `token`, `offline` (the store's lock was held)
    or, for the gateway, `self`.
    """

    name: str
    kind: Literal["human", "service", "gateway"]
    via: str


class Asked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked, as far as it was understood when the receipt was written; unknown stays empty."""

    call: str
    door: str
    method: str = ""
    connector: str = ""
    name: str = ""
    tier: str = ""
    data_classes: tuple[str, ...] = ()
    contract: str = ""
    agent: str = ""
    principal: str = ""
    issuer: str = ""
    key: str = ""
    owner: str = ""
    model: str = ""
    purpose: str = ""
    requester: str = ""
    requester_proof: str = ""
    boundary: str = ""
    catalogue: str = ""
    policy_set: str = ""
    basis: str = ""
    policies: tuple[str, ...] = ()
    client: str = ""


class Denial(Body, frozen=True, kw_only=True, tag="denial"):
    """A call that did not pass, or `count` identical ones between `first` and `last` (epoch ms)."""

    asked: Asked
    verdict: Literal["DENY", "STEP_UP"]
    reason: str
    detail: str = ""
    approvals: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    count: int = 1
    first: int = 0
    last: int = 0


class Intent(Body, frozen=True, kw_only=True, tag="intent"):
    """A call that is about to be sent. `epoch` is the revocation epoch it was committed under; `answers` the call whose
    questions this one answers.
    """

    asked: Asked
    epoch: int
    retry_of: str = ""
    answers: str = ""


class Outcome(Body, frozen=True, kw_only=True, tag="outcome"):
    """What really happened to the call of `intent` (its seq). `received` counts bytes. `notes` is how many
    notifications of the server were passed on while it ran, `notes_digest` SHA-256 over them, each with a line feed.
    `operation` is what an accepted call goes on as; a `completion` follows.
    """

    call: str
    intent: int
    outcome: Literal[
        "completed", "tool_error", "input_required", "accepted", "not_sent", "cancelled_unknown", "unknown", "withheld"
    ]
    reason: str = ""
    detail: str = ""
    labels: tuple[str, ...] = ()
    received: int = 0
    duration_ms: int = 0
    upstream: str = ""
    notes: int = 0
    notes_digest: str = ""
    operation: str = ""


class Completion(Body, frozen=True, kw_only=True, tag="completion"):
    """How an accepted call ended after all: once for each, after its outcome. `status` is the server's word, empty if
    it was never heard. `cancelled` is what the server said, `unknown` that nobody heard how it ended.
    """

    call: str
    intent: int
    operation: str
    outcome: Literal["completed", "tool_error", "failed", "cancelled", "withheld", "unknown"]
    status: str = ""
    reason: str = ""
    detail: str = ""
    labels: tuple[str, ...] = ()
    received: int = 0
    upstream: str = ""


class TaskEvent(Body, frozen=True, kw_only=True, tag="task"):
    """A task's move through its lifecycle. The whole task as JSON is the value `task`."""

    move: str
    state: str
    agent: str
    purpose: str
    requester: str
    requester_proof: str
    origin: str
    actor: Actor
    expires: int
    reason: str = ""


class PolicyEvent(Body, frozen=True, kw_only=True, tag="policy"):
    """A policy set put in force. The text is the blob of that digest; the difference is the value `diff`."""

    policy_set: str
    previous: str = ""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    engine: str = ""
    actor: Actor


class ContractEvent(Body, frozen=True, kw_only=True, tag="contract"):
    """A contract was first seen, drifted from its pin, went missing, returned to it, or was pinned."""

    event: Literal["seen", "drifted", "missing", "returned", "pinned"]
    connector: str
    contract_kind: str
    name: str
    digest: str
    previous: str = ""
    open_schema: tuple[str, ...] = ()
    actor: Actor


class InventoryEvent(Body, frozen=True, kw_only=True, tag="inventory"):
    """An agent was enrolled, a standing token issued, or an agent, connector, service, key or token revoked.

    Of a token, `name` is its `jti`, `agent` who it speaks for, `audience` the endpoint's URL, `expires` epoch ms.
    """

    event: Literal["enrolled", "issued", "revoked", "restored"]
    what: Literal["agent", "connector", "service", "key", "token"]
    name: str
    key: str = ""
    agent: str = ""
    audience: str = ""
    expires: int = 0
    reason: str = ""
    actor: Actor


class KeyEvent(Body, frozen=True, kw_only=True, tag="key"):
    """A ledger key took over. Both signatures (base64, Ed25519) are over `old‖new‖purpose` as UTF-8."""

    purpose: Literal["ledger", "tokens"]
    old: str
    new: str
    signed_by_old: str
    signed_by_new: str
    actor: Actor


class GatewayEvent(Body, frozen=True, kw_only=True, tag="gateway"):
    """The gateway started or stopped. `catalogue` is the digest of `remit.yaml` in force, a blob."""

    event: Literal["started", "stopped"]
    version: str
    engine: str
    boundary: str
    catalogue: str
    policy_set: str = ""


class Noise(Body, frozen=True, kw_only=True, tag="noise"):
    """Unauthenticated requests since the last such receipt, by reason."""

    counts: Mapping[str, int]
    first: int
    last: int


class Alarm(Body, frozen=True, kw_only=True, tag="alarm"):
    """Something an operator has to see: disk running out, a clock that went back, a checkpoint not delivered."""

    alarm: str
    detail: str


class Erasure(Body, frozen=True, kw_only=True, tag="erasure"):
    """Values of earlier receipts were erased; their hashes stay, so the log still verifies."""

    receipts: tuple[int, ...]
    actor: Actor
    reason: str


AnyBody = (
    Denial
    | Intent
    | Outcome
    | Completion
    | TaskEvent
    | PolicyEvent
    | ContractEvent
    | InventoryEvent
    | KeyEvent
    | GatewayEvent
    | Noise
    | Alarm
    | Erasure
)


class Receipt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One leaf. `seq` is its index in the tree, from 0; `at` epoch ms, never before the receipt before it.

    `task` and `n` stand together: the task's receipts are numbered from 0 without a gap.
    `values` maps value names to `sha256:` of salt ‖ value.
    """

    seq: int
    at: int
    body: AnyBody
    v: int = 1  # not FORMAT: a leaf without `v` is of format 1 for ever
    task: str | None = None
    n: int | None = None
    values: Mapping[str, str] = field(default_factory=dict)


class Value(Struct, frozen=True, kw_only=True):
    """A value beside the ledger. `data` are its exact bytes, `salt` `SALT_BYTES` random bytes."""

    seq: int
    name: str
    salt: bytes
    data: bytes


class Draft(Struct, frozen=True, kw_only=True):
    """A receipt about to be sequenced: the body, its task, and the values to lie beside it.

    `values` are bytes by name; those named in `hash_only` are hashed but not kept (the tool's `keep`).
    """

    body: Any
    task: str | None = None
    values: Mapping[str, bytes] = field(default_factory=dict)
    hash_only: frozenset[str] = frozenset()
