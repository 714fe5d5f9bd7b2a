"""Step 11, the answer: release or withhold."""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from remit.answer import Released, Withheld
from remit.canonical import parse
from remit.catalogue.model import Tool
from remit.errors import CallerFault
from remit.forward.model import Fault, Reply
from remit.json_schema import validator
from remit.limits import RESULT_BYTES_MAX, RESULT_CHECKED_BYTES_MAX
from remit.reasons import Denied, Reason

UNTRUSTED: Final = ("untrusted",)
_EMPTY: Final = Raw(b"{}")


class _Head(Struct):
    """The members of a result that decide about it; the rest is passed on unread."""

    isError: bool = False  # noqa: N815 - MCP's spelling
    resultType: str = "complete"  # noqa: N815


_HEAD: Final = msgspec.json.Decoder(_Head)


def inspect(reply: Reply | Fault, tool: Tool) -> Released | Withheld:
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
    return _judged(head, reply.result, tool)


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
