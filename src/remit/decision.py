"""The answer of policy, as every later step reads it."""

from enum import StrEnum

from msgspec import Struct


class Verdict(StrEnum):
    ALLOW = "ALLOW"
    DENY = "DENY"
    STEP_UP = "STEP_UP"


class Decision(Struct, frozen=True, kw_only=True):
    """`policies` are the ids of the determining ones, sorted; `approvals` every name a person's yes is needed under
    (STEP_UP only). `policy_set` and `basis` are digests. `errors` are engine diagnostics: any makes it a DENY.
    `reads_history` says a policy of the slice read counters, which the commit then re-checks.
    """

    verdict: Verdict
    policies: tuple[str, ...]
    policy_set: str
    basis: str
    approvals: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    reads_history: bool = False
