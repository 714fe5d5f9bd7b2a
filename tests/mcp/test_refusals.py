"""Refusals: in words, and alike where they must be."""

import msgspec
import pytest
from mcp_types import _v2026_07_28 as wire

from remit.answer import Refusal
from remit.reasons import WORDS, Reason
from tests.mcp.conftest import Door, headers_for, legacy, modern

pytestmark = pytest.mark.asyncio(loop_scope="module")

DECISION = "io.remit/decision"


@pytest.mark.holds("WIRE-ALIKE")
@pytest.mark.parametrize("reason", [reason for reason, words in WORDS.items() if words.like])
@pytest.mark.parametrize(
    "method, params",
    [
        ("tools/call", {"name": "x"}),
        ("prompts/get", {"name": "x"}),
        ("resources/read", {"uri": "notes://x"}),
    ],
)
async def test_out_of_reach_and_unknown_are_byte_for_byte_alike(
    door: Door, *, reason: Reason, method: str, params: dict[str, str]
) -> None:
    message = modern(method, params)
    session = await door.session()
    answers = []
    like = WORDS[reason].like
    assert like is not None
    for one in (reason, like):
        door.backend.refusal = Refusal(reason=one, detail=f"secret {one}", verdict="DENY", receipt=f"receipt of {one}")
        for body, headers in ((msgspec.json.encode(message), headers_for(message)), (legacy(method, params), session)):
            async with door.client.post(door.url + "/mcp/notes", data=body, headers=headers) as response:
                answers.append((response.status, sorted(response.headers.items()), await response.read()))
    assert answers[:2] == answers[2:]
    assert all(b"secret" not in content for _, _, content in answers)


@pytest.mark.parametrize("reason", [reason for reason in WORDS if not reason.startswith(("identity.", "call.answer"))])
async def test_every_reason_is_told_in_words(door: Door, reason: Reason) -> None:
    door.backend.refusal = Refusal(reason=reason, detail="because", verdict="DENY", receipt="r")
    _, _, body = await door.modern("tools/call", {"name": "echo"})
    wire.CallToolResult.model_validate(body["result"])
    [content] = body["result"]["content"]
    assert body["result"]["isError"] is True
    assert WORDS[reason].text in content["text"]
    assert WORDS[reason].advice in content["text"]
    assert ("may pass later" in content["text"]) == WORDS[reason].retry
    assert body["result"]["_meta"][DECISION]["retryable"] == WORDS[reason].retry


async def test_identical_refusals_read_identically(door: Door) -> None:
    texts = set()
    for receipt in ("r-1", "r-2"):
        door.backend.refusal = Refusal(reason=Reason.POLICY_DENIED, detail="by `p`", verdict="DENY", receipt=receipt)
        _, _, body = await door.modern("tools/call", {"name": "echo"})
        texts.add(body["result"]["content"][0]["text"])
    assert texts == {
        (
            "Refused: policy does not allow this call (by `p`). The same call will not pass later. "
            "Instead: do without it, or ask the person you work for."
        )
    }


@pytest.mark.parametrize("reason", ["identity.expired", "identity.revoked", "identity.invalid"])
@pytest.mark.parametrize("method", ["tools/call", "prompts/get"])
async def test_a_token_that_is_found_bad_later_is_challenged_too(door: Door, reason: str, method: str) -> None:
    door.backend.refusal = Refusal(reason=Reason(reason), detail="", verdict="DENY")
    status, headers, _ = await door.modern(method, {"name": "echo"})
    assert status == 401
    assert "invalid_token" in headers["www-authenticate"]


async def test_a_refused_prompt_is_an_error_outside_the_reserved_codes(door: Door) -> None:
    status, _, body = await door.modern("prompts/get", {"name": "absent"})
    assert (status, body["error"]["code"]) == (200, -32602)
    assert body["error"]["data"][DECISION]["reason"] == "schema.unknown"
    door.backend.refusal = Refusal(reason=Reason.POLICY_DENIED, detail="", verdict="DENY", receipt="r")
    status, _, body = await door.modern("prompts/get", {"name": "greet"})
    assert (status, body["error"]["code"]) == (200, 4403)


async def test_answers_that_are_refused_are_told_the_client_whose_they_are_not_the_model(door: Door) -> None:
    door.backend.refusal = Refusal(reason=Reason.CALL_ANSWER, detail="they come too late", verdict="DENY", receipt="r")
    status, _, body = await door.modern("tools/call", {"name": "echo"})
    assert (status, body["error"]) == (400, {"code": -32602, "message": "they come too late"})
