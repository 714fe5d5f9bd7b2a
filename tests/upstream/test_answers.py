"""The client's answer to a server's request, as it goes over a line: what was decided on, and nothing else."""

import msgspec
import pytest
from msgspec import Raw

from remit.edge.upstream.message import Message, answer_bytes

QUESTION = Message(jsonrpc="2.0", id=Raw(b'"q"'), method="elicitation/create")
ERROR = {"code": -32601, "message": "no such thing"}


@pytest.mark.parametrize(
    "answer, sent",
    [
        ({"action": "accept", "content": {"word": "fig"}}, "result"),
        ({"error": ERROR}, "error"),
        # A result is one whatever else it holds: it was recorded as one.
        ({"action": "accept", "content": {}, "error": ERROR}, "result"),
        ({"action": "accept", "error": "no error at all"}, "result"),
        ({"roots": [], "error": ERROR}, "result"),
        ({}, "result"),
    ],
)
@pytest.mark.holds("ASK-CALLS")
def test_only_an_answer_that_is_nothing_but_an_error_goes_out_as_one(answer: dict[str, object], sent: str) -> None:
    written = msgspec.json.decode(answer_bytes(QUESTION, Raw(msgspec.json.encode(answer))))
    assert written == {"jsonrpc": "2.0", "id": "q", sent: answer.get("error") if sent == "error" else answer}
