"""What has been learned of one call so far, and what the record says of it.

`flow.govern` fills a case step by step; an attribute does not exist before its step has answered, so nothing can
be read that was not established. When a step says no, the denial's receipt holds exactly what was known by then.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any

import msgspec

from remit.call import Ask, Call, call_digest
from remit.catalogue import Classified, View
from remit.catalogue.model import Agent, Connector, Tool
from remit.commit.model import Booking
from remit.decision import Decision
from remit.errors import UpstreamFault
from remit.forward.model import Fault, Reply
from remit.identity.model import Principal
from remit.ledger.receipt import Asked
from remit.policy.model import Request
from remit.reasons import Denied, Reason
from remit.task.model import Task


class Case:
    """One call on its way through the steps. `id` is the call's; `received` is epoch ms."""

    ask: Ask
    call: Call
    epoch: int
    view: View
    principal: Principal
    agent: Agent
    connector: Connector
    classified: Classified
    task: Task
    tool: Tool
    digest: str
    counters: Mapping[str, int]
    request: Request
    decision: Decision

    def __init__(self, ask: Ask, call_id: str, received: int) -> None:
        self.ask = ask
        self.id = call_id
        self.received = received
        self.admitted = False
        self._cancelled = False
        self._attempt: asyncio.Future[Reply] | None = None

    def cancel(self) -> None:
        """The client went away: abandon the forwarding, if any; the outcome is still recorded."""
        self._cancelled = True
        if self._attempt is not None:
            self._attempt.cancel()

    async def once(self, attempt: Awaitable[Reply]) -> Reply | Fault:
        """Carry out the one attempt to forward; a fault is what came instead of the reply."""
        self._attempt = asyncio.ensure_future(attempt)
        if self._cancelled:
            self._attempt.cancel()
        try:
            return await self._attempt
        except asyncio.CancelledError:
            return Fault(ending="cancelled_unknown", reason=Reason.UPSTREAM_TIMEOUT, detail="the client went away")
        except Denied as no:
            return Fault(ending="not_sent", reason=no.reason, detail=no.detail)
        except UpstreamFault as e:
            ending, reason = ("unknown", Reason.UPSTREAM_DIED) if e.sent else ("not_sent", Reason.UPSTREAM_UNREACHABLE)
            return Fault(ending=ending, reason=reason, detail=e.message)

    def asked(self) -> Asked:
        """What the receipt says was asked: everything established so far."""
        return Asked(call=self.id, door=self.ask.door, client=self.ask.client, **self._known())

    def values(self) -> dict[str, bytes]:
        """What lies beside the receipt: the arguments, the resources touched, the facts the decision was made from."""
        found: dict[str, bytes] = {}
        if (call := self._get("call")) is not None:
            found["arguments"] = bytes(call.canonical)
        if (classified := self._get("classified")) is not None and classified.touched:
            found["touched"] = msgspec.json.encode(classified.touched)
        if (request := self._get("request")) is not None:
            found["facts"] = msgspec.json.encode(request.facts)
        return found
