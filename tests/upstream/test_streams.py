"""Byte streams cut into events and lines: the same however the network cut them before."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from mcp.shared.inbound import decode_header_value, encode_header_value
from msgspec import Raw

from remit.canonical import canonical
from remit.edge.upstream.headers import encoded
from remit.edge.upstream.mcp_stdio import Lines
from remit.edge.upstream.message import attributed, read, request_bytes, response_bytes
from remit.edge.upstream.params import LEGACY, MODERN, call_params
from remit.edge.upstream.sse import Event, EventReader
from remit.forward.model import Outgoing

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
CUTS = st.lists(st.integers(0, 200), max_size=8)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[a:b] for a, b in pairwise(edges)]


@settings(deadline=None)
@given(
    st.lists(st.lists(st.text("ab: é", max_size=9), min_size=1, max_size=3), max_size=4),
    st.sampled_from(["\n", "\r\n", "\r"]),
    CUTS,
)
def test_events_are_the_same_however_they_arrive(events: list[list[str]], end: str, cuts: list[int]) -> None:
    text = "".join(
        f": comment{end}id: 7{end}event: message{end}" + "".join(f"data: {line}{end}" for line in event) + end
        for event in events
    )
    # A last line break of either kind may be half of another: something has to follow it.
    data = (text + ":").encode()
    reader = EventReader(10_000)
    found = [event for piece in pieces(data, cuts) for event in reader.feed(piece)]
    assert [event.data for event in found] == [event for lines in events if (event := "\n".join(lines).encode())]
    assert all(event.name == b"message" and event.size == len(event.data) for event in found)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["", "a", "endpoint"]), st.text("xyz", max_size=3)), max_size=5), CUTS)
def test_a_name_is_that_of_its_event_alone(events: list[tuple[str, str]], cuts: list[int]) -> None:
    text = "".join((f"event: {name}\n" if name else "") + f"data:{data}\n\n" for name, data in events)
    reader = EventReader(10_000)
    found = [event for piece in pieces(text.encode(), cuts) for event in reader.feed(piece)]
    wanted = [(name or "message", data) for name, data in events if data]
    assert found == [Event(name.encode(), data.encode(), len(data)) for name, data in wanted]


@settings(deadline=None)
@given(
    st.sampled_from([["<" + "x" * 300 + ">"], ["<" + "x" * 30, *["x" * 30] * 9, "x>"], ["<", "x" * 250, "", "x>"]]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(1, 70),
)
def test_of_an_event_too_long_its_length_and_both_ends_are_kept(lines: list[str], end: str, step: int) -> None:
    sent = "\n".join(lines)
    data = "".join(f"data: {line}{end}" for line in lines) + end + f": {'c' * 500}{end}data: next{end}{end}:"
    reader = EventReader(100)
    found = [event for at in range(0, len(data), step) for event in reader.feed(data[at : at + step].encode())]
    long, short = found
    assert long.size == len(sent) > 100 >= len(long.data)
    assert sent.startswith(long.data[:50].decode())
    assert sent.endswith(long.data[-50:].decode())
    assert short == Event(b"message", b"next", 4)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60).filter(lambda line: b"\n" not in line), max_size=6), CUTS)
def test_lines_are_the_same_however_they_arrive(lines: list[bytes], cuts: list[int]) -> None:
    data = b"".join(line + b"\n" for line in lines)
    reader = Lines(100)
    found = [line for piece in pieces(data, cuts) for line in reader.feed(piece)]
    assert found == [(line, len(line)) for line in lines]


@settings(deadline=None)
@given(st.integers(10_000, 40_000), st.integers(1, 9_000))
def test_of_a_line_too_long_its_length_and_both_ends_are_kept(size: int, step: int) -> None:
    line = b'{"jsonrpc":"2.0","id":12,' + b"x" * size + b',"id":34}'
    reader = Lines(9_000)
    found = [one for at in range(0, len(line), step) for one in reader.feed(line[at : at + step])]
    ((kept, length),) = found + reader.feed(b"\n")
    assert length == len(line) > len(kept)
    assert kept.startswith(line[:1000])
    assert kept.endswith(line[-1000:])
    assert reader.feed(b"next\n") == [(b"next", 4)]


@pytest.mark.parametrize(
    "line, number",
    [
        (b'{"jsonrpc":"2.0","id":12,"result":', 12),
        (b'{"id": 12, "result":', 12),
        (b'"}]},"jsonrpc":"2.0","id":12}', 12),
        (b'"}]}, "id" : 12 }', 12),
        (b'{"result":{"id":12,', None),
        (b'{"jsonrpc":"2.0","id":"12","result":', None),
        (b'"text,"id":12}', None),
        (b'{"jsonrpc":"2.0","id":99999999999999999999,"', None),
    ],
)
def test_an_unreadable_answer_is_attributed_by_its_ends_or_not_at_all(line: bytes, number: int | None) -> None:
    assert attributed(line, line) == number


@pytest.mark.holds("INV-03")
@settings(deadline=None)
@given(st.dictionaries(st.text(), JSON, max_size=4), st.sampled_from([MODERN, *LEGACY]), st.booleans())
def test_canonical_arguments_are_spliced_in_unmodified(arguments: dict[str, object], revision: str, meta: bool) -> None:
    written = canonical(arguments)
    outgoing = Outgoing(
        method="tools/call",
        name='na"me',
        arguments=Raw(written),
        meta={"traceparent": "é"} if meta else {},
        timeout_s=1,
    )
    body = request_bytes(3, "tools/call", params=call_params(outgoing, revision, token=1))
    said = msgspec.json.decode(body)
    assert b'"arguments":' + written in body
    assert said["params"]["arguments"] == msgspec.json.decode(written)
    assert (said["params"]["name"], said["id"], said["method"]) == ('na"me', 3, "tools/call")
    assert ("_meta" in said["params"]) == (meta or revision == MODERN)


@pytest.mark.parametrize("revision", [MODERN, LEGACY[0]])
def test_a_resource_is_asked_by_its_canonical_uri(revision: str) -> None:
    outgoing = Outgoing(method="resources/read", name="x://a", arguments=Raw(b'{"uri":"x://a"}'), meta={}, timeout_s=1)
    params = call_params(outgoing, revision, token=1)
    assert params.startswith(b'{"uri":"x://a"')
    assert msgspec.json.decode(params)["uri"] == "x://a"


@pytest.mark.parametrize(
    "bad", [b"", b"[]", b"{}", b'{"jsonrpc":"2.0"', b'{"jsonrpc":"2.0","id":"\xff"}', b"\xef\xbb\xbf{}"]
)
def test_what_is_not_json_rpc_is_not_read(bad: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(bad)


def test_a_request_with_an_absurd_id_is_not_answered() -> None:
    assert response_bytes(read(b'{"jsonrpc":"2.0","method":"ping","id":"' + b"x" * 500 + b'"}')) is None
    assert response_bytes(read(b'{"jsonrpc":"2.0","method":"ping","id":[1]}')) is None


@settings(deadline=None)
@given(st.text())
def test_a_header_value_survives_the_trip_and_never_breaks_a_line(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        return
    header = encoded(value)
    assert header.isascii()
    assert header.isprintable()
    assert decode_header_value(header) == value
    assert header == encode_header_value(value)
