"""Step 11, the answer: release or withhold."""

from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw, Struct

from remit.answer import Asking, Question, Released, Withheld
from remit.call import Client, Round
from remit.canonical import parse
from remit.catalogue.model import Tool
from remit.errors import CallerFault
from remit.forward.model import Fault, Reply
from remit.json_schema import validator
from remit.limits import (
    ANSWER_WAIT_S,
    QUESTIONS_BYTES_MAX,
    QUESTIONS_MAX,
    RESULT_BYTES_MAX,
    RESULT_CHECKED_BYTES_MAX,
)
from remit.reasons import Denied, Reason
from remit.result.note import labelled

UNTRUSTED: Final = ("untrusted",)
_EMPTY: Final = Raw(b"{}")


class _Head(Struct):
    """The members of a result that decide about it; the rest is passed on unread."""

    isError: bool = False  # noqa: N815 - MCP's spelling
    resultType: str = "complete"  # noqa: N815


class _Asked(Struct):
    method: str
    params: Raw = Raw(b"{}")


class _Input(Struct):
    """A result that asks for input (MCP 2026-07-28, multi round-trip requests)."""

    inputRequests: dict[str, _Asked] = {}  # noqa: N815
    requestState: str | None = None  # noqa: N815


class Sender(NamedTuple):
    """Whose call it is: its id, the digest of the call as it was first asked, the caller, what may be asked of them,
    and the time (epoch ms).
    """

    call: str
    digest: str
    principal: str
    client: Client
    now: int


# What each question needs the client to be able to do.
ASKS: Final = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}

_HEAD: Final = msgspec.json.Decoder(_Head)
_INPUT: Final = msgspec.json.Decoder(_Input)


def inspect(reply: Reply | Fault, tool: Tool, sender: Sender) -> Released | Asking | Withheld:
    """What of the reply the agent may see. Never raises: a call that was sent has an ending, whatever came back."""
    if isinstance(reply, Fault):
        return Withheld(ending=reply.ending, reason=reply.reason, detail=reply.detail)
    if reply.error is not None:
        return Released(result=_EMPTY, ending="tool_error", labels=UNTRUSTED, error=reply.error)
    if reply.result is None or len(bytes(reply.result)) > RESULT_BYTES_MAX:
        return _withheld(Reason.RESULT_TOO_LARGE, f"at most {RESULT_BYTES_MAX} bytes are passed on")
    try:
        head = _HEAD.decode(reply.result)
    except (msgspec.DecodeError, RecursionError):
        return _withheld(Reason.RESULT_SCHEMA, "it is not an MCP result")
    if head.resultType == "input_required":
        return _asking(reply.result, reply.held, sender)
    return _judged(head, reply.result, tool)


def _asking(result: Raw, held: str, sender: Sender) -> Asking | Withheld:
    """Questions this client can answer and this server may ask, all of them, or none."""
    try:
        said = _INPUT.decode(result)
    except (msgspec.DecodeError, RecursionError):
        return _withheld(Reason.RESULT_SCHEMA, "it asks for input in no form that is known")
    if not said.inputRequests and said.requestState is None:
        return _withheld(Reason.RESULT_SCHEMA, "it asks for input, and for none")
    if len(said.inputRequests) > QUESTIONS_MAX or len(bytes(result)) > QUESTIONS_BYTES_MAX:
        return _withheld(Reason.RESULT_TOO_LARGE, f"at most {QUESTIONS_MAX} questions are relayed")
    asked: dict[str, Question] = {}
    for key, question in said.inputRequests.items():
        if ASKS.get(question.method) not in sender.client.capabilities:
            return _withheld(Reason.RESULT_UNSUPPORTED, f"`{question.method[:40]}`")
        if (params := labelled(question.params)) is None:
            return _withheld(Reason.RESULT_SCHEMA, "it asks for input in no form that is known")
        asked[key] = Question(method=question.method, params=Raw(msgspec.json.encode(params)))
    about = Round(
        call=sender.call,
        digest=sender.digest,
        principal=sender.principal,
        expires=sender.now + ANSWER_WAIT_S * 1000,
        asked={key: question.method for key, question in asked.items()},
        state=said.requestState,
        held=held,
    )
    return Asking(questions=asked, round=about, labels=UNTRUSTED)


def _judged(head: _Head, result: Raw, tool: Tool) -> Released | Withheld:
    if head.resultType != "complete":
        return _withheld(Reason.RESULT_UNSUPPORTED, f"`{head.resultType[:40]}`")
    if head.isError:
        return Released(result=result, ending="tool_error", labels=UNTRUSTED)
    schema = tool.contract.body.get("outputSchema") if tool.contract.kind == "tool" else None
    if schema is not None and len(bytes(result)) > RESULT_CHECKED_BYTES_MAX:
        return _withheld(Reason.RESULT_TOO_LARGE, f"at most {RESULT_CHECKED_BYTES_MAX} bytes are checked by a schema")
    if schema is not None and not _fits(schema, result, tool.contract.digest):
        return _withheld(Reason.RESULT_SCHEMA, "its structured content differs from the pinned output schema")
    return Released(result=result, ending="completed", labels=UNTRUSTED)


def _fits(schema: Any, result: Raw, contract: str) -> bool:
    """Read strictly: a key that stands twice must not show one value here and another to the agent."""
    try:
        value = parse(bytes(result), RESULT_CHECKED_BYTES_MAX).get("structuredContent")
        return validator(schema, f"{contract}#output").is_valid(value)
    except Denied:
        return False
    except CallerFault:  # pinning checks schemas, so this is a contract nobody pinned knowingly: nothing fits it
        return False


def _withheld(reason: Reason, detail: str) -> Withheld:
    return Withheld(ending="withheld", reason=reason, detail=detail)
