"""What is fuzzed: one function for each parser, over any bytes. A property that does not hold is an `AssertionError`.

Each holds its parser against something that reads the same bytes by other means: another library, the official SDK, or
the same parser given the same bytes in one piece. Inputs are text where they can be, so that the corpus can be read.
"""

import asyncio
import itertools
import json
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import rfc8785
from mcp.shared import inbound
from msgspec import Raw

from remit.call import Ask, call_digest, decode
from remit.canonical import canonical, decode as decode_canonical, digest as digest_of_bytes, parse
from remit.edge.mcp.agreement import agreed, agrees, mirror, mirrored_by
from remit.edge.mcp.exchange import headers_of, label
from remit.edge.mcp.rpc import Fault, Message, read
from remit.edge.upstream.conversation import _result as result_of
from remit.edge.upstream.mcp_stdio import Lines
from remit.edge.upstream.message import Answer, answer_of, attributed, read as read_answer, response_bytes
from remit.edge.upstream.pending import Pending
from remit.edge.upstream.sse import Event, EventReader
from remit.errors import UpstreamFault
from remit.identity.verify import peek
from remit.reasons import Denied
from tests.identity import world
from tests.identity.forge import b64

Target = Callable[[bytes], None]

# Small bounds, so that inputs of a few KB get past them; `~` in an input stands for many letters.
_EVENT_BYTES: Final = 3000
_LINE_BYTES: Final = 9000
_MANY: Final = b"x" * 1500
_NAME_BYTES: Final = 64
_NO_ROOM: Final = 10_000  # what a splitter may hold beyond its bound


def json_read(data: bytes) -> None:
    """What is read is what the standard library reads, exactly; what is written is what RFC 8785's writer writes."""
    try:
        value = parse(data)
    except Denied as no:
        _listed(no, "call.")
        return
    assert same(value, json.loads(data)), "read otherwise than by the standard library"
    try:
        written = canonical(value)
    except Denied as no:
        _listed(no, "call.")
        return
    assert written == rfc8785.dumps(value), "written otherwise than RFC 8785 says"
    again = decode_canonical(written)
    assert canonical(again) == written, "the canonical form is not its own"
    assert again == value, "the canonical form means something else"
    assert same(again, json.loads(written)), "the fast reader and the standard library differ"


def message(data: bytes) -> None:
    """A body is one message or a refusal that can be answered; a call is what its canonical bytes say."""
    try:
        found = read(data)
    except Fault as fault:
        json.loads(fault.response().body)
        return
    standard = json.loads(data)
    assert (found.method, found.params, found.id) == (standard["method"], standard.get("params"), standard.get("id"))
    try:
        call = decode(Ask(method=found.method, params=found.params, token=None, audience="", connector="notes"), "1")
        digest = call_digest(call, task="t", contract="sha256:0")
    except Denied as no:
        _listed(no, "call.")
        return
    written = bytes(call.canonical)
    assert same(call.arguments, json.loads(written)), "what is decided on is not what is sent"
    whole = {"arguments": call.arguments, "connector": "notes", "contract": "sha256:0"}
    whole |= {"method": call.method, "name": call.name, "task": "t"}
    assert digest == digest_of_bytes(rfc8785.dumps(whole)), "the digest is of something else"


def agreement(data: bytes) -> None:
    """`header: value` lines, an empty line, a body. What the official SDK refuses, we refuse.

    The header `schema`, which is none, is the input schema of the tool that is called. Where we refuse more: a revision
    the SDK knows and this door does not serve, a name in a header that the body does not hold, capabilities that are no
    object, headers that are not ASCII, and what `rpc.read` refuses in a body.
    """
    head, _, body = data.partition(b"\n\n")
    lines = [(name.strip().lower(), value.strip()) for name, _, value in (one.partition(b":") for one in _split(head))]
    schema = _json_or_none(next((value for name, value in lines if name == b"schema"), b"null"))
    raw = [(name, value) for name, value in lines if name != b"schema"]
    try:
        headers = headers_of({"headers": raw})
        found = read(body)
        label(headers, "remit-task")
        agreed(found, headers)
    except Fault:
        return
    text = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]
    assert inbound.find_duplicated_routing_header(text) is None, "a header stands twice"
    theirs = inbound.classify_inbound_request(json.loads(body), headers=headers)
    assert isinstance(theirs, inbound.InboundModernRoute), f"the SDK refuses: {theirs}"
    _mirrored(found, schema, headers)


def _mirrored(found: Message, schema: Any, headers: Mapping[str, str]) -> None:
    arguments = (found.params or {}).get("arguments")
    if not isinstance(arguments, dict):
        return
    mirrored = mirrored_by(schema)
    sound = inbound.find_invalid_x_mcp_header(schema) is None
    if sound:
        places = {one.path: one.header for one in mirrored}
        assert places == inbound.x_mcp_header_map(schema), "other arguments are mirrored"
        assert mirror(mirrored, arguments) == inbound.mcp_param_headers(places, arguments), "mirrored otherwise"
    try:
        agrees(mirrored, arguments, headers=headers)
    except Fault:
        return
    theirs = inbound.validate_mcp_param_headers(schema, arguments, headers)
    assert theirs is None, f"the SDK refuses: {theirs}"


def events(data: bytes) -> None:
    """A stream of events is cut alike however it comes in, and little more of it is held than the bound."""
    data = data.replace(b"~", _MANY)
    found = [_events_in(pieces) for pieces in _ways(data)]
    assert all(one == found[0] for one in found), "cut otherwise in other pieces"
    for event in found[0]:
        assert len(event.data) <= _EVENT_BYTES
        assert event.size > _EVENT_BYTES or event.size == len(event.data)
    if len(data) <= _EVENT_BYTES and not data.endswith(b"\r"):
        assert [(event.name, event.data) for event in found[0]] == _by_the_book(data), "read otherwise than WHATWG says"


def _events_in(pieces: list[bytes]) -> list[Event]:
    reader, found = EventReader(_EVENT_BYTES), []
    for piece in pieces:
        found += reader.feed(piece)
        held = len(reader._line) + len(reader._data or b"") + len(reader._name)
        assert held <= _EVENT_BYTES + _NO_ROOM, f"{held} bytes are held"
    return found


def _by_the_book(data: bytes) -> list[tuple[bytes, bytes]]:
    """WHATWG HTML 9.2.6 over a whole stream: an event without data is none, a last line without an end is not read."""
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]
    found, name, told = [], b"message", []
    for line in lines:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if b"\n".join(told):
                found.append((name, b"\n".join(told)))
            name, told = b"message", []
        elif field == b"event":
            name = value[:_NAME_BYTES]
        elif field == b"data":
            told.append(value)
    return found


def lines(data: bytes) -> None:
    """A tool server's output is cut alike however it comes in; whatever a line is, it is taken without a fault."""
    data = data.replace(b"~", _MANY)
    found = [_lines_in(pieces) for pieces in _ways(data)]
    assert all(one == found[0] for one in found), "cut otherwise in other pieces"
    whole = data.split(b"\n")[:-1]
    assert [size for _, size in found[0]] == [len(line) for line in whole]
    assert all(line == cut for line, (cut, size) in zip(whole, found[0], strict=True) if size <= _LINE_BYTES)
    pending = Pending(tell=json.loads, heard=lambda method, params: None, noise=len)
    for line, size in found[0]:
        pending.take(line, size)
        answer(line)


def _lines_in(pieces: list[bytes]) -> list[tuple[bytes, int]]:
    cutter, found = Lines(_LINE_BYTES), []
    for piece in pieces:
        found += cutter.feed(piece)
        assert len(cutter._rest) <= _LINE_BYTES + _NO_ROOM, "too much of a line is held"
    return found


def answer(data: bytes) -> None:
    """What a tool server says is a JSON-RPC message or none; what is one, others can read, too."""
    attributed(data, data)
    try:
        said = read_answer(data)
    except ValueError:
        return
    standard = json.loads(data)
    assert standard["jsonrpc"] == "2.0"
    if said.answers is not None:
        assert said.answers == standard["id"]
    if said.method is not None and said.id and (response := response_bytes(said)) is not None:
        assert json.loads(response)["id"] == standard.get("id")
    try:
        found = answer_of(said, len(data))
    except UpstreamFault:
        return
    if found.result is not None:
        assert json.loads(bytes(found.result)) == standard["result"]
        _shown(found)


def _shown(found: Answer) -> None:
    try:
        members = result_of(found, dict[str, Raw])
    except UpstreamFault:
        return
    again = json.loads(msgspec.json.encode(members))
    assert again == json.loads(bytes(found.result or b""))


def token(data: bytes) -> None:
    """A token as it is; or, over two lines, a header (`KID` stands for its key's id) and claims that a real key of the
    agent `bot` then signs.

    Whatever it says, it names `bot` or nobody, and only at this endpoint and while it is fresh.
    """
    head, _, claims = data.partition(b"\n")
    if claims:
        signed = f"{b64(head.replace(b'KID', world.OWN.kid.encode()))}.{b64(claims)}"
        given = f"{signed}.{b64(world.OWN.sign(signed.encode()))}"
    else:
        given = data.decode("latin-1")
    try:
        principal = asyncio.run(_AUTHENTICATOR.agent(given, world.ENDPOINT))
    except Denied as no:
        _listed(no, "identity.")
        return
    said = json.loads(claims)
    assert principal.name == "bot"
    assert said["aud"] in (world.ENDPOINT, [world.ENDPOINT])
    assert world.NOW - 30 < said["exp"] <= said["iat"] + 600
    assert peek(given).subject == said["sub"]


def _listed(no: Denied, stage: str) -> None:
    assert no.reason.startswith(stage), f"refused by another stage: {no}"


def same(left: Any, right: Any) -> bool:
    """Equal, and of the same kinds all the way down: `1`, `1.0` and `True` differ."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def _ways(data: bytes) -> list[list[bytes]]:
    """The bytes whole, each by itself (of a short input), and in pieces of sizes drawn from the bytes."""
    drawn = random.Random(data)
    cuts = sorted(drawn.randrange(len(data) + 1) for _ in range(min(len(data), 20)))
    pieces = [data[start:end] for start, end in itertools.pairwise([0, *cuts, len(data)])]
    single = [data[at : at + 1] for at in range(len(data))] if len(data) < 2000 else [data]
    return [[data], single, pieces]


def _split(head: bytes) -> list[bytes]:
    return [line for line in head.split(b"\n") if line]


def _json_or_none(data: bytes) -> Any:
    try:
        return parse(data)
    except Denied:
        return None


_AUTHENTICATOR: Final = world.World().authenticator

TARGETS: Final[dict[str, Target]] = {
    "json": json_read,
    "message": message,
    "agreement": agreement,
    "events": events,
    "lines": lines,
    "answer": answer,
    "token": token,
}
