"""One write: everything that must become true together, or not at all."""

from collections.abc import Mapping

from msgspec import Struct, field

from remit.ledger.receipt import Asked, Draft


class Put(Struct, frozen=True, kw_only=True):
    """Set row (`kind`, `key`) to `value` (JSON bytes; None deletes). `expect` is the version it must have now:
    0 means it must not exist, None means any. A mismatch is `errors.Conflict`.
    """

    kind: str
    key: str
    value: bytes | None
    expect: int | None = None


class Reserve(Struct, frozen=True, kw_only=True):
    """Add `amount` to a counter, which must not end above `most` (None: only counted) nor below 0."""

    counter: str
    amount: int = 1
    most: int | None = None


class Write(Struct, frozen=True, kw_only=True):
    """One store transaction.

    `expect_epoch`: the revocation epoch the decision was made under; moved ⇒ `reasons.Restart`.
    `expect_counters`: counters the decision read; moved ⇒ `reasons.Restart`.
    `reserves` beyond their `most` ⇒ `Denied(commit.budget)`. `raise_epoch` bumps the epoch (revocations).
    `blobs` are content-addressed (`sha256:…` → bytes), kept once. `drafts` are sequenced in order.
    """

    drafts: tuple[Draft, ...] = ()
    puts: tuple[Put, ...] = ()
    reserves: tuple[Reserve, ...] = ()
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    expect_epoch: int | None = None
    expect_counters: Mapping[str, int] = field(default_factory=dict)
    raise_epoch: bool = False


class Written(Struct, frozen=True, kw_only=True):
    """What a durable write gave: the receipts' sequence numbers, in the drafts' order, and the epoch after it."""

    seqs: tuple[int, ...]
    epoch: int


class Row(Struct, frozen=True, kw_only=True):
    """A row of state as read: JSON bytes and the version to expect when writing it again."""

    value: bytes
    version: int


class Booking(Struct, frozen=True, kw_only=True):
    """Everything step 8 writes for one call. `digest` is the call's. `counters` are those it adds one to, with the most
    each may reach (None: only counted). `expect_counters` are those the decision read, empty if it read none. `values`
    lie beside the intent; those in `hash_only` are hashed and not kept. `answers` is the call it
    answers questions of.
    """

    asked: Asked
    digest: str
    task: str
    epoch: int
    counters: Mapping[str, int | None]
    values: Mapping[str, bytes]
    hash_only: frozenset[str] = frozenset()
    expect_counters: Mapping[str, int] = field(default_factory=dict)
    retry_of: str = ""
    answers: str = ""


class Warrant(Struct, frozen=True, kw_only=True):
    """The permission for exactly one call: exists only after its intent is durable, and is used once.

    `digest` binds task, method, connector, name, contract and arguments; `intent` is the receipt's seq.
    """

    call: str
    intent: int
    digest: str
    task: str
    agent: str
    connector: str
    expires: int
