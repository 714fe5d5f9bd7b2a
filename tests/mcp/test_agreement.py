"""Header and body agreement, held against the official SDK's pure reading of the same rules."""

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from mcp.shared import inbound
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from remit.edge.mcp.agreement import agreed, agrees, decoded, encoded, mirror, mirrored_by
from remit.edge.mcp.rpc import Fault, Message
from remit.edge.mcp.wire import MODERN
from tests.mcp.conftest import modern

VERSIONS = st.sampled_from(["2026-07-28", "2025-11-25", "2027-01-01"])
NAMES = st.sampled_from(["echo", "fail", "=?base64?ZWNobw==?=", "zürich", " echo", ""])
METHODS = st.sampled_from(["tools/call", "resources/read", "tools/list", "server/discover"])
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "sure": {"type": "boolean", "x-mcp-header": "Sure"},
        "where": {"type": "object", "properties": {"zone": {"type": "string", "x-mcp-header": "Zone"}}},
        "free": {"type": "string"},
    },
}
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from([1.0, 1.5]), st.text(max_size=4))
ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "region": VALUES,
        "count": VALUES,
        "sure": VALUES,
        "free": VALUES,
        "where": st.one_of(VALUES, st.fixed_dictionaries({}, optional={"zone": VALUES})),
    },
)
HEADER_VALUES = st.one_of(
    st.sampled_from(["1", "1.0", "01", "-1", "true", "True", "=?base64?YQ==?=", "=?base64?a?="]),
    st.text("ab=?", max_size=3),
)
PARAM_HEADERS = st.fixed_dictionaries(
    {}, optional={f"mcp-param-{name}": HEADER_VALUES for name in ("region", "count", "sure", "zone")}
)


def test_the_modern_revisions_are_the_sdks() -> None:
    assert MODERN == MODERN_PROTOCOL_VERSIONS


@settings(deadline=None, max_examples=300)
@given(
    body_version=VERSIONS,
    method=METHODS,
    name=st.one_of(st.none(), NAMES),
    headers=st.fixed_dictionaries(
        {}, optional={"mcp-protocol-version": VERSIONS, "mcp-method": METHODS, "mcp-name": NAMES}
    ),
    lacks=st.sets(st.sampled_from(["version", "capabilities"])),
)
def test_requests_are_judged_as_the_sdk_does(
    *, body_version: str, method: str, name: str | None, headers: dict[str, str], lacks: set[str]
) -> None:
    body = modern(method, {} if name is None else {"uri" if method == "resources/read" else "name": name})
    keys = {"version": "protocolVersion", "capabilities": "clientCapabilities"}
    body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = body_version
    for key in lacks:
        del body["params"]["_meta"][f"io.modelcontextprotocol/{keys[key]}"]
    theirs = inbound.classify_inbound_request(body, headers=headers)
    expected = theirs.code if isinstance(theirs, inbound.InboundLadderRejection) else None
    if name is None and "mcp-name" in headers and method in inbound.NAME_BEARING_METHODS and expected in {None, -32022}:
        expected = -32020  # a header that repeats what is not there: the SDK leaves that to the method
    assert judged(lambda: agreed(Message(method=method, id=1, params=body["params"]), headers)) == expected


@settings(deadline=None, max_examples=300)
@given(arguments=ARGUMENTS, headers=PARAM_HEADERS)
def test_mirrored_arguments_are_judged_as_the_sdk_does(arguments: dict[str, Any], headers: dict[str, str]) -> None:
    theirs = inbound.validate_mcp_param_headers(SCHEMA, arguments, headers)
    expected = None if theirs is None else theirs.code
    assert judged(lambda: agrees(mirrored_by(SCHEMA), arguments, headers=headers)) == expected


@settings(deadline=None)
@given(arguments=ARGUMENTS)
def test_what_we_mirror_the_sdk_accepts(arguments: dict[str, Any]) -> None:
    headers = mirror(mirrored_by(SCHEMA), arguments)
    assert headers == inbound.mcp_param_headers(inbound.x_mcp_header_map(SCHEMA), arguments)
    assert inbound.validate_mcp_param_headers(SCHEMA, arguments, headers) is None
    lower = {name.lower(): value for name, value in headers.items()}
    assert judged(lambda: agrees(mirrored_by(SCHEMA), arguments, headers=lower)) is None


@given(st.text())
def test_any_text_travels_in_a_header(text: str) -> None:
    assert encoded(text) == inbound.encode_header_value(text)
    assert decoded(encoded(text)) == text


@given(st.one_of(st.text(), st.from_regex(r"=\?base64\?[A-Za-z0-9+/=]{0,8}\?=", fullmatch=True)))
def test_header_values_are_read_as_the_sdk_reads_them(header: str) -> None:
    assert decoded(header) == inbound.decode_header_value(header)


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "number", "x-mcp-header": "X"},
        {"type": ["string"], "x-mcp-header": "X"},
        {"x-mcp-header": "X"},
        {"type": "string", "x-mcp-header": ""},
        {"type": "string", "x-mcp-header": "a b"},
        {"type": "string", "x-mcp-header": 1},
        {"type": "string", "x-mcp-header": "REGION"},
    ],
)
def test_a_schema_that_says_it_wrongly_mirrors_nothing(wrong: dict[str, Any]) -> None:
    schema = {"properties": {"region": {"type": "string", "x-mcp-header": "Region"}, "wrong": wrong}}
    assert inbound.find_invalid_x_mcp_header(schema) is not None
    assert mirrored_by(schema) == ()


@pytest.mark.parametrize("schema", [None, [], {}, {"properties": []}, {"properties": {"a": True}}])
def test_a_schema_without_properties_mirrors_nothing(schema: Any) -> None:
    assert mirrored_by(schema) == ()


def judged(check: Any) -> int | None:
    try:
        check()
    except Fault as fault:
        return int(fault.code)
    return None
