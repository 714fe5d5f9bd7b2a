"""A simulated gateway behind a real door: two agents, one connector in reach, one not, and what was asked on record."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from remit.answer import Asking, Question, Refusal, Released, ServerError
from remit.call import Ask, Call, Round, decode
from remit.canonical import digest_of
from remit.case import Hears
from remit.catalogue.model import Contract, ContractKind
from remit.edge.mcp.leaving import Cancelled
from remit.identity.model import Principal
from remit.reasons import Denied, Reason

ADA, BOB = "token-of-ada", "token-of-bob"
_AGENTS = {ADA: "ada", BOB: "bob"}
_BAD = {"expired": Reason.IDENTITY_EXPIRED, "revoked": Reason.IDENTITY_REVOKED, "person": Reason.IDENTITY_DOOR}
_TEXT: dict[str, Any] = {"type": "object", "properties": {"text": {"type": "string"}}}
_ROUTED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
    },
}


def contract(connector: str, kind: ContractKind, name: str, **body: Any) -> Contract:
    whole = {"name": name, **body}
    return Contract(connector=connector, kind=kind, name=name, body=whole, digest=digest_of(whole))


def tool(connector: str, name: str, schema: Mapping[str, Any] = _TEXT) -> Contract:
    return contract(connector, "tool", name, description=f"{name} of {connector}", inputSchema=schema)


CONTRACTS = (
    tool("notes", "echo"),
    tool("notes", "fail"),
    tool("notes", "slow"),
    tool("notes", "asks"),
    tool("notes", "broken"),
    tool("notes", "guarded"),
    tool("notes", "upstream-error"),
    tool("notes", "routed", _ROUTED),
    tool("clock", "now"),
    tool("vault", "hidden", _ROUTED),
    contract("notes", "prompt", "greet", description="a greeting"),
    contract("notes", "resource", "notes://one", uri="notes://one"),
    contract("notes", "template", "notes://{id}", uriTemplate="notes://{id}"),
)


class SimulatedBackend:
    """Governs by fixed rules. `asked` are the calls in order, `looked` the lists, `counted` what the door counted."""

    def __init__(self) -> None:
        self.asked: list[Ask] = []
        self.looked: list[Ask] = []
        self.abandoned: list[Asking] = []
        self.counted: Counter[str] = Counter()
        self.senders: list[str | None] = []
        self.running = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.contracts = CONTRACTS
        self.offered: Mapping[str, Any] | None = {"tools": {}, "prompts": {}, "resources": {}}
        self.attended: Counter[tuple[str, str]] = Counter()
        self.streams: Counter[str] = Counter()
        self.notes: list[tuple[str, dict[str, Any]]] = []
        self.questions: dict[str, Question] = {}
        self.state: str | None = "the server's secret"
        self.asks_again = 0
        self.sessions = 4
        self.result: bytes | None = None
        self.refusal: Refusal | None = None

    async def authenticate(self, token: str | None, audience: str) -> Principal:
        if token is None:
            raise Denied(Reason.IDENTITY_MISSING)
        if token == "storeless":
            raise Denied(Reason.COMMIT_STORE)
        if token == "crash":
            raise RuntimeError("a secret detail")
        name = _AGENTS.get(token)
        if name is None:
            raise Denied(_BAD.get(token, Reason.IDENTITY_INVALID))
        return Principal(
            kind="agent", name=name, id=f"spiffe://test/agent/{name}", issuer="test", subject=name, expires=0, key="k"
        )

    async def answer(self, ask: Ask, cancelled: Cancelled, *, hears: Hears | None) -> Released | Asking | Refusal:
        self.asked.append(ask)
        if self.refusal is not None:
            return self.refusal
        try:
            call = decode(ask, "call-1")
        except Denied as no:
            return Refusal(reason=no.reason, detail=no.detail, verdict="DENY", receipt="r-1")
        if call.connector == "vault":
            return Refusal(reason=Reason.TASK_SCOPE, detail="the task does not reach it", verdict="DENY", receipt="r-2")
        known = {(one.connector, one.name) for one in self.contracts}
        if (call.connector, call.name) not in known:
            return Refusal(reason=Reason.SCHEMA_UNKNOWN, detail=f"no `{call.name}`", verdict="DENY", receipt="r-3")
        for method, params in self.notes if hears is not None else ():
            hears(method, dict(params))  # type: ignore[misc]
        if call.name == "asks" and (call.round is None or self.asks_again):
            return self._asking(call)
        return await self._carried_out(call, cancelled)

    def _asking(self, call: Call) -> Asking:
        """Asks `questions`, once and `asks_again` times more."""
        self.asks_again -= call.round is not None
        about = Round(
            call=call.id,
            digest="d",
            principal="p",
            expires=0,
            asked={key: one.method for key, one in self.questions.items()},
            state=self.state,
            held="held",
        )
        return Asking(questions=self.questions, round=about, labels=("untrusted",))

    async def _carried_out(self, call: Call, cancelled: Cancelled) -> Released | Refusal:
        if call.name == "slow":
            self.running.set()
            await cancelled.wait()
            self.cancelled.set()
            return Refusal(reason=Reason.UPSTREAM_TIMEOUT, detail="cancelled", verdict="DENY", receipt="r-4")
        if call.name == "broken":
            raise RuntimeError("a secret detail")
        if call.name == "guarded":
            needed = ("prod-change",)
            return Refusal(
                reason=Reason.APPROVAL_REQUIRED, detail="", verdict="STEP_UP", receipt="r-5", approvals=needed
            )
        if call.name == "upstream-error":
            return Released(
                result=Raw(b"{}"), ending="tool_error", labels=("untrusted",), error=ServerError(-32603, "it broke")
            )
        result = self.result or msgspec.json.encode(_results(call))
        return Released(result=Raw(result), ending="completed", labels=("untrusted",))

    async def tended(self, ask: Ask, cancelled: Cancelled) -> Refusal:
        self.asked.append(ask)
        return self.refusal or Refusal(reason=Reason.CALL_OPERATION, detail="", verdict="DENY")

    def abandon(self, asking: Asking) -> None:
        self.abandoned.append(asking)

    async def listed(self, ask: Ask, kind: ContractKind) -> tuple[Contract, ...] | Refusal:
        self.looked.append(ask)
        if ask.task == "closed":
            return Refusal(reason=Reason.TASK_NOT_OPEN, detail="", verdict="DENY", receipt="r-6")
        return tuple(
            one
            for one in self.contracts
            if one.kind == kind and one.connector in {ask.connector or one.connector} - {"vault"}
        )

    def tool(self, connector: str, name: str) -> Contract | None:
        found = (one for one in self.contracts if (one.kind, one.connector, one.name) == ("tool", connector, name))
        return next(found, None)

    def instructions(self, connector: str) -> str:
        return f"instructions of {connector}"

    def capabilities(self, connector: str) -> Mapping[str, Any] | None:
        return self.offered

    async def attend(self, connector: str, agent: str) -> None:
        self.attended[connector, agent] += 1

    async def leave(self, connector: str, agent: str, uris: Iterable[str] = ()) -> None:
        self.attended[connector, agent] -= 1

    def open_stream(self, principal: Principal) -> None:
        self.streams[principal.name] += 1

    def close_stream(self, principal: Principal) -> None:
        self.streams[principal.name] -= 1

    def sessions_max(self, agent: str) -> int:
        return self.sessions

    def jwks(self) -> Mapping[str, Any]:
        return {"keys": []}

    async def refused(self, reason: Reason, detail: str, *, who: Principal | None) -> None:
        self.counted[reason] += 1
        self.senders.append(None if who is None else who.name)


def _results(call: Call) -> dict[str, Any]:
    if call.method == "resources/read":
        return {"contents": [{"uri": call.name, "text": "one"}]}
    if call.method == "prompts/get":
        return {"messages": [{"role": "user", "content": {"type": "text", "text": "hello"}}]}
    text = bytes(call.answers).decode() if call.answers is not None else call.arguments.get("text", "")
    return {"content": [{"type": "text", "text": text}], "isError": call.name == "fail"}
