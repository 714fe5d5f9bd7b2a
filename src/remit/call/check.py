"""Step 1, the answer: decode an ask, refuse what is not one."""

import re
from typing import Any, Final

from msgspec import Raw

from remit.call.model import METHODS, Ask, Call
from remit.canonical import canonical, decode as decode_canonical, digest
from remit.limits import ARGUMENTS_BYTES_MAX, NAME_CHARS_MAX, URI_CHARS_MAX
from remit.reasons import Denied, Reason

# MCP 2025-11-25 recommends A-Z a-z 0-9 _ - . for tool names; a slash is allowed there and separates connectors
# here. Anything outside ASCII is refused, so no homoglyph of a tool's name is ever compared with it.
_NAME: Final = re.compile(r"[A-Za-z0-9_.\-/]+\Z")
_CONNECTOR: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")
_URI: Final = re.compile(r"[!-~]+\Z")
_KNOWN: Final[dict[str, frozenset[str]]] = {
    "tools/call": frozenset({"name", "arguments", "_meta"}),
    "prompts/get": frozenset({"name", "arguments", "_meta"}),
    "resources/read": frozenset({"uri", "_meta"}),
}


def decode(ask: Ask, call_id: str) -> Call:
    """The call an ask holds, or `Denied` with a `call.*` reason. Pure; `call_id` is given by the shell."""
    if ask.method not in METHODS:
        raise Denied(Reason.CALL_METHOD, f"`{ask.method[:80]}` is not a governed method")
    params = _object(ask.params, "params")
    unknown = params.keys() - _KNOWN[ask.method]
    if unknown:
        raise Denied(Reason.CALL_MALFORMED, f"unknown member `{min(unknown)[:80]}` of params")
    connector, name = _address(ask, params)
    given = {"uri": name} if ask.method == "resources/read" else _object(params.get("arguments"), "arguments")
    written = canonical(given)
    if len(written) > ARGUMENTS_BYTES_MAX:
        raise Denied(Reason.CALL_TOO_LARGE, f"{len(written)} bytes of arguments, at most {ARGUMENTS_BYTES_MAX}")
    arguments = decode_canonical(written)
    _refuse_escapes(arguments)
    return Call(
        id=call_id,
        method=ask.method,  # type: ignore[arg-type]  # a member of METHODS
        connector=connector,
        name=name,
        arguments=arguments,
        canonical=Raw(written),
        meta=_object(params.get("_meta"), "_meta"),
    )


def call_digest(call: Call, *, task: str, contract: str) -> str:
    """The digest that binds approval, warrant, receipt and the bytes sent. Source: design, vocabulary `Call`.

    SHA-256 over RFC 8785 of {task, method, connector, name, contract, arguments}; `contract` is the pinned
    contract's digest. The arguments are spliced in as written in step 1, not written again.
    """
    head = canonical({"connector": call.connector, "contract": contract, "method": call.method, "name": call.name})
    # Keys in RFC 8785 order: "arguments" sorts before "connector", "task" after "name".
    return digest(b'{"arguments":' + bytes(call.canonical) + b"," + head[1:-1] + b',"task":' + canonical(task) + b"}")


def _address(ask: Ask, params: dict[str, Any]) -> tuple[str, str]:
    name = params.get("uri" if ask.method == "resources/read" else "name")
    if not isinstance(name, str) or not name:
        raise Denied(Reason.CALL_NAME, "the name is missing")
    connector = ask.connector
    if connector is None:
        if ask.method == "resources/read":
            raise Denied(Reason.CALL_METHOD, "resources are read at their connector's own endpoint")
        connector, _, name = name.partition("/")
    most, shape = (URI_CHARS_MAX, _URI) if ask.method == "resources/read" else (NAME_CHARS_MAX, _NAME)
    if not _CONNECTOR.match(connector) or len(name) > most or not shape.match(name):
        raise Denied(Reason.CALL_NAME, "names are ASCII letters, digits and `_ - . /`")
    return connector, name


def _object(value: Any, what: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Denied(Reason.CALL_MALFORMED, f"`{what}` has to be an object")
    return value


def _refuse_escapes(value: Any) -> None:
    """Cedar reads `__entity`, `__extn` and `__expr` in JSON as its own; no argument may speak for it.

    An integer that is still a float here is one that RFC 8785 writes with an exponent: beyond the safe ones.
    """
    if isinstance(value, float) and value.is_integer():
        raise Denied(Reason.CALL_INTEGER_UNSAFE, "an integer is beyond ±(2^53-1); send it as a string")
    if isinstance(value, dict):
        for key, inner in value.items():
            if key.startswith("__"):
                raise Denied(Reason.CALL_ESCAPE, f"the key `{key[:80]}` is reserved")
            _refuse_escapes(inner)
    elif isinstance(value, list):
        for inner in value:
            _refuse_escapes(inner)
