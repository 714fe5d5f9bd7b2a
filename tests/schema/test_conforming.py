"""Step 4 over tools, prompts and resources, and the contracts about to be pinned."""

import sys
from typing import Any

import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from remit.errors import CallerFault
from remit.limits import SCHEMAS_COMPILED_MAX
from remit.reasons import Denied, Reason
from remit.schema import accepts_more, check_contract, conforming
from remit.schema.compiled import _REMEMBERED, compiled
from tests.schema.conftest import Refused, called, pinned

TEXT = {"type": "string"}
PROMPT = {"name": "file", "arguments": [{"name": "topic", "required": True}, {"name": "tone"}]}


async def advertised(module: str) -> dict[str, dict[str, Any]]:
    server = StdioServerParameters(command=sys.executable, args=["-m", module])
    async with stdio_client(server) as streams, ClientSession(*streams) as session:
        await session.initialize()
        listed = await session.list_tools()
        return {tool.name: tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed.tools}


@pytest.mark.holds("INPUT-SCHEMA")
async def test_the_git_server_is_closed_and_usable() -> None:
    tools = await advertised("mcp_server_git")
    for body in tools.values():
        assert check_contract(pinned(body).contract) == ()
        arguments: dict[str, Any] = dict.fromkeys([*body["inputSchema"]["required"], "surprise"], "x")
        arguments |= {"files": ["a"]} if "files" in arguments else {}
        with pytest.raises(Denied, match=r"^schema.arguments: `/surprise` \(not in the schema\)$"):
            conforming(called(arguments), pinned(body))
    log = {"repo_path": "/r", "max_count": 3, "start_timestamp": None}
    assert conforming(called(log), pinned(tools["git_log"])).quarantined is None
    assert conforming(called({"repo_path": "/r", "files": ["a"]}), pinned(tools["git_add"])).quarantined is None


async def test_the_time_server_is_closed_and_usable() -> None:
    now = (await advertised("mcp_server_time"))["get_current_time"]
    assert check_contract(pinned(now).contract) == ()
    assert conforming(called({"timezone": "Etc/UTC"}), pinned(now)).quarantined is None


def test_a_quarantined_tool_is_not_called_whatever_the_arguments() -> None:
    with pytest.raises(Denied) as no:
        conforming(called({}), pinned({"inputSchema": {"type": "object"}}, quarantined="sha256:other"))
    assert no.value.reason is Reason.SCHEMA_QUARANTINED


def test_an_empty_digest_of_what_is_advertised_now_is_quarantine_too() -> None:
    with pytest.raises(Denied, match="quarantined"):
        conforming(called({}), pinned({"inputSchema": {"type": "object"}}, quarantined=""))


@pytest.mark.parametrize("body", [{}, {"inputSchema": None}, {"inputSchema": {"type": 5}}])
def test_a_contract_without_a_usable_schema_admits_nothing(body: dict[str, Any]) -> None:
    with pytest.raises(Denied, match="the pinned contract cannot be used"):
        conforming(called({}), pinned(body))
    with pytest.raises(CallerFault, match=r"`desk/file`: "):
        check_contract(pinned(body).contract)


def test_an_output_schema_is_read_when_the_contract_is_pinned() -> None:
    body = {"inputSchema": {"type": "object"}, "outputSchema": {"$ref": "https://tools.example/out"}}
    with pytest.raises(CallerFault, match=r"tools\.example"):
        check_contract(pinned(body).contract)
    assert check_contract(pinned(body | {"outputSchema": {"type": "object"}}).contract) == ()


def test_an_output_schema_that_could_stall_the_gateway_is_not_pinned() -> None:
    again = {"properties": {"a": {"$ref": "#"}}}
    body = {"inputSchema": {"type": "object"}, "outputSchema": {"allOf": [again, again]}}
    with pytest.raises(CallerFault, match="on every level"):
        check_contract(pinned(body).contract)
    assert check_contract(pinned(body | {"outputSchema": again}).contract) == ()


def test_a_tool_with_open_places_accepts_more() -> None:
    assert not accepts_more(pinned({"inputSchema": {"type": "object"}}))
    assert accepts_more(pinned({"inputSchema": {"type": "object", "additionalProperties": True}}))
    assert not accepts_more(pinned(PROMPT, "prompt"))


def test_open_places_of_a_contract_are_returned_for_pinning() -> None:
    body = {"inputSchema": {"type": "object", "additionalProperties": True}}
    assert check_contract(pinned(body).contract) == ("/additionalProperties",)


PROMPTS: list[tuple[dict[str, Any], str | None]] = [
    ({"topic": "x"}, None),
    ({"topic": "x", "tone": "dry"}, None),
    ({}, r"`/topic` \(required\)"),
    ({"topic": "x", "Tone": "dry"}, r"`/Tone` \(not declared\)"),
    ({"topic": 5}, r"`/topic` \(type: string\)"),
    ({"topic": None}, r"`/topic` \(type: string\)"),
]


@pytest.mark.parametrize("arguments,says", PROMPTS)
def test_a_prompt_takes_what_its_contract_declares(arguments: dict[str, Any], says: str | None) -> None:
    tool = pinned(PROMPT, "prompt")
    if says is None:
        assert conforming(called(arguments, "prompts/get"), tool) is tool
    else:
        with pytest.raises(Denied, match=says):
            conforming(called(arguments, "prompts/get"), tool)


@pytest.mark.parametrize("declared", [5, "topic", ["topic"], [{"name": "a"}, {"name": "a"}], [{}], [{"name": 5}]])
def test_a_prompt_whose_arguments_cannot_be_read_admits_nothing(declared: Any) -> None:
    tool = pinned({"arguments": declared}, "prompt")
    with pytest.raises(CallerFault, match="the arguments of prompt"):
        check_contract(tool.contract)
    with pytest.raises(Denied, match="the pinned contract cannot be used"):
        conforming(called({}, "prompts/get"), tool)


def test_a_prompt_without_arguments_takes_none() -> None:
    tool = pinned({}, "prompt")
    assert check_contract(tool.contract) == ()
    assert conforming(called({}, "prompts/get"), tool) is tool
    with pytest.raises(Denied, match="not declared"):
        conforming(called({"a": "b"}, "prompts/get"), tool)


def test_a_resource_takes_its_uri() -> None:
    tool = pinned({}, "resource")
    assert check_contract(tool.contract) == ()
    assert conforming(called(None, "resources/read", "file:///a"), tool) is tool


def test_a_resource_takes_nothing_else() -> None:
    call = called(None, "resources/read", "file:///a")
    call.arguments["uri"] = "file:///b"
    with pytest.raises(Denied, match="its uri and nothing else"):
        conforming(call, pinned({}, "resource"))


def test_two_contracts_never_share_a_compiled_schema(refused: Refused) -> None:
    """An output schema whose text equals another contract's whole body must not stand in for that contract."""
    body = {"inputSchema": {"type": "object", "properties": {"a": TEXT}, "required": ["a"]}}
    check_contract(pinned({"inputSchema": {"type": "object"}, "outputSchema": body}).contract)
    with pytest.raises(Denied, match="required"):
        conforming(called({}), pinned(body))


def test_what_is_remembered_is_bounded() -> None:
    for number in range(SCHEMAS_COMPILED_MAX + 5):
        compiled({"maxProperties": number})
    assert len(_REMEMBERED) == SCHEMAS_COMPILED_MAX
