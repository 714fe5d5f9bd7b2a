"""Step 11, the answer: release or withhold."""

from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw, Struct

from remit.answer import Accepted, Asking, Released, Withheld
from remit.call import Client, Round
from remit.canonical import digest, parse
from remit.catalogue.model import Tool
from remit.errors import CallerFault
from remit.forward.model import Fault, Reply
from remit.json_schema import validator
from remit.limits import ANSWER_WAIT_S, QUESTIONS_BYTES_MAX, RESULT_BYTES_MAX, RESULT_CHECKED_BYTES_MAX
from remit.reasons import Denied, Reason
from remit.result.asked import UNFAMILIAR, Asked, relayed
from remit.result.operation import UNTRUSTED, accepted

_EMPTY: Final = Raw(b"{}")


class _Head(Struct):
    """The members of a result that decide about it; the rest is passed on unread."""

    isError: bool = False  # noqa: N815 - MCP's spelling
    resultType: str = "complete"  # noqa: N815


class _Input(Struct):
    """A result that asks for input (MCP 2026-07-28, multi round-trip requests)."""

    inputRequests: dict[str, Asked] = {}  # noqa: N815
    requestState: str | None = None  # noqa: N815


class Sender(NamedTuple):
    """Whose call it is: its id, the digest of the call as it was first asked, the caller, what may be asked of them,
    the time (epoch ms), and whether the call only brings answers, which are acknowledged and nothing more.
    """

    call: str
    digest: str
    principal: str
    client: Client
    now: int
    brings_answers: bool = False


_HEAD: Final = msgspec.json.Decoder(_Head)
_INPUT: Final = msgspec.json.Decoder(_Input)


def inspect(reply: Reply | Fault, tool: Tool, *, sender: Sender) -> Released | Asking | Accepted | Withheld:
    """What of the reply the agent may see. Never raises: a call that was sent has an ending, whatever came back."""
    if isinstance(reply, Fault):
        return Withheld(ending=reply.ending, reason=reply.reason, detail=reply.detail)
    if reply.error is not None:
        return Released(result=_EMPTY, ending="tool_error", labels=UNTRUSTED, error=reply.error)
    if sender.brings_answers:
        return Released(result=_EMPTY, ending="completed", labels=UNTRUSTED)
    if reply.result is None or len(memoryview(reply.result)) > RESULT_BYTES_MAX:
        return _withheld(Reason.RESULT_TOO_LARGE, f"at most {RESULT_BYTES_MAX} bytes are passed on")
    try:
        head = _HEAD.decode(reply.result)
    except (msgspec.DecodeError, RecursionError):
        return _withheld(Reason.RESULT_SCHEMA, "it is not an MCP result")
    if head.resultType == "input_required":
        return _asking(reply.result, reply.held, sender)
    if head.resultType == "task" and sender.client.operations and tool.contract.kind == "tool":
        return accepted(reply.result)
    return _judged(head, reply.result, tool)


def _asking(result: Raw, held: str, sender: Sender) -> Asking | Withheld:
    """Questions this client can answer and this server may ask, all of them, or none."""
    try:
        said = _INPUT.decode(result)
    except (msgspec.DecodeError, RecursionError):
        return _withheld(Reason.RESULT_SCHEMA, UNFAMILIAR)
    if not said.inputRequests and said.requestState is None:
        return _withheld(Reason.RESULT_SCHEMA, "it asks for input, and for none")
    if len(memoryview(result)) > QUESTIONS_BYTES_MAX:
        # Its own state included, which travels to the client and back.
        return _withheld(Reason.RESULT_TOO_LARGE, f"at most {QUESTIONS_BYTES_MAX} bytes of questions are relayed")
    try:
        asked = relayed(said.inputRequests, sender.client)
    except Denied as no:
        return _withheld(no.reason, no.detail)
    about = Round(
        call=sender.call,
        digest=sender.digest,
        principal=sender.principal,
        expires=sender.now + ANSWER_WAIT_S * 1000,
        asked={key: question.method for key, question in asked.items()},
        state=said.requestState,
        held=held,
        questions=digest(bytes(result)),
    )
    return Asking(questions=asked, round=about, labels=UNTRUSTED)


def _judged(head: _Head, result: Raw, tool: Tool) -> Released | Withheld:
    if head.resultType != "complete":
        return _withheld(Reason.RESULT_UNSUPPORTED, f"`{head.resultType[:40]}`")
    if head.isError:
        return Released(result=result, ending="tool_error", labels=UNTRUSTED)
    schema = tool.contract.body.get("outputSchema") if tool.contract.kind == "tool" else None
    if schema is not None and len(memoryview(result)) > RESULT_CHECKED_BYTES_MAX:
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
