"""Step 1, the answer: decode an ask, refuse what is not one."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from remit.call.model import METHODS, Ask, Call, Kind, Method, Round
from remit.canonical import canonical, decode as decode_canonical, digest
from remit.limits import ARGUMENTS_BYTES_MAX, NAME_CHARS_MAX, URI_CHARS_MAX
from remit.reasons import Denied, Reason

# MCP 2025-11-25 recommends A-Z a-z 0-9 _ - . for tool names; a slash is allowed there and separates connectors
# here. Anything outside ASCII is refused, so no homoglyph of a tool's name is ever compared with it.
_NAME: Final = re.compile(r"[A-Za-z0-9_.\-/]+\Z")
_CONNECTOR: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")
_URI: Final = re.compile(r"[!-~]+\Z")
_ADDRESSED: Final = frozenset({"name", "arguments", "_meta"})
_LOCATED: Final = frozenset({"uri", "_meta"})
# What a retry carries beside the call itself (MCP 2026-07-28, multi round-trip requests).
_RETRIED: Final = frozenset({"inputResponses", "requestState"})
_KNOWN: Final[dict[str, frozenset[str]]] = {
    "tools/call": _ADDRESSED | _RETRIED,
    "prompts/get": _ADDRESSED | _RETRIED,
    "resources/read": _LOCATED | _RETRIED,
    "resources/subscribe": _LOCATED,
    "resources/unsubscribe": _LOCATED,
    "completion/complete": frozenset({"ref", "argument", "context", "_meta"}),
    # Answers to an operation's questions: its call again, with them.
    "tasks/update": _ADDRESSED | _RETRIED,
}


class _Digested(Struct, frozen=True, kw_only=True):
    """What a call's digest is over, its members in RFC 8785's order; strings are written as there."""

    arguments: Raw
    connector: str
    contract: str
    inputResponses: Raw | UnsetType  # noqa: N815 - MCP's spelling
    method: str
    name: str
    operation: str | UnsetType
    questions: str | UnsetType
    task: str


class _Address(NamedTuple):
    """Where a call goes, what it is called with, and what of that catalogue and policy see as its arguments."""

    kind: Kind
    name: Any
    given: dict[str, Any]
    shown: dict[str, Any] | None = None


def decode(ask: Ask, call_id: str) -> Call:
    """The call an ask holds, or `Denied` with a `call.*` reason. Pure; `call_id` is given by the shell."""
    if ask.method not in METHODS:
        raise Denied(Reason.CALL_METHOD, f"`{ask.method[:80]}` is not a governed method")
    operation = ask.round.operation if ask.round is not None else ""
    if (ask.method == "tasks/update") != bool(operation):
        raise Denied(Reason.CALL_METHOD, "answers to an operation are given to that operation")
    params = _object(ask.params, "params")
    unknown = params.keys() - _KNOWN[ask.method]
    if unknown:
        raise Denied(Reason.CALL_MALFORMED, f"unknown member `{min(unknown)[:80]}` of params")
    address = _addressed(ask.method, params)
    connector, name = _named(ask.connector, address)
    written = canonical(_sent(address, name))
    if len(written) > ARGUMENTS_BYTES_MAX:
        raise Denied(Reason.CALL_TOO_LARGE, f"{len(written)} bytes of arguments, at most {ARGUMENTS_BYTES_MAX}")
    arguments = decode_canonical(written)
    _refuse_escapes(arguments)
    return Call(
        id=call_id,
        method=ask.method,  # type: ignore[arg-type]  # a member of METHODS
        kind=address.kind,
        connector=connector,
        name=name,
        arguments=arguments,
        shown=arguments if address.shown is None else address.shown,
        canonical=Raw(written),
        meta=_object(params.get("_meta"), "_meta"),
        answers=_answers(params, ask),
        round=ask.round,
        operation=operation,
        questions=ask.round.questions if ask.round is not None else "",
    )


def recalled(method: Method, connector: str, *, name: str, kept: Mapping[str, bytes]) -> Call:
    """The call a receipt is of, from what was kept beside it: `arguments`, and `answers` if there were any."""
    arguments = decode_canonical(kept["arguments"])
    address = _addressed(method, arguments if method == "completion/complete" else {})
    return Call(
        id="",
        method=method,
        kind=address.kind,
        connector=connector,
        name=name,
        arguments=arguments,
        shown=arguments if address.shown is None else address.shown,
        canonical=Raw(kept["arguments"]),
        meta={},
        answers=Raw(kept["answers"]) if "answers" in kept else None,
        operation=kept.get("operation", b"").decode(),
        questions=kept.get("questions", b"").decode(),
    )


def call_digest(call: Call, *, task: str, contract: str) -> str:
    """The digest that binds approval, warrant, receipt and the bytes sent. Source: design, vocabulary `Call`.

    SHA-256 over RFC 8785 of {task, method, connector, name, contract, arguments, inputResponses, questions, operation},
    the last three only if there are any; `contract` is the pinned contract's digest, `questions` that of what the
    answers are to. What was written in step 1 is spliced in, not written again.
    """
    return _digest(call, call.answers, task=task, contract=contract)


def continued(call: Call, *, task: str, contract: str, principal: str, now: int) -> Round | None:
    """The round a call goes on with; None for a call that answers nothing.

    Raises `Denied(call.answer)` unless the same caller was asked about this very call and the questions still wait.
    """
    about = call.round
    if about is None:
        return None
    first = msgspec.structs.replace(call, method="tools/call", operation="") if call.operation else call
    if about.principal != principal or about.digest != _digest(first, None, task=task, contract=contract):
        raise Denied(Reason.CALL_ANSWER, "they belong to another call")
    if now >= about.expires:
        raise Denied(Reason.CALL_ANSWER, "they come too late")
    return about


def _digest(call: Call, answers: Raw | None, *, task: str, contract: str) -> str:
    return digest(
        msgspec.json.encode(
            _Digested(
                arguments=call.canonical,
                connector=call.connector,
                contract=contract,
                inputResponses=UNSET if answers is None else answers,
                method=call.method,
                name=call.name,
                operation=call.operation or UNSET,
                questions=call.questions if call.questions and answers is not None else UNSET,
                task=task,
            )
        )
    )


def _addressed(method: str, params: dict[str, Any]) -> _Address:
    if method == "completion/complete":
        return _completion(params)
    if "uri" in _KNOWN[method]:
        return _Address("resource", params.get("uri"), {})
    kind: Kind = "prompt" if method == "prompts/get" else "tool"
    return _Address(kind, params.get("name"), _object(params.get("arguments"), "arguments"))


def _completion(params: dict[str, Any]) -> _Address:
    """A completion is about a prompt or a template, and shows what was filled in so far."""
    ref, argument = _object(params.get("ref"), "ref"), _object(params.get("argument"), "argument")
    context = _object(params.get("context"), "context")
    known = _object(context.get("arguments"), "context.arguments")
    name, value = argument.get("name"), argument.get("value")
    if not isinstance(name, str) or not isinstance(value, str):
        raise Denied(Reason.CALL_MALFORMED, "`argument` has `name` and `value`, both text")
    given: dict[str, Any] = {key: params[key] for key in ("ref", "argument", "context") if key in params}
    if ref.get("type") == "ref/resource":
        return _Address("resource", ref.get("uri"), given, {"uri": ref.get("uri")})
    if ref.get("type") == "ref/prompt":
        return _Address("prompt", ref.get("name"), given, {**known, name: value})
    raise Denied(Reason.CALL_MALFORMED, "`ref` is a `ref/prompt` or a `ref/resource`")


def _named(connector: str | None, address: _Address) -> tuple[str, str]:
    name, located = address.name, address.kind == "resource"
    if not isinstance(name, str) or not name:
        raise Denied(Reason.CALL_NAME, "the name is missing")
    if connector is None:
        if located:
            raise Denied(Reason.CALL_METHOD, "resources are served at their connector's own endpoint")
        connector, _, name = name.partition("/")
    most, shape = (URI_CHARS_MAX, _URI) if located else (NAME_CHARS_MAX, _NAME)
    if not _CONNECTOR.match(connector) or len(name) > most or not shape.match(name):
        raise Denied(Reason.CALL_NAME, "names are ASCII letters, digits and `_ - . /`")
    return connector, name


def _sent(address: _Address, name: str) -> dict[str, Any]:
    """What a call is called with, under the server's own name for what it names."""
    if address.shown is None:
        return {"uri": name} if address.kind == "resource" else address.given
    if address.kind == "prompt":
        return {**address.given, "ref": {**address.given["ref"], "name": name}}
    return address.given


def _answers(params: dict[str, Any], ask: Ask) -> Raw | None:
    """What the client answers, as it will be sent on: exactly to what was asked, or `Denied`."""
    given = params.get("inputResponses", {})
    if not isinstance(given, dict) or not all(isinstance(answer, dict) for answer in given.values()):
        raise Denied(Reason.CALL_ANSWER, "`inputResponses` holds an object for each question")
    if ask.round is None:
        # Nothing was asked, so nothing is answered: what was made up is left out, and the server asks, if it wants to.
        return None
    for key, answer in given.items():
        # What was not asked is left out below, as the protocol has it; what was asked has to have its method's shape.
        if key in ask.round.asked and not _answers_to(ask.round.asked[key], answer):
            raise Denied(Reason.CALL_ANSWER, f"`{key[:80]}` is no answer to `{ask.round.asked[key]}`")
    written = canonical({key: answer for key, answer in given.items() if key in ask.round.asked})
    if len(written) > ARGUMENTS_BYTES_MAX:
        raise Denied(Reason.CALL_TOO_LARGE, f"{len(written)} bytes of answers, at most {ARGUMENTS_BYTES_MAX}")
    return Raw(written)


def _answers_to(method: str, answer: dict[str, Any]) -> bool:
    match method:
        case "elicitation/create":
            return answer.get("action") in ("accept", "decline", "cancel") or _is_error(answer)
        case "sampling/createMessage":
            return {"role", "content", "model"} <= answer.keys() or _is_error(answer)
        case _:
            return isinstance(answer.get("roots"), list) or _is_error(answer)


def _is_error(answer: dict[str, Any]) -> bool:
    """A client of the session wire may answer that it does no such thing."""
    error = answer.get("error")
    return (
        len(answer) == 1
        and isinstance(error, dict)
        and isinstance(error.get("code"), int)
        and isinstance(error.get("message"), str)
    )


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
