"""Header and body of a modern request have to say the same. Source: MCP 2026-07-28, Streamable HTTP.

A proxy in front routes and filters on headers, the gateway decides on the body: were they to differ, each would have
seen another request. `MCP-Protocol-Version`, `Mcp-Method` and `Mcp-Name` repeat the body's members, `Mcp-Param-*`
the arguments whose schema says `x-mcp-header`. Decisions are made on the body alone.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from remit.edge.mcp.rpc import Fault, Message
from remit.edge.mcp.wire import MODERN, NAMED, SERVED, Code, Meta
from remit.reasons import Reason

_SENTINEL: Final = re.compile(r"=\?base64\?(.*)\?=\Z", re.DOTALL)
_PLAIN: Final = re.compile(r"[ -~]*\Z")
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_DECIMAL: Final = re.compile(r"(-?[0-9]{1,20})(?:\.0{1,20})?\Z")
_MIRRORABLE: Final = ("string", "integer", "boolean")
_ABSENT: Final = object()


class Mirrored(Struct, frozen=True):
    """One argument that a header repeats: its path from the arguments' root, the header's name, its schema type."""

    path: tuple[str, ...]
    header: str
    kind: str


def agreed(message: Message, headers: Mapping[str, str]) -> str:
    """The revision of a modern request whose parts agree, or `Fault`.

    In this order, as the official SDK does: required `_meta`, headers against body, revision served.
    """
    meta = message.meta
    missing = [key for key in (Meta.VERSION, Meta.CLIENT_CAPABILITIES) if key not in meta]
    if missing:
        raise Fault(400, Code.INVALID_PARAMS, message=f"`_meta` lacks `{missing[0]}`")
    version = meta[Meta.VERSION]
    _same(headers.get("mcp-protocol-version"), version, name="MCP-Protocol-Version")
    _same(headers.get("mcp-method"), message.method, name="Mcp-Method")
    member = NAMED.get(message.method)
    if member is not None:
        named = (message.params or {}).get(member)
        if named is not None or "mcp-name" in headers:
            _same(decoded(headers.get("mcp-name")), named, name="Mcp-Name")
    if version not in MODERN:
        raise unsupported(version)
    if not isinstance(meta[Meta.CLIENT_CAPABILITIES], dict):
        raise Fault(400, Code.INVALID_PARAMS, message=f"`{Meta.CLIENT_CAPABILITIES}` has to be an object")
    return str(version)


def unsupported(version: str) -> Fault:
    """The refusal of a revision, which tells the client those it can choose from."""
    about = {"supported": list(SERVED), "requested": version[:80]}
    return Fault(400, Code.UNSUPPORTED_VERSION, message="this protocol version is not served").carrying(about)


def agrees(mirrored: tuple[Mirrored, ...], arguments: Mapping[str, Any], *, headers: Mapping[str, str]) -> None:
    """Each mirrored argument and its header are both absent, or equal; else `Fault`."""
    for one in mirrored:
        value = _at(arguments, one.path)
        header = headers.get(f"mcp-param-{one.header.lower()}")
        written = None if value is None else rendered(value)
        if header is None and written is None:
            continue
        given = decoded(header)
        if given is None or written is None or not _equal(given, written, kind=one.kind):
            raise _mismatch(f"Mcp-Param-{one.header}")


def mirrored_by(schema: Any) -> tuple[Mirrored, ...]:
    """What an input schema says is repeated in headers; nothing if it says it wrongly (clients drop such a tool)."""
    found: list[Mirrored] = []
    for path, property_schema in _properties(schema, ()):
        header = property_schema.get("x-mcp-header", _ABSENT)
        if header is _ABSENT:
            continue
        kind = property_schema.get("type")
        if not isinstance(header, str) or not _TOKEN.match(header) or kind not in _MIRRORABLE:
            return ()
        found.append(Mirrored(path, header, str(kind)))
    names = {one.header.lower() for one in found}
    return tuple(found) if len(names) == len(found) else ()


def mirror(mirrored: tuple[Mirrored, ...], arguments: Mapping[str, Any]) -> dict[str, str]:
    """The `Mcp-Param-*` headers a client sends with these arguments."""
    values = ((one.header, rendered(_at(arguments, one.path))) for one in mirrored)
    return {f"Mcp-Param-{header}": encoded(value) for header, value in values if value is not None}


def encoded(value: str) -> str:
    """A header value, in MCP's base64 form if it would not travel as it is."""
    if _PLAIN.match(value) and value == value.strip() and not _SENTINEL.match(value):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def decoded(header: str | None) -> str | None:
    """What a header value stands for; None for a base64 form that is not the canonical one."""
    found = _SENTINEL.match(header) if header is not None else None
    if found is None:
        return header
    try:
        data = base64.b64decode(found[1], validate=True)
        return data.decode() if base64.b64encode(data).decode() == found[1] else None
    except (binascii.Error, ValueError):
        return None


def rendered(value: Any) -> str | None:
    """An argument as a header says it; None for what no header can."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def _same(header: str | None, value: Any, *, name: str) -> None:
    if header is None or header != value:
        raise _mismatch(name)


def _mismatch(name: str) -> Fault:
    return Fault(
        400, Code.HEADER_MISMATCH, message=f"the header `{name}` and the body disagree", reason=Reason.CALL_MISMATCH
    )


def _equal(given: str, written: str, *, kind: str) -> bool:
    if kind == "integer":
        left, right = _DECIMAL.match(given), _DECIMAL.match(written)
        if left and right:
            return int(left[1]) == int(right[1])
    return given == written


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _properties(schema: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Every property reachable by `properties` alone: elsewhere an annotation has no single value to repeat."""
    inner = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(inner, Mapping):
        return
    for name, property_schema in inner.items():
        if isinstance(property_schema, Mapping):
            yield (*path, name), property_schema
            yield from _properties(property_schema, (*path, name))
