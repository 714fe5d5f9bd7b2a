"""What has been learned of one call so far, and what the record says of it.

`flow.govern` fills a case step by step; an attribute does not exist before its step has answered, so nothing can
be read that was not established. When a step says no, the denial's receipt holds exactly what was known by then.
"""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import msgspec

from remit import facts
from remit.answer import Accepted
from remit.call import Ask, Call, Client, Round, continued
from remit.catalogue import Classified, View
from remit.catalogue.model import Agent, Connector, Keep, Tool
from remit.commit.model import Booking
from remit.decision import Decision
from remit.errors import RemitError, UpstreamFault
from remit.forward import askable
from remit.forward.model import NOBODY, Fault, Reply
from remit.identity.model import Principal
from remit.ledger.receipt import Asked
from remit.limits import NOTES_MAX, OPERATION_ARGUMENTS_BYTES_MAX, OPERATIONS_PER_AGENT_MAX
from remit.outcome import Operation, operations_of
from remit.policy.model import Request
from remit.reasons import Denied, Reason
from remit.result import ASKS, Sender, passing
from remit.schema import accepts_more
from remit.task import Standing, history, prefix_of, reservations
from remit.task.model import Task
from remit.world import World

_WHY: Final = {
    "unreachable": Reason.UPSTREAM_UNREACHABLE,
    "timeout": Reason.UPSTREAM_TIMEOUT,
    "died": Reason.UPSTREAM_DIED,
    "protocol": Reason.UPSTREAM_PROTOCOL,
}

_VALUES: Final = frozenset({"arguments", "answers", "operation", "questions", "digest", "touched", "facts"})
# What of them is stored, by what the catalogue says to keep.
_KEPT: Final[Mapping[Keep, frozenset[str]]] = {
    "full": _VALUES | {"result"},
    "redacted": frozenset({"touched", "facts"}),
    "none": frozenset(),
}
_GONE: Final = Fault(ending="cancelled_unknown", reason=Reason.CANCELLED, detail="the client went away")

# Takes a notification's method and params to the client; what it does with them is never waited for.
Hears = Callable[[str, dict[str, Any]], None]


class Case:
    """One call on its way through the steps. `id` is the call's; `received` is epoch ms; `upstream` is who answered,
    `held` the exchange on which that server waits for an answer.

    `hears`, if set, is told what the server says while the call runs; `notes` counts that.
    """

    call: Call
    epoch: int
    view: View
    principal: Principal
    agent: Agent
    connector: Connector
    classified: Classified
    found: Task | None
    task: Task
    tool: Tool
    digest: str
    round: Round | None
    counters: Mapping[str, int]
    request: Request
    decision: Decision

    def __init__(self, ask: Ask, call_id: str, *, received: int) -> None:
        self.ask = ask
        self.id = call_id
        self.received = received
        self.upstream = ""
        self.held = ""
        self.hears: Hears | None = None
        self.notes = 0
        self._noted = hashlib.sha256()
        self._admitted = ""
        self._cancelled = False
        self._forwards: asyncio.Task[Any] | None = None

    def has(self, step: str) -> bool:
        """Whether a step has established this."""
        return step in vars(self)

    def forget(self) -> None:
        """What was established no longer stands: the call starts again."""
        for step in vars(Case).get("__annotations__", {}):
            vars(self).pop(step, None)

    def enter(self, world: World) -> None:
        """Count the call in, once however often it starts again."""
        if not self._admitted:
            world.admission.enter(self.principal.name, self.agent.limits, now=world.now())
            self._admitted = self.principal.name

    def leave(self, world: World) -> None:
        """Count it out, if it was counted in."""
        if self._admitted:
            world.admission.leave(self._admitted)
            self._admitted = ""

    def cancel(self) -> None:
        """The client went away: abandon the forwarding, if any; the outcome is still recorded."""
        self._cancelled = True
        task, self._forwards = self._forwards, None
        if task is not None:
            task.cancel()

    async def once(self, attempt: Coroutine[Any, Any, Reply]) -> Reply | Fault:
        """Carry out the one attempt to forward; a fault is what came instead of the reply."""
        if self._cancelled:
            attempt.close()
            return _GONE
        self._forwards = task = asyncio.current_task()
        try:
            reply = await attempt
            self.upstream, self.held = reply.upstream, reply.held
            return reply
        except asyncio.CancelledError:
            return _GONE
        except Denied as no:
            return Fault(ending="not_sent", reason=no.reason, detail=no.detail)
        except UpstreamFault as e:
            return Fault(ending="unknown" if e.sent else "not_sent", reason=_WHY[e.why], detail=e.message)
        except RemitError as e:  # what is not the server's fault says nothing about what was sent
            return Fault(ending="unknown", reason=Reason.GATEWAY_FAULT, detail=e.message)
        finally:
            if self._forwards is None and task is not None:
                task.uncancel()  # it was about the forwarding alone: the task goes on to the record
            self._forwards = None
            # What is said from now on would be passed on without being on record.
            self.hears = None

    def told(self, method: str, params: msgspec.Raw) -> None:
        """The server says something while the call runs: passed on if the client may hear it, and counted."""
        heard = passing(method, params, client=self.ask.speaks)
        if heard is None or self.hears is None or self.notes >= NOTES_MAX:
            return
        self.notes += 1
        self._noted.update(bytes(params) + b"\n")
        self.hears(method, heard)

    def notes_digest(self) -> str:
        """SHA-256 over what was passed on, each with a line feed; empty if nothing was."""
        return f"sha256:{self._noted.hexdigest()}" if self.notes else ""

    def speaks(self, world: World) -> Client:
        """What the server may ask of the client and tell it: what both the client and the catalogue say."""
        client = self.ask.speaks
        if client is NOBODY:
            return client
        if client.operations and not self._may_end_later(world):
            client = msgspec.structs.replace(client, operations=False)
        return askable(client, self.connector.may_ask)

    def _may_end_later(self, world: World) -> bool:
        """Whether the call is about an operation, or may become one: with as many as an agent may have, it may not."""
        if self.call.method == "tools/call":
            return world.store.counter(operations_of(self.principal.name)) < OPERATIONS_PER_AGENT_MAX
        return bool(self.call.operation)

    def answering(self, world: World) -> Round | None:
        """The round this call goes on with, if it answers questions; `Denied` for answers to another call's, or to what
        may not be asked any more.
        """
        about = continued(
            self.call,
            task=self.task.id,
            contract=self.tool.contract.digest,
            principal=self.principal.id,
            now=world.now(),
        )
        if (
            about is not None
            and not {ASKS[method] for method in about.asked.values()} <= self.speaks(world).capabilities.keys()
        ):
            raise Denied(Reason.CALL_ANSWER, "the tool server may not ask that")
        return about

    def sender(self, client: Client, world: World) -> Sender:
        """Whose call it is, should the server ask something."""
        first = self.round.digest if self.round else self.digest
        return Sender(self.id, first, self.principal.id, client, world.now(), bool(self.call.operation))

    def operation(self, accepted: Accepted, intent: int, *, now: int) -> Operation:
        """The call as it goes on, once its server accepted it."""
        by_default = not (self.ask.task or self.principal.task)
        arguments = bytes(self.call.canonical)
        kept = self.keeps("arguments") and len(arguments) <= OPERATION_ARGUMENTS_BYTES_MAX
        return Operation(
            id=accepted.operation,
            call=self.id,
            intent=intent,
            digest=self.round.digest if self.round else self.digest,
            principal=self.principal.id,
            agent=self.principal.name,
            task=self.task.id,
            connector=self.call.connector,
            name=self.call.name,
            contract=self.tool.contract.digest,
            theirs=accepted.theirs,
            about=accepted.about,
            expires=now + accepted.about.ttl_ms,
            client=self.ask.client if by_default else None,
            arguments=arguments.decode() if kept else None,
        )

    def standing(self, found: Task | None, world: World) -> Standing:
        """Who asks under the task that was found, and when."""
        return Standing(
            agent=self.principal.name,
            tenant=self.agent.tenant,
            now=world.now(),
            last_used=world.tasks.last_used(found.id) if found else None,
        )

    def question(self, world: World, now: int) -> Request:
        """What step 6 asks. The counters read here are those step 8 expects unmoved."""
        prefix = prefix_of(self.task.id)
        # A counter nobody touched yet is expected untouched.
        self.counters = {f"{prefix}calls": 0, **world.store.counters(prefix)}
        declared = self.view.declared
        context = facts.Circumstances(
            task=self.task,
            past=history(self.counters, self.task.id),
            classified=self.classified,
            open_schema=accepts_more(self.tool),
            method=self.call.method,
            environment=self.connector.environment,
            boundary=declared.gateway.boundary,
        )
        return Request(
            agent_name=self.principal.name,
            agent=facts.of_agent(self.agent),
            action=self.call.action,
            tier=self.classified.tier,
            connector_name=self.call.connector,
            connector=facts.of_connector(self.connector),
            facts=facts.context(context, now),
            args=self.call.shown,
            rows=(self.view.digest, self.tool.contract.digest),
        )

    def booking(self, world: World) -> Booking:
        """Everything step 8 writes. The counters are those the decision read, if it read any."""
        return Booking(
            asked=self.asked(),
            digest=self.digest,
            task=self.task.id,
            epoch=self.epoch,
            counters=reservations(self.task, self.call.target, classified=self.classified),
            expect_counters=self.counters if self.decision.reads_history else {},
            values=self.values(),
            hash_only=self.hash_only(),
            retry_of=world.recent(self.digest, self.id),
            answers=self.round.call if self.round else "",
        )

    def asked(self) -> Asked:
        """What the receipt says was asked: everything established so far."""
        known = facts.on_record(vars(self), task=self.own_task())
        return Asked(call=self.id, door=self.ask.door, client=self.ask.client, **known)

    def own_task(self) -> Task | None:
        """The agent's own task the call was made under, whether or not it covers the call; never another's."""
        found = self.found if self.has("found") else None
        return found if found is not None and found.agent == self.principal.name else None

    def values(self) -> dict[str, bytes]:
        """What lies beside the receipt: arguments, digest, resources touched, the facts the decision was made from."""
        found: dict[str, bytes] = {}
        if self.has("call"):
            found["arguments"] = bytes(self.call.canonical)
            if self.call.answers is not None:
                found["answers"] = bytes(self.call.answers)
            if self.call.operation:
                found["operation"] = self.call.operation.encode()
            if self.call.answers is not None and self.call.questions:
                found["questions"] = self.call.questions.encode()
        if self.has("digest"):
            # In the leaf it would give short arguments away to whoever tries them all, also once they were erased.
            found["digest"] = self.digest.encode()
        if self.has("classified") and self.classified.touched:
            found["touched"] = msgspec.json.encode(self.classified.touched)
        if self.has("request"):
            found["facts"] = self.request.recorded()
        return found

    def keeps(self, value: str) -> bool:
        """Whether the catalogue lets this value be stored: all, all but arguments and results, or none."""
        return value in _KEPT[self._keep()]

    def hash_only(self) -> frozenset[str]:
        """The values of `values` that are hashed and not stored."""
        return _VALUES - _KEPT[self._keep()]

    def _keep(self) -> Keep:
        return self.classified.row.keep if self.has("classified") else "none"
