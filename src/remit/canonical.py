"""One reading of JSON: strict in, canonical out.

Two parsers that read the same bytes differently are a policy bypass, so untrusted JSON is read here and
nowhere else. Refused: duplicate keys, NaN and infinities, integers beyond ±(2^53-1), lone surrogates, nesting
beyond `DEPTH_MAX`, anything after the value. `canonical` writes RFC 8785; a call is decided on what is
decoded from those bytes, so `1.0` has become `1` before anyone looks at it.

Example: `digest(canonical(parse(b'{"b": 1.0, "a": 2}')))` hashes `{"a":2,"b":1}`.
"""

import hashlib
import json
import re
from typing import Any, Final

import msgspec
import rfc8785

from remit.limits import BODY_BYTES_MAX, DEPTH_MAX, INTEGER_MAX
from remit.reasons import Denied, Reason

# RFC 8785 writes numbers below this without exponent, so a larger integer would come back as an unsafe one.
_WRITTEN_PLAIN_BELOW: Final = 1e21
_INTEGER_DIGITS_MAX: Final = len(str(INTEGER_MAX))
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{\]}]', re.DOTALL)


def parse(data: bytes, most: int = BODY_BYTES_MAX) -> Any:
    """Decode untrusted JSON, or raise `Denied` with a `call.*` reason. UTF-8 only (RFC 8259 section 8.1)."""
    if len(data) > most:
        raise Denied(Reason.CALL_TOO_LARGE, f"{len(data)} bytes, at most {most} are read")
    _check_depth(data)
    value = _quickly(data)
    if value is not _UNREAD:
        return value
    try:
        return _DECODER.decode(data.decode("utf-8"))
    except UnicodeDecodeError as e:
        raise Denied(Reason.CALL_MALFORMED, "not UTF-8") from e
    except json.JSONDecodeError as e:
        raise Denied(Reason.CALL_MALFORMED, f"not JSON: {e.msg.lower()} at character {e.pos}") from e
    except RecursionError as e:  # pragma: no cover - the depth check is stricter than the interpreter
        raise Denied(Reason.CALL_TOO_DEEP, "nested too deeply") from e


def canonical(value: Any) -> bytes:
    """RFC 8785 bytes of a JSON value, or raise `Denied` for what has no canonical form."""
    if _is_plain(value):
        # Over ASCII text and safe integers the sorted encoder writes what RFC 8785 asks for, many times faster.
        return _SORTED.encode(value)
    try:
        return rfc8785.dumps(value)
    except rfc8785.IntegerDomainError as e:
        raise Denied(Reason.CALL_INTEGER_UNSAFE, "an integer is beyond ±(2^53-1); send it as a string") from e
    except rfc8785.FloatDomainError as e:
        raise Denied(Reason.CALL_MALFORMED, "a number is not finite") from e
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as e:
        raise Denied(Reason.CALL_MALFORMED, "a string holds a lone surrogate") from e


def decode(canonical_bytes: bytes) -> Any:
    """Decode bytes that `canonical` wrote: trusted form, so the fast reader serves."""
    return msgspec.json.decode(canonical_bytes)


def digest(data: bytes) -> str:
    """`sha256:` and 64 lower-case hex digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest_of(value: Any) -> str:
    """Digest of a JSON value's canonical bytes."""
    return digest(canonical(value))


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is str:
        return bool(value.isascii())
    if kind is dict:
        for key, inner in value.items():
            if type(key) is not str or not key.isascii() or not _is_plain(inner):
                return False
        return True
    if kind is int:
        return bool(-INTEGER_MAX <= value <= INTEGER_MAX)
    if kind is list:
        return all(map(_is_plain, value))
    return kind is bool or value is None


def _quickly(data: bytes) -> Any:
    """The value, if writing it again gives these very bytes: then no key stood twice, no number was written otherwise.
    Else `_UNREAD`, also for digits that may be an unsafe integer's.
    """
    try:
        value = _QUICK.decode(data)
        same = msgspec.json.encode(value) == data
    except (Denied, msgspec.MsgspecError, ValueError, RecursionError):
        return _UNREAD
    return value if same and _MANY_DIGITS not in data.translate(_DIGITS) else _UNREAD


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise Denied(Reason.CALL_DUPLICATE_KEY, f"the key `{twice[:80]}` stands twice in one object")
    return found


def _integer(digits: str) -> int:
    # The length test first: int() of a million digits is quadratic.
    if len(digits.lstrip("-")) > _INTEGER_DIGITS_MAX or abs(int(digits)) > INTEGER_MAX:
        raise Denied(Reason.CALL_INTEGER_UNSAFE, "an integer is beyond ±(2^53-1); send it as a string")
    return int(digits)


def _real(digits: str) -> float:
    number = float(digits)
    if number.is_integer() and INTEGER_MAX < abs(number) < _WRITTEN_PLAIN_BELOW:
        raise Denied(Reason.CALL_INTEGER_UNSAFE, "an integer is beyond ±(2^53-1); send it as a string")
    return number


def _constant(name: str) -> Any:
    raise Denied(Reason.CALL_MALFORMED, f"`{name}` is not JSON")


def _check_depth(data: bytes) -> None:
    if data.count(b"[") + data.count(b"{") <= DEPTH_MAX:
        return
    depth = 0
    for token in _BRACKETS.finditer(data):
        mark = token[0]
        if mark in (b"[", b"{"):
            depth += 1
            if depth > DEPTH_MAX:
                raise Denied(Reason.CALL_TOO_DEEP, f"nested deeper than {DEPTH_MAX} levels")
        elif mark in (b"]", b"}"):
            depth -= 1


_UNREAD: Final = object()
_MANY_DIGITS: Final = b"0" * _INTEGER_DIGITS_MAX
_DIGITS: Final = bytes(ord("0") if chr(byte) in "0123456789" else byte for byte in range(256))
_QUICK: Final = msgspec.json.Decoder(float_hook=_real)
_SORTED: Final = msgspec.json.Encoder(order="sorted")
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_real, parse_constant=_constant
)
