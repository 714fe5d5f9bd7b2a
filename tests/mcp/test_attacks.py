"""What must not pass the door, as data: each row is one request, and the HTTP status and JSON-RPC code it gets."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import pytest
from yarl import URL

from remit.limits import REQUEST_ID_CHARS_MAX
from tests.mcp.conftest import Door, headers_for, modern, plain
from tests.mcp.simulated import BOB

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALL = modern("tools/call", {"name": "echo", "arguments": {"text": "hi"}})
HEADERS = headers_for(CALL)
BODY = msgspec.json.encode(CALL)


class Attack(NamedTuple):
    """A request that differs from a good one in one thing."""

    what: str
    status: int
    code: int | None
    body: bytes = BODY
    set: Mapping[str, str] = MappingProxyType({})
    drop: tuple[str, ...] = ()
    path: str = "/mcp/notes"


def changed(**members: Any) -> bytes:
    return msgspec.json.encode({**CALL, **members})


def params(**members: Any) -> bytes:
    return msgspec.json.encode({**CALL, "params": {**CALL["params"], **members}})


def meta(**members: Any) -> bytes:
    return params(_meta={**CALL["params"]["_meta"], **members})


VERSION, CAPABILITIES = "io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities"

BODIES = [
    Attack("not JSON", 400, -32700, b"{"),
    Attack("not UTF-8", 400, -32700, b'{"jsonrpc":"2.0","id":1,"method":"\xff"}'),
    Attack("NaN", 400, -32700, params(arguments={"n": 1}).replace(b'"n":1', b'"n":NaN')),
    Attack("a key twice", 400, -32600, BODY.replace(b'"id":1', b'"id":1,"id":2')),
    Attack("a nested key twice", 400, -32600, BODY.replace(b'"text":"hi"', b'"text":"hi","text":"ho"')),
    Attack("a huge integer", 400, -32600, params(arguments={"n": 2**60})),
    Attack("deep nesting", 400, -32600, b"[" * 1000 + b"]" * 1000),
    Attack("a batch", 400, -32600, b"[" + BODY + b"]"),
    Attack("an empty batch", 400, -32600, b"[]"),
    Attack("nothing", 400, -32700, b""),
    Attack("a string", 400, -32600, b'"tools/call"'),
    Attack("an unknown member", 400, -32600, changed(extra=1)),
    Attack("a posted answer", 400, -32600, b'{"jsonrpc":"2.0","id":1,"result":{}}'),
    Attack("JSON-RPC 1.0", 400, -32600, changed(jsonrpc="1.0")),
    Attack("JSON-RPC 2.0 as a number", 400, -32600, changed(jsonrpc=2.0)),
    Attack("no method", 400, -32600, b'{"jsonrpc":"2.0","id":1}'),
    Attack("a method that is no string", 400, -32600, changed(method=1)),
    Attack("params by position", 400, -32600, changed(params=[1])),
    Attack("params null", 400, -32600, changed(params=None)),
    Attack("an id that is null", 400, -32600, changed(id=None)),
    Attack("an id that is true", 400, -32600, changed(id=True)),
    Attack("an id that is a fraction", 400, -32600, changed(id=1.5)),
    Attack("a long id", 400, -32600, changed(id="x" * (REQUEST_ID_CHARS_MAX + 1))),
    Attack("a lone surrogate", 400, -32700, BODY.replace(b'"hi"', rb'"\ud800"')),
    Attack("a lone surrogate as id", 400, -32700, BODY.replace(b'"id":1', rb'"id":"\udfff"')),
    Attack("a lone surrogate as a key twice", 400, -32600, BODY.replace(b'"id":1', rb'"\ud800":1,"\ud800":2')),
    Attack("no _meta", 400, -32602, changed(params={"name": "echo"})),
    Attack("_meta that is a list", 400, -32602, params(_meta=[])),
    Attack("no version in _meta", 400, -32602, params(_meta={CAPABILITIES: {}})),
    Attack("no capabilities in _meta", 400, -32602, params(_meta={VERSION: "2026-07-28"})),
    Attack("capabilities that are a list", 400, -32602, meta(**{CAPABILITIES: []})),
    Attack("another version in the body", 400, -32020, meta(**{VERSION: "2025-11-25"})),
    Attack("a version that is no string", 400, -32020, meta(**{VERSION: 20260728})),
]

HEADER_ROWS = [
    Attack("no token", 401, 4401, drop=("Authorization",)),
    Attack("an invented token", 401, 4401, set={"Authorization": "Bearer nobody"}),
    Attack("an expired token", 401, 4401, set={"Authorization": "Bearer expired"}),
    Attack("a revoked agent", 401, 4401, set={"Authorization": "Bearer revoked"}),
    Attack("a person's token", 401, 4401, set={"Authorization": "Bearer person"}),
    Attack("two tokens in one header", 401, 4401, set={"Authorization": "Bearer token-of-ada token-of-bob"}),
    Attack("another scheme", 401, 4401, set={"Authorization": "Basic YWRhOmFkYQ=="}),
    Attack("a token in the query", 401, 4401, drop=("Authorization",), path="/mcp/notes?access_token=token-of-ada"),
    Attack("a token in both places", 401, 4401, path="/mcp/notes?access_token=token-of-ada"),
    Attack("a query", 400, -32600, path="/mcp/notes?x=1"),
    Attack("nobody can be known", 503, 4403, set={"Authorization": "Bearer storeless"}),
    Attack("authentication breaks", 500, -32603, set={"Authorization": "Bearer crash"}),
    Attack("a foreign host", 403, 4403, set={"Host": "evil.example"}),
    Attack("a foreign origin", 403, 4403, set={"Origin": "http://evil.example"}),
    Attack("a null origin", 403, 4403, set={"Origin": "null"}),
    Attack("a form", 415, -32600, set={"Content-Type": "application/x-www-form-urlencoded"}),
    Attack("plain text", 415, -32600, set={"Content-Type": "text/plain"}),
    Attack("another charset", 415, -32600, set={"Content-Type": "application/json; charset=utf-16"}),
    Attack("events only", 406, -32600, set={"Accept": "text/event-stream"}),
    Attack("JSON declined", 406, -32600, set={"Accept": "application/json;q=0, text/event-stream"}),
    Attack("no version header", 400, -32020, drop=("MCP-Protocol-Version",)),
    Attack("a legacy version header", 400, -32020, set={"MCP-Protocol-Version": "2025-11-25"}),
    Attack("no method header", 400, -32020, drop=("Mcp-Method",)),
    Attack("another method header", 400, -32020, set={"Mcp-Method": "tools/list"}),
    Attack("a method header in capitals", 400, -32020, set={"Mcp-Method": "Tools/Call"}),
    Attack("no name header", 400, -32020, drop=("Mcp-Name",)),
    Attack("another name header", 400, -32020, set={"Mcp-Name": "fail"}),
    Attack("another name in base64", 400, -32020, set={"Mcp-Name": "=?base64?ZmFpbA==?="}),
    Attack("base64 that is none", 400, -32020, set={"Mcp-Name": "=?base64?ZWNobw?="}),
    Attack("base64 with loose bits", 400, -32020, set={"Mcp-Name": "=?base64?ZWNob9==?="}),
    Attack("a name header, no name", 400, -32020, changed(params={"_meta": CALL["params"]["_meta"]})),
    Attack("a task that is no name", 400, -32600, set={"Remit-Task": "a b"}),
    Attack("a long client", 400, -32600, set={"Remit-Client": "x" * 65}),
    Attack("a client that is no ASCII", 400, -32600, set={"Remit-Client": "zoë"}),
]

PATHS = [
    Attack("an encoded letter", 404, None, path="/mcp/%6eotes"),
    Attack("an encoded slash", 404, None, path="/mcp%2fnotes"),
    Attack("an encoded dot segment", 404, None, path="/mcp/%2e%2e/notes"),
    Attack("a double slash", 404, None, path="/mcp//notes"),
    Attack("a trailing slash", 404, None, path="/mcp/notes/"),
    Attack("a deeper path", 404, None, path="/mcp/notes/tools"),
    Attack("a capital", 404, None, path="/mcp/Notes"),
    Attack("a null byte", 404, None, path="/mcp/notes%00"),
    Attack("a long name", 404, None, path="/mcp/" + "n" * 64),
    Attack("a name that begins with a hyphen", 404, None, path="/mcp/-notes"),
    Attack("a path parameter", 404, None, path="/mcp/notes;x=1"),
    Attack("the people's door", 404, None, path="/v1/tasks"),
    Attack("the root", 404, None, path="/"),
    Attack("another well-known path", 404, None, path="/.well-known/oauth-authorization-server"),
]


@pytest.mark.holds(
    "INPUT-KEYS", "INPUT-HEADER", "INPUT-BATCH", "INPUT-TEXT", "INPUT-DEPTH", "IDENT-ORIGIN", "INPUT-NAME"
)
@pytest.mark.parametrize("attack", BODIES + HEADER_ROWS + PATHS, ids=lambda attack: attack.what)
async def test_it_does_not_pass(door: Door, attack: Attack) -> None:
    headers = {name: value for name, value in HEADERS.items() if name not in attack.drop} | dict(attack.set)
    url = URL(door.url + attack.path, encoded=True)
    async with door.client.post(url, data=attack.body, headers=headers) as response:
        content = await response.read()
        assert response.status == attack.status
    body = msgspec.json.decode(content) if content else None
    assert (body["error"]["code"] if body else None) == attack.code
    assert b"secret" not in content
    assert door.backend.asked == []


async def test_escaped_text_passes(door: Door) -> None:
    status, _, body = await door.send(BODY.replace(b'"hi"', rb'"\ud83d\ude00 \u0000"'), HEADERS)
    assert (status, body["result"]["content"][0]["text"]) == (200, "\U0001f600 \0")


async def test_the_request_they_differ_from_passes(door: Door) -> None:
    assert (await door.send(BODY, HEADERS))[0] == 200
    assert len(door.backend.asked) == 1


@pytest.mark.parametrize(
    "name",
    [
        "Mcp-Method",
        "Mcp-Name",
        "MCP-Protocol-Version",
        "Authorization",
        "Remit-Task",
        "Mcp-Param-X",
        "Content-Type",
    ],
)
async def test_a_header_that_stands_twice_is_refused(door: Door, name: str) -> None:
    headers = [*({**HEADERS, "Mcp-Param-X": "1", "Remit-Task": "t"}).items(), (name, "again")]
    status, _, body = await door.send(BODY, headers)  # type: ignore[arg-type]  # aiohttp takes pairs too
    assert (status, body["error"]["code"]) == (400, -32020 if name.lower().startswith("mcp-") else -32600)
    assert door.backend.asked == []


@pytest.mark.holds("INPUT-METHOD")
@pytest.mark.parametrize(
    "method",
    [
        *("initialize", "ping", "logging/setLevel", "resources/subscribe", "tasks/list", "elicitation/create"),
        *(
            "roots/list",
            "sampling/createMessage",
            "tools/Call",
            "tools/call ",
            "notifications/cancelled",
            "\u0000",
        ),
    ],
)
async def test_a_method_outside_the_list_is_not_found_on_the_modern_wire(door: Door, method: str) -> None:
    message = modern(method)
    headers = headers_for(modern("x")) | {"Mcp-Method": method}
    if method != method.strip() or not method.isprintable():
        headers["Mcp-Method"] = "x"
    status, _, body = await door.send(msgspec.json.encode(message), headers)
    assert (status, body["error"]["code"]) in {(404, -32601), (400, -32020)}
    assert door.backend.asked == []


@pytest.mark.holds("INPUT-METHOD")
@pytest.mark.parametrize("method", ["server/discover", "subscriptions/listen", "sampling/createMessage", "tools/Call"])
async def test_a_method_outside_the_list_is_not_found_on_the_legacy_wire(door: Door, method: str) -> None:
    session = await door.session()
    message = {"jsonrpc": "2.0", "id": 1, "method": method}
    status, _, body = await door.send(msgspec.json.encode(message), session)
    assert (status, body["error"]["code"]) == (200, -32601)
    assert door.backend.counted["call.method"] == 1


@pytest.mark.parametrize("version", ["2027-01-01", "", "latest"])
async def test_an_unserved_version_is_told_the_served_ones(door: Door, version: str) -> None:
    body = meta(**{VERSION: version})
    status, _, answer = await door.send(body, HEADERS | {"MCP-Protocol-Version": version})
    assert (status, answer["error"]["code"]) == (400, -32022)
    assert answer["error"]["data"] == {"supported": ["2026-07-28", "2025-11-25", "2025-06-18"], "requested": version}


async def test_blanks_around_header_values_do_not_count(door: Door) -> None:
    assert (await door.send(BODY, HEADERS | {"Mcp-Name": "  echo\t"}))[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "*/*"},
        {"Accept": "application/*;q=0.5"},
        {"Content-Type": 'application/json; charset="UTF-8"'},
        {"Origin": "http://127.0.0.1"},
    ],
)
async def test_harmless_spellings_pass(door: Door, headers: dict[str, str]) -> None:
    if "Origin" in headers:
        headers = {"Origin": door.url}
    assert (await door.send(BODY, HEADERS | headers))[0] == 200


@pytest.mark.parametrize("method", ["PUT", "OPTIONS", "PATCH", "HEAD"])
async def test_only_post_get_and_delete_reach_an_endpoint(door: Door, method: str) -> None:
    async with door.client.request(method, door.url + "/mcp/notes", headers=plain()) as response:
        assert (response.status, response.headers["allow"]) == (405, "POST, GET, DELETE")


async def test_refusals_before_a_call_are_counted(door: Door) -> None:
    await door.send(BODY, HEADERS | {"Authorization": "Bearer nobody"})
    await door.send(BODY, HEADERS | {"Mcp-Name": "fail"})
    await door.send(b"{", HEADERS)
    assert door.backend.counted == {"identity.invalid": 1, "call.mismatch": 1, "call.malformed": 1}


async def test_one_agent_is_not_another(door: Door) -> None:
    await door.send(BODY, HEADERS | {"Authorization": f"Bearer {BOB}"})
    assert door.backend.asked[0].token == BOB
