"""One reading of JSON, one writing of it: the quick way writes exactly what RFC 8785 does."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given, settings, strategies as st

from remit.canonical import _DECODER, canonical, decode, digest, digest_of, parse
from remit.limits import INTEGER_MAX
from remit.reasons import Denied, Reason

_TEXT = st.text(st.characters(exclude_categories=()), max_size=8) | st.sampled_from(
    ["\x00", "\b\t\n\f\r\x1f", '"\\/', "\x7f", "\u2028", "é", "\U0001f600", "\ue000", "\ufeff", "a\u0301"]
)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-INTEGER_MAX, INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT
)
_JSON = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4), max_leaves=12
)


def oracle(value: Any) -> bytes | None:
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        return None


@settings(max_examples=2000)
@given(_JSON)
def test_the_canonical_form_is_rfc_8785s(value: Any) -> None:
    expected = oracle(value)
    if expected is None:
        with pytest.raises(Denied):
            canonical(value)
    else:
        assert canonical(value) == expected


@given(_JSON)
def test_writing_and_reading_again_changes_nothing_more(value: Any) -> None:
    if oracle(value) is None:
        return
    written = canonical(value)
    try:
        again = parse(written)
    except Denied:  # a float so large that it reads as an unsafe integer
        assert "e" in repr(value) or any(len(part) > 15 for part in written.decode().split(","))
        return
    assert canonical(again) == written
    assert canonical(decode(written)) == written


@given(st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=3), st.integers(0, 9), max_size=9))
def test_order_and_spelling_of_the_source_do_not_matter(value: dict[str, int]) -> None:
    backwards = json.dumps(dict(reversed(value.items())), indent=2).encode()
    assert canonical(parse(backwards)) == canonical(value)
    assert digest_of(value) == digest(canonical(parse(backwards)))


@pytest.mark.parametrize("code", range(256))
def test_every_byte_sized_character_is_escaped_as_the_rfc_says(code: int) -> None:
    value = {f"k{chr(code)}": [chr(code), f"a{chr(code)}b"]}
    assert canonical(value) == rfc8785.dumps(value)
    assert msgspec.json.decode(canonical(value)) == value


@pytest.mark.parametrize("value", [True, 1, {"a": True}, {"a": 1}, [1, True, "1", None, {}, []]])
def test_what_looks_alike_in_python_stays_apart(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [INTEGER_MAX + 1, {"a": [-INTEGER_MAX - 1]}, {1: "a"}, {"a": (1,)}, object(), b"a"])
def test_what_is_no_json_has_no_form(value: Any) -> None:
    expected = oracle(value)
    if expected is None:
        with pytest.raises(Denied):
            canonical(value)
    else:
        assert canonical(value) == expected


_NUMBERS = ["1", "-0", "0", "1.0", "1.5", "-0.0", "1e3", "1E16", "1e16", "1e400", "NaN", "0.1234567890123456"]
_LARGE = ["9007199254740991", "9007199254740992", "-9007199254740993"]
_TOKENS = st.sampled_from([*_NUMBERS, *_LARGE, '"a"', '"\\u0061"', '"\\ud800"', '"é"', '"\x7f"', '"a:b"', "null"])
_KEYS = st.sampled_from(['"a"', '"b"', '"\\u0061"', '"é"', '""'])
_WRITTEN = st.recursive(
    _TOKENS,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda them: f"[{','.join(them)}]")
        | st.lists(st.tuples(_KEYS, inner), max_size=3).map(
            lambda them: f"{{{','.join(f'{key}:{value}' for key, value in them)}}}"
        )
    ),
    max_leaves=6,
)


def read(reader: Callable[[], Any]) -> str:
    try:
        return repr(reader())
    except Denied as no:
        return no.reason
    except ValueError:
        return Reason.CALL_MALFORMED


@settings(max_examples=2000)
@given(_WRITTEN | _JSON.map(lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))))
def test_what_is_read_quickly_is_what_the_strict_reader_reads(text: str) -> None:
    data = text.encode(errors="replace")
    assert read(lambda: parse(data)) == read(lambda: _DECODER.decode(data.decode()))


@given(st.binary(max_size=8).map(lambda some: b'["' + some + b'"]') | st.binary(max_size=8))
def test_no_bytes_are_read_quickly_that_are_not_read_strictly(data: bytes) -> None:
    assert read(lambda: parse(data)) == read(lambda: _DECODER.decode(data.decode()))
