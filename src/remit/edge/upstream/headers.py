"""HTTP headers a modern server checks against the body, made anew from what is sent.

A header a caller sent is never passed on. The value is what is decoded from the canonical arguments; the header's
name comes from the pinned contract's `x-mcp-header` (MCP 2026-07-28, transports, custom headers).
"""

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from remit.canonical import decode
from remit.catalogue.model import Contract
from remit.forward.model import Outgoing
from remit.reasons import Denied, Reason

_ANNOTATION: Final = "x-mcp-header"
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_PLAIN: Final = re.compile(r"[!-~]([ -~]*[!-~])?\Z")
_SENTINEL: Final = re.compile(r"=\?base64\?.*\?=\Z")
_TYPES: Final = frozenset({"string", "integer", "boolean"})

Places = tuple[tuple[tuple[str, ...], str], ...]

_KNOWN_MAX: Final = 8192
_known: Final[dict[str, Places]] = {}


def call_headers(outgoing: Outgoing, contract: Contract) -> dict[str, str]:
    """`Mcp-Name` (about an operation: what its server calls it) and every `Mcp-Param-…` of one call, or `Denied` for a
    contract whose annotations are invalid.
    """
    if outgoing.operation:
        return {"Mcp-Name": encoded(outgoing.operation)}
    headers = {"Mcp-Name": encoded(outgoing.name)}
    if contract.kind == "tool" and (mirrored := _places_of(contract)):
        arguments = decode(bytes(outgoing.arguments))
        for path, name in mirrored:
            if (text := _text(_at(arguments, path))) is not None:
                headers[name] = encoded(text)
    return headers


def encoded(value: str) -> str:
    """The value as it may stand in a header: itself when printable ASCII, else in the base64 sentinel."""
    if (not value or _PLAIN.match(value)) and not _SENTINEL.match(value):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode('ascii')}?="


def places(schema: Any) -> Places:
    """Path and header of every annotated property; raises `Denied` for an annotation a client must not honour."""
    found: dict[str, tuple[str, ...]] = {}
    for path, node in _properties(schema, ()):
        if _ANNOTATION not in node:
            continue
        name, kind = node[_ANNOTATION], node.get("type")
        valid = isinstance(name, str) and _TOKEN.match(name) and isinstance(kind, str) and kind in _TYPES
        if not valid or name.lower() in {known.lower() for known in found}:
            raise Denied(
                Reason.SCHEMA_QUARANTINED, f"the contract's `{_ANNOTATION}` at `{'/'.join(path)[:80]}` is invalid"
            )
        found[name] = path
    return tuple((path, f"Mcp-Param-{name}") for name, path in found.items())


def _places_of(contract: Contract) -> Places:
    """Worked out once per contract; the memory is emptied when it has grown to its bound."""
    known = _known.get(contract.digest)
    if known is None:
        if len(_known) >= _KNOWN_MAX:
            _known.clear()
        known = _known[contract.digest] = places(contract.body.get("inputSchema"))
    return known


def _properties(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    properties = node.get("properties") if isinstance(node, Mapping) else None
    for key, inner in properties.items() if isinstance(properties, Mapping) else ():
        if isinstance(inner, Mapping):
            yield (*path, key), inner
            yield from _properties(inner, (*path, key))


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int) else None
