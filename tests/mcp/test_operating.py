"""The door's own part of the tasks extension: what is refused before the gateway is asked."""

from typing import Any

import msgspec
import pytest

from remit.answer import Refusal
from remit.reasons import Reason
from tests.mcp.conftest import Door, headers_for, modern

pytestmark = pytest.mark.asyncio(loop_scope="module")

TASKS = "io.modelcontextprotocol/tasks"


async def ask(door: Door, method: str, params: dict[str, Any], able: Any = None) -> tuple[int, Any]:
    message = modern(method, params)
    declared = {"extensions": {TASKS: {}}} if able is None else able
    message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = declared
    named = {"Mcp-Name": params["taskId"]} if isinstance(params.get("taskId"), str) else {}
    status, _, body = await door.send(msgspec.json.encode(message), headers_for(message) | named)
    return status, body["error"]


@pytest.mark.parametrize("able", [{}, {"extensions": {}}, {"extensions": {TASKS: True}}, {"extensions": [TASKS]}])
@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_who_does_not_declare_the_extension_is_told_what_is_missing(door: Door, method: str, able: Any) -> None:
    status, error = await ask(door, method, {"taskId": "a"}, able)
    assert (status, error["code"]) == (400, -32021)
    assert error["data"]["requiredCapabilities"] == {"extensions": {TASKS: {}}}
    assert door.backend.asked == []


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_the_header_names_the_operation_or_the_request_is_refused(door: Door, method: str) -> None:
    message = modern(method, {"taskId": "a"})
    for named in ({}, {"Mcp-Name": "b"}):
        status, _, body = await door.send(msgspec.json.encode(message), headers_for(message) | named)
        assert (status, body["error"]["code"]) == (400, -32020)
    assert door.backend.asked == []


@pytest.mark.parametrize("method", ["tasks/get", "tasks/cancel", "tasks/update"])
async def test_what_is_unknown_is_an_invalid_parameter(door: Door, method: str) -> None:
    answers = {"inputResponses": {}} if method == "tasks/update" else {}
    status, error = await ask(door, method, {"taskId": "a", **answers})
    assert (status, error["code"]) == (200, -32602)
    assert error["data"]["io.remit/decision"]["receipt"] == ""
    (asked,) = door.backend.asked
    assert (asked.method, asked.params["taskId"], asked.speaks.operations) == (method, "a", True)


async def test_answers_that_do_not_fit_are_told_to_the_client(door: Door) -> None:
    door.backend.refusal = Refusal(reason=Reason.CALL_ANSWER, detail="it asks nothing", verdict="DENY")
    status, error = await ask(door, "tasks/update", {"taskId": "a", "inputResponses": {}})
    assert (status, error["code"], error["message"]) == (400, -32602, "it asks nothing")


async def test_a_token_that_is_not_good_any_more_is_said_in_http(door: Door) -> None:
    door.backend.refusal = Refusal(reason=Reason.IDENTITY_REVOKED, detail="", verdict="DENY")
    status, _ = await ask(door, "tasks/get", {"taskId": "a"})
    assert status in (401, 403)
