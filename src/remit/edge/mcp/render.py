"""What the client is shown: a refusal in plain words, or the upstream's result, labelled, in the client's revision.

A refusal says what was refused, whether trying again helps and what to do instead; identical input gives identical
text. Reasons that must look alike are rendered as one, without detail and without a receipt's name, byte for byte.
A result is passed on as the bytes it came as: only its outermost members are looked at.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from remit.answer import Accepted, Asking, Followed, Question, Refusal, Released
from remit.edge.mcp.rpc import Id, Message, error, result
from remit.edge.mcp.wire import Code, Meta
from remit.reasons import WORDS, Reason

# Reasons told apart by nobody outside: those shown as another, and that other itself.
_ALIKE: Final = frozenset(
    {reason for reason, words in WORDS.items() if words.like}
    | {words.like for words in WORDS.values() if words.like}
    | {Reason.CALL_OPERATION}
)
_MODERN_ONLY: Final = ("resultType", "ttlMs", "cacheScope", "inputRequests", "requestState")
_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw])
_COMPLETE: Final = Raw(b'"complete"')
_PRIVATE: Final = Raw(b'"private"')
_AT_ONCE: Final = Raw(b"0")
# The older generation's way to say of which task a result is: it would tell the server's own name for it.
_RELATED_TASK: Final = "io.modelcontextprotocol/related-task"
# Results a modern client may cache, so they say for whom and how long.
_CACHEABLE: Final = frozenset({"resources/read"})


class Renderer:
    """Writes answers for one server name and version."""

    def __init__(self, version: str) -> None:
        self.info: Final = {"name": "remit", "version": version}
        self._info = Raw(msgspec.json.encode(self.info))

    def complete(self, members: dict[str, Any], *, modern: bool, ttl_ms: int | None = None) -> dict[str, Any]:
        """A result of the gateway's own; `ttl_ms` for those a modern client may cache, always for itself only."""
        if not modern:
            return members
        cache = {} if ttl_ms is None else {"ttlMs": ttl_ms, "cacheScope": "private"}
        meta = {**members.get("_meta", {}), Meta.SERVER_INFO: self.info}
        return {**members, **cache, "resultType": "complete", "_meta": meta}

    def refusal(self, message: Message, refusal: Refusal, *, modern: bool) -> bytes:
        """The response for a call that did not pass, or whose result is withheld."""
        request_id, method = message.id, message.method
        uri = (message.params or {}).get("uri")
        about = {"uri": uri} if isinstance(uri, str) and refusal.reason in _ALIKE else {}
        decision = _decision(refusal)
        text = _text(refusal)
        if method != "tools/call":
            # What is not there is said as the protocol says it (MCP 2026-07-28, resources, error handling).
            code = Code.INVALID_PARAMS if refusal.reason in _ALIKE else Code.REFUSED
            return error(request_id, code, message=text, data={Meta.DECISION: decision, **about})
        return result(request_id, self.complete(_told(text, decision), modern=modern))

    def asking(self, request_id: Id | None, asking: Asking, *, state: str) -> bytes:
        """The response to a modern client whose call goes on once it has answered; `state` is what it sends back."""
        members = {
            "resultType": "input_required",
            "inputRequests": _questions(asking.questions),
            "requestState": state,
            "_meta": {Meta.LABELS: asking.labels, Meta.SERVER_INFO: self._info},
        }
        return result(request_id, members)

    def accepted(self, request_id: Id | None, accepted: Accepted) -> bytes:
        """The response for a call that ends later, under the gateway's name for it."""
        members = {"taskId": accepted.operation, **msgspec.to_builtins(accepted.about), "resultType": "task"}
        meta = {Meta.LABELS: accepted.labels, Meta.SERVER_INFO: self._info}
        return result(request_id, {**members, "_meta": meta})

    def followed(self, request_id: Id | None, followed: Followed) -> bytes:
        """The response that says how it stands with such a call, with what came of it once it has ended."""
        members = {"taskId": followed.operation, **msgspec.to_builtins(followed.about), **_came_of(followed)}
        if followed.questions is not None:
            members["inputRequests"] = _questions(followed.questions)
        meta = {Meta.LABELS: followed.labels, Meta.SERVER_INFO: self._info}
        return result(request_id, {**members, "resultType": "complete", "_meta": meta})

    def released(self, request_id: Id | None, released: Released, *, method: str, modern: bool) -> bytes:
        """The response for a call whose result the agent may see. The labels are the gateway's word, never the
        upstream's: what it says under `io.remit/` or of the server the client talks to is dropped.
        """
        if released.error is not None:
            return error(request_id, released.error.code, message=released.error.message, data=_about(released))
        members, meta = _labelled(released)
        if modern:
            members.setdefault("resultType", _COMPLETE)
            meta[Meta.SERVER_INFO] = self._info
            if method in _CACHEABLE:
                members.setdefault("ttlMs", _AT_ONCE)
                members["cacheScope"] = _PRIVATE
        else:
            for member in _MODERN_ONLY:
                members.pop(member, None)
        members["_meta"] = Raw(msgspec.json.encode(meta))
        return result(request_id, members)


def _labelled(released: Released) -> tuple[dict[str, Raw], dict[str, Raw]]:
    """A result's members and its `_meta`, with our labels in it."""
    members = _MEMBERS.decode(released.result)
    meta = {key: value for key, value in _meta(members).items() if not _reserved(key)}
    meta[Meta.LABELS] = Raw(msgspec.json.encode(released.labels))
    return members, meta


def _questions(questions: Mapping[str, Question]) -> dict[str, Any]:
    return {key: {"method": one.method, "params": one.params} for key, one in questions.items()}


def _came_of(followed: Followed) -> dict[str, Any]:
    ended = followed.ended
    if ended is None:
        return {}
    if isinstance(ended, Refusal):
        return {"result": _told(_text(ended), _decision(ended))}
    if ended.error is not None:
        return {"error": {"code": ended.error.code, "message": ended.error.message, "data": _about(ended)}}
    members, meta = _labelled(ended)
    meta.pop(_RELATED_TASK, None)
    return {"result": {**members, "_meta": meta}}


def _told(text: str, decision: dict[str, Any]) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": True, "_meta": {Meta.DECISION: decision}}


def _about(released: Released) -> dict[str, Any]:
    """What a server's error says of itself, labelled; ours is the last word."""
    said = bytes(released.error.data) if released.error else b""
    members: dict[str, Any] = {"data": Raw(said)} if said else {}
    if said.startswith(b"{"):
        members = {key: value for key, value in _MEMBERS.decode(said).items() if not _reserved(key)}
    return members | {Meta.LABELS: released.labels}


def _meta(members: dict[str, Raw]) -> dict[str, Raw]:
    try:
        return _MEMBERS.decode(members.get("_meta", b"{}"))
    except msgspec.DecodeError:
        return {}


def _reserved(key: str) -> bool:
    return key.startswith(Meta.OWN) or key == Meta.SERVER_INFO


def _shown(refusal: Refusal) -> Reason:
    return WORDS[refusal.reason].like or refusal.reason


def _text(refusal: Refusal) -> str:
    words = WORDS[_shown(refusal)]
    detail = "" if refusal.reason in _ALIKE or not refusal.detail else f" ({refusal.detail})"
    again = "The same call may pass later." if words.retry else "The same call will not pass later."
    return f"Refused: {words.text}{detail}. {again} Instead: {words.advice}."


def _decision(refusal: Refusal) -> dict[str, Any]:
    shown = _shown(refusal)
    alike = refusal.reason in _ALIKE
    return {
        "verdict": "DENY" if alike else refusal.verdict,
        "reason": shown,
        "retryable": WORDS[shown].retry,
        "receipt": "" if alike else refusal.receipt,
        "approvals": () if alike else refusal.approvals,
    }
