"""The closed list of reasons: why a call did not pass.

A reason's code is `<stage>.<what>` and never changes meaning. `WORDS` says it to the model: what was refused,
whether trying again can help, what to do instead. Reasons whose `like` is set are shown to the agent as
that other reason, so that what is out of reach and what does not exist cannot be told apart; the receipt always
holds the true one. `Denied` is how every stage says no.
"""

from enum import StrEnum
from typing import Literal, NamedTuple


class Reason(StrEnum):
    CALL_MALFORMED = "call.malformed"
    CALL_DUPLICATE_KEY = "call.duplicate_key"
    CALL_TOO_LARGE = "call.too_large"
    CALL_TOO_DEEP = "call.too_deep"
    CALL_INTEGER_UNSAFE = "call.integer_unsafe"
    CALL_ESCAPE = "call.escape"
    CALL_METHOD = "call.method"
    CALL_NAME = "call.name"
    CALL_MISMATCH = "call.mismatch"
    CALL_ANSWER = "call.answer"
    CALL_OPERATION = "call.operation"

    IDENTITY_MISSING = "identity.missing"
    IDENTITY_INVALID = "identity.invalid"
    IDENTITY_EXPIRED = "identity.expired"
    IDENTITY_AUDIENCE = "identity.audience"
    IDENTITY_UNMAPPED = "identity.unmapped"
    IDENTITY_DOOR = "identity.door"
    IDENTITY_REVOKED = "identity.revoked"
    IDENTITY_NO_OWNER = "identity.no_owner"
    IDENTITY_RATE = "identity.rate"
    IDENTITY_IN_FLIGHT = "identity.in_flight"
    IDENTITY_ORIGIN = "identity.origin"

    TASK_MISSING = "task.missing"
    TASK_UNKNOWN = "task.unknown"
    TASK_CONFLICT = "task.conflict"
    TASK_NOT_OPEN = "task.not_open"
    TASK_EXPIRED = "task.expired"
    TASK_SCOPE = "task.scope"
    TASK_ARGUMENTS = "task.arguments"
    TASK_TENANT = "task.tenant"
    TASK_ENVIRONMENT = "task.environment"
    TASK_DATA_CLASS = "task.data_class"
    TASK_LIMIT = "task.limit"

    SCHEMA_UNKNOWN = "schema.unknown"
    SCHEMA_QUARANTINED = "schema.quarantined"
    SCHEMA_ARGUMENTS = "schema.arguments"

    POLICY_DENIED = "policy.denied"
    POLICY_ERROR = "policy.error"
    POLICY_NONE = "policy.none"
    POLICY_REACH = "policy.reach"

    APPROVAL_REQUIRED = "approval.required"

    COMMIT_BUDGET = "commit.budget"
    COMMIT_CONTENDED = "commit.contended"
    COMMIT_STORE = "commit.store"
    COMMIT_DISK = "commit.disk"
    CLOCK_REGRESSED = "clock.regressed"

    UPSTREAM_UNREACHABLE = "upstream.unreachable"
    UPSTREAM_TIMEOUT = "upstream.timeout"
    UPSTREAM_DIED = "upstream.died"
    UPSTREAM_PROTOCOL = "upstream.protocol"
    UPSTREAM_LIMIT = "upstream.limit"
    UPSTREAM_OPERATION = "upstream.operation"
    CANCELLED = "upstream.cancelled"

    RESULT_SCHEMA = "result.schema"
    RESULT_TOO_LARGE = "result.too_large"
    RESULT_UNSUPPORTED = "result.unsupported"

    OUTCOME_UNRECORDED = "outcome.unrecorded"

    GATEWAY_FAULT = "gateway.fault"


class Words(NamedTuple):
    """What the agent is told: `text` (what), `advice` (what instead), `retry` (can the same call pass later?).

    A `quiet` reason is told without its detail and its receipt, because either would tell apart what must look alike.
    """

    text: str
    advice: str
    retry: bool = False
    like: Reason | None = None
    quiet: bool = False


_ASK = "work within the task, or ask the person you work for to open one that covers this"
_FIX = "correct the arguments and call again"
_LATER = "nothing is wrong with the call itself; try again later"
_SIGN_IN = "present a valid token for this endpoint"

WORDS: dict[Reason, Words] = {
    Reason.CALL_MALFORMED: Words("the request is not well-formed", _FIX),
    Reason.CALL_DUPLICATE_KEY: Words("a JSON object names the same key twice", _FIX),
    Reason.CALL_TOO_LARGE: Words("the request is too large", "send less in one call"),
    Reason.CALL_TOO_DEEP: Words("the request is nested too deeply", "send flatter arguments"),
    Reason.CALL_INTEGER_UNSAFE: Words("an integer cannot be represented exactly", "send it as a string"),
    Reason.CALL_ESCAPE: Words("an argument uses a reserved key", "rename keys that begin with two underscores"),
    Reason.CALL_METHOD: Words("this method is not served here", "use tools, prompts or resources"),
    Reason.CALL_NAME: Words("the name is not a valid one", "use a name from the list"),
    Reason.CALL_MISMATCH: Words("header and body disagree", "send the same values in both"),
    Reason.CALL_ANSWER: Words("these answers fit no open question of this call", "call again without them"),
    Reason.CALL_OPERATION: Words(
        "there is no such operation", "call the tool itself, if it is still needed", quiet=True
    ),
    Reason.IDENTITY_MISSING: Words("no token was presented", _SIGN_IN),
    Reason.IDENTITY_INVALID: Words("the token is not valid", _SIGN_IN),
    Reason.IDENTITY_EXPIRED: Words("the token has expired", "obtain a fresh one", retry=True),
    Reason.IDENTITY_AUDIENCE: Words("the token is for another endpoint", _SIGN_IN),
    Reason.IDENTITY_UNMAPPED: Words("the token's subject is no catalogued agent", _SIGN_IN),
    Reason.IDENTITY_DOOR: Words("this kind of credential is not accepted here", _SIGN_IN),
    Reason.IDENTITY_REVOKED: Words("this agent is revoked", "ask the agent's owner"),
    Reason.IDENTITY_NO_OWNER: Words("nobody owns this agent or tool server", "ask an operator to name an owner"),
    Reason.IDENTITY_RATE: Words("too many calls per second", "slow down, then try again", retry=True),
    Reason.IDENTITY_IN_FLIGHT: Words("too many calls at once", "wait for one to finish, then try again", retry=True),
    Reason.IDENTITY_ORIGIN: Words("the request names a host or an origin that is not served here", "ask an operator"),
    Reason.TASK_MISSING: Words("no task is open for this call", _ASK),
    Reason.TASK_UNKNOWN: Words("there is no such task", _ASK, quiet=True),
    Reason.TASK_CONFLICT: Words("the token and the header name different tasks", "name one task"),
    Reason.TASK_NOT_OPEN: Words("the task is not open", "stop; ask the person you work for"),
    Reason.TASK_EXPIRED: Words("the task has expired", "stop; ask the person you work for to renew it"),
    Reason.TASK_SCOPE: Words("there is nothing of that name here", _ASK, like=Reason.SCHEMA_UNKNOWN),
    Reason.TASK_ARGUMENTS: Words("the task does not allow these arguments", _ASK),
    Reason.TASK_TENANT: Words("there is nothing of that name here", _ASK, like=Reason.SCHEMA_UNKNOWN),
    Reason.TASK_ENVIRONMENT: Words("the task is for another environment", _ASK),
    Reason.TASK_DATA_CLASS: Words("the task does not cover this class of data", _ASK),
    Reason.TASK_LIMIT: Words("too many open tasks", "end one first"),
    Reason.SCHEMA_UNKNOWN: Words("there is nothing of that name here", _ASK, quiet=True),
    Reason.SCHEMA_QUARANTINED: Words(
        "this tool changed since it was last reviewed", "use another tool; an operator has to review it first"
    ),
    Reason.SCHEMA_ARGUMENTS: Words("the arguments do not fit the tool's schema", _FIX),
    Reason.POLICY_DENIED: Words("policy does not allow this call", "do without it, or ask the person you work for"),
    Reason.POLICY_ERROR: Words("policy could not be evaluated", "ask an operator to look at the policy"),
    Reason.POLICY_NONE: Words("no policy is in force", "ask an operator to apply one"),
    Reason.POLICY_REACH: Words("there is nothing of that name here", _ASK, like=Reason.SCHEMA_UNKNOWN),
    Reason.APPROVAL_REQUIRED: Words("a person has to approve this call first", "do something else; it was not sent"),
    Reason.COMMIT_BUDGET: Words("the task's budget is used up", "finish with what you have, or ask for more"),
    Reason.COMMIT_CONTENDED: Words("too many calls of this task at once", _LATER, retry=True),
    Reason.COMMIT_STORE: Words("the record cannot be written", _LATER, retry=True),
    Reason.COMMIT_DISK: Words("the record cannot be written", _LATER, retry=True),
    Reason.CLOCK_REGRESSED: Words("the gateway's clock is wrong", _LATER, retry=True),
    Reason.UPSTREAM_UNREACHABLE: Words("the tool server cannot be reached; the call was not sent", _LATER, retry=True),
    Reason.UPSTREAM_TIMEOUT: Words(
        "the tool server did not answer in time; the call may have taken effect", "check before calling again"
    ),
    Reason.UPSTREAM_DIED: Words(
        "the tool server stopped while the call ran; it may have taken effect", "check before calling again"
    ),
    Reason.UPSTREAM_PROTOCOL: Words(
        "the tool server's answer was not valid; the call may have taken effect", "check before calling again"
    ),
    Reason.CANCELLED: Words("the call was abandoned; it may have taken effect", "check before calling again"),
    Reason.UPSTREAM_LIMIT: Words("too many tool servers run for this agent", "end another task first", retry=True),
    Reason.UPSTREAM_OPERATION: Words(
        "the tool server does not say how the operation stands; it goes on", "ask again later", retry=True
    ),
    Reason.RESULT_SCHEMA: Words(
        "the result does not fit the tool's schema and is withheld; the call did take effect", "do not repeat it"
    ),
    Reason.RESULT_TOO_LARGE: Words(
        "the result is too large and is withheld; the call did take effect", "ask for less in one call"
    ),
    Reason.RESULT_UNSUPPORTED: Words(
        "the tool server asked for something that is not relayed here; the call may have taken effect",
        "do not repeat it",
    ),
    Reason.OUTCOME_UNRECORDED: Words(
        "the outcome could not be recorded, so the result is withheld; the call did take effect", "do not repeat it"
    ),
    Reason.GATEWAY_FAULT: Words("the gateway could not decide", _LATER, retry=True),
}


class Denied(Exception):
    """A stage says no. `detail` completes the reason for the agent and the receipt; it never holds a secret.

    `approvals` is set for `APPROVAL_REQUIRED` only: the names of every approval the call still needs.
    `policies` are the ids of the policies that determined it.
    """

    def __init__(
        self, reason: Reason, detail: str = "", *, approvals: tuple[str, ...] = (), policies: tuple[str, ...] = ()
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail
        self.approvals = approvals
        self.policies = policies

    @property
    def verdict(self) -> Literal["DENY", "STEP_UP"]:
        """`STEP_UP` when a person's yes is all that is missing."""
        return "STEP_UP" if self.approvals else "DENY"


class Restart(Exception):
    """What the decision rested on moved before it was committed: nothing was written, decide again."""
