"""Step 11: which questions of a server reach the client. All of one answer do, or none."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from remit.answer import Question
from remit.call import Client
from remit.limits import QUESTIONS_BYTES_MAX, QUESTIONS_MAX
from remit.reasons import Denied, Reason
from remit.result.note import labelled

# What each question needs the client to be able to do.
ASKS: Final = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}
_FORM: Final = b'"form"'
UNFAMILIAR: Final = "it asks for input in no form that is known"


class Asked(Struct):
    """One question, in MCP's spelling."""

    method: str
    params: Raw = Raw(b"{}")


def relayed(asked: Mapping[str, Asked], client: Client) -> dict[str, Question]:
    """The questions as the client may see them, if this one can answer each and the server may ask it; else
    `Denied(result.*)`.
    """
    if len(asked) > QUESTIONS_MAX or sum(len(memoryview(one.params)) for one in asked.values()) > QUESTIONS_BYTES_MAX:
        raise Denied(Reason.RESULT_TOO_LARGE, f"at most {QUESTIONS_MAX} questions are relayed")
    found: dict[str, Question] = {}
    for key, question in asked.items():
        if ASKS.get(question.method) not in client.capabilities:
            raise Denied(Reason.RESULT_UNSUPPORTED, f"`{question.method[:40]}`")
        if (params := labelled(question.params)) is None:
            raise Denied(Reason.RESULT_SCHEMA, UNFAMILIAR)
        if (more := _beyond(params, client.capabilities[ASKS[question.method]])) is not None:
            raise Denied(Reason.RESULT_UNSUPPORTED, f"`{question.method}` with {more}")
        found[key] = Question(method=question.method, params=Raw(msgspec.json.encode(params)))
    return found


def _beyond(params: Mapping[str, Any], able: Any) -> str | None:
    """What of a question goes beyond what the client said it can do; without settings that is the plain form alone."""
    settings = able if isinstance(able, Mapping) else {}
    if bytes(params.get("mode", _FORM)) != _FORM and "url" not in settings:
        return "a page to visit"
    if params.keys() & {"tools", "toolChoice"} and "tools" not in settings:
        return "tools"
    return None
