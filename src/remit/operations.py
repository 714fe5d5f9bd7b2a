"""Following calls that end later. MCP calls them tasks; a Task is something else here, so: operations.

An operation is upkeep of a call that was decided, committed and sent: asking how it stands carries nothing of the
agent's but a name, so it is no call. What it needs to know on the way is another matter: the client's answers are a
call like any other, decided under the same tool with the same arguments.

Rules: whatever is not the caller's own, or no longer in force, answers like what never was; the record says why. The
server is asked by one at a time, and no more often than it wants. What came of it is on record, durably and once,
before anybody sees it; asked again, it is given again, if it still is the same. Stopping is always allowed.
"""

import asyncio
from collections import OrderedDict
from contextlib import suppress
from typing import Final

import msgspec

from remit.answer import Answered, Followed, Released, Withheld
from remit.call import Ask, Client, Round
from remit.canonical import decode, digest
from remit.case import Case
from remit.catalogue import View
from remit.catalogue.model import Tool
from remit.commit.model import Put, Row, Write
from remit.errors import Conflict, RemitError
from remit.flow import answer
from remit.forward import askable, upkeep
from remit.forward.model import NOBODY, Committed, Fault, Reply
from remit.identity import admitted
from remit.limits import OPERATION_POLL_MAX_MS, OPERATION_POLL_MIN_MS, OPERATION_POLL_MS
from remit.outcome import Caller, Came, Operation, owned, refused, same
from remit.reasons import Denied, Reason
from remit.records import complete, deny, or_no
from remit.result import UNTRUSTED, Report, Sender, inspect, relayed, report
from remit.task import assigned
from remit.world import World

_LOOKS_MAX: Final = 1024
_REMEMBERED_BYTES_MAX: Final = 64 * 1024
_UNKNOWN: Final = -32602
_DONE: Final = Released(result=msgspec.Raw(b"{}"), ending="completed", labels=UNTRUSTED)


class _Unknown(Exception):
    """Towards the caller there is no such operation; why is on record."""


class _Look:
    """What a server last said of one operation, and when. Whoever asks it holds `lock`."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.report: Report | None = None
        self.due = 0


class Operations:
    """What agents do about their operations, in one process."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._looks: OrderedDict[str, _Look] = OrderedDict()

    async def answer(self, case: Case) -> Answered | Followed:
        """`tasks/get`, `tasks/update` or `tasks/cancel`, of the operation that the params' `taskId` (text) names.

        Gives how it stands, or `Released` with an empty result for what was done. A no is recorded and said.
        """
        return await or_no(case, self._done(case), world=self._world)

    async def _done(self, case: Case) -> Answered | Followed:
        try:
            operation = await self._own(case)
            match case.ask.method:
                case "tasks/cancel":
                    return await self._stopped(case, operation)
                case "tasks/update":
                    case.ask = await self._as_call(case, operation)
                    case.forget()
                    return await self._answered(case, operation.id)
                case _:
                    return await self._stands(case, operation.id)
        except _Unknown:
            return refused(Denied(Reason.CALL_OPERATION), "")

    async def _own(self, case: Case) -> Operation:
        """The caller's own operation, and for all but stopping it: everything it was made under still in force."""
        world, ask = self._world, case.ask
        case.view = world.view()
        case.principal = await world.authenticator.agent(ask.token, ask.audience)
        case.agent = admitted(case.principal, case.view)
        case.enter(world)
        caller = Caller(
            case.principal.id, case.principal.name, ask.connector, (ask.task, case.principal.task), ask.client
        )
        try:
            operation = owned(await self._row(ask.params["taskId"]), caller, now=world.now())
            if ask.method != "tasks/cancel":
                await self._in_force(case, operation)
        except Denied as no:
            await deny(case, Denied(no.reason, f"`{ask.method}`: {no.detail}"), world=world)
            raise _Unknown from no
        return operation

    async def _in_force(self, case: Case, operation: Operation) -> None:
        world = self._world
        asked = msgspec.structs.replace(case.ask, task=operation.task)
        found = case.found = await world.tasks.of(case.principal, asked, view=case.view)
        case.task = assigned(found, case.standing(found, world))
        case.connector = case.view.connector(operation.connector)
        target = f"{operation.connector}/{operation.name}"
        world.policies().reach(case.principal.name, target, connector_name=operation.connector)
        tool = case.tool = _tool(case.view, operation)
        if tool.quarantined is not None or tool.contract.digest != operation.contract:
            raise Denied(Reason.SCHEMA_QUARANTINED, f"`{target[:200]}` is not what was called")

    async def _stands(self, case: Case, name: str) -> Followed:
        """How it stands now; what came of it, once that is on record."""
        async with self._look(name).lock:
            operation = await self._again(name)
            if operation.ended is not None and not operation.ended.digest:
                return _kept(operation)
            try:
                said = await self._reported(case, operation)
            except Denied as no:
                return await self._lost(operation, no)
            if not said.ended:
                questions = relayed(said.asked, _able(case)) or None
                return Followed(operation=name, about=said.about, labels=UNTRUSTED, questions=questions)
            return await self._ended(operation, said, case=case)

    async def _ended(self, operation: Operation, said: Report, *, case: Case) -> Followed:
        result = _result(said, case.tool, self._world.now())
        if operation.ended is None:
            keep = case.tool.row.keep == "full"
            came = Came(result=result, status=said.about.status, upstream=_upstream(said), keep=keep)
            operation = await self._closed(operation.id, came)
        if isinstance(result, Released) and not same(operation, result):
            result = Withheld(ending="withheld", reason=Reason.RESULT_SCHEMA, detail="it is not what was given before")
        shown = refused(Denied(result.reason, result.detail), "") if isinstance(result, Withheld) else result
        return Followed(operation=operation.id, about=said.about, labels=UNTRUSTED, ended=shown)

    async def _closed(self, name: str, came: Came) -> Operation:
        try:
            operation = await complete(name, came, world=self._world)
        except (RemitError, Denied) as e:
            raise Denied(Reason.OUTCOME_UNRECORDED) from e
        if operation is None:
            raise _Unknown
        return operation

    async def _lost(self, operation: Operation, no: Denied) -> Followed:
        """The server says nothing that can be passed on: perhaps because it has ended."""
        if operation.ended is None and no.reason is Reason.RESULT_TOO_LARGE:
            withheld = Withheld(ending="withheld", reason=no.reason)
            return _kept(await self._closed(operation.id, Came(result=withheld)))
        if no.reason is not Reason.CALL_OPERATION:
            raise no
        if operation.ended is None:
            await self._closed(operation.id, Came(lost=no.detail))
        raise _Unknown from no

    async def _stopped(self, case: Case, operation: Operation) -> Released:
        """Told to its server, unless it has ended. What the server makes of it is seen by asking how it stands."""
        if operation.ended is not None:
            return _DONE
        await self._mark_stopped(operation.id)
        reply = await self._tended(case, operation, "tasks/cancel")
        if reply.error is not None and reply.error.code != _UNKNOWN:
            raise Denied(Reason.UPSTREAM_OPERATION, f"error {reply.error.code}")
        self._forget(operation.id)
        with suppress(Denied, _Unknown):
            await self._in_force(case, operation)
            await self._stands(case, operation.id)
        return _DONE

    async def _as_call(self, case: Case, operation: Operation) -> Ask:
        """The call that the answers are: that of the operation again, with them."""
        if operation.ended is not None:
            raise Denied(Reason.CALL_ANSWER, "it has ended")
        if operation.arguments is None:
            raise Denied(Reason.CALL_ANSWER, "the arguments of its call are not kept, so no answer can be decided on")
        async with self._look(operation.id).lock:
            said = await self._reported(case, operation)
        asked = relayed(said.asked, _able(case))
        if not asked:
            raise Denied(Reason.CALL_ANSWER, "it asks nothing")
        about = Round(
            call=operation.call,
            digest=operation.digest,
            principal=operation.principal,
            expires=operation.expires,
            asked={key: question.method for key, question in asked.items()},
            operation=operation.theirs,
            questions=digest(msgspec.json.encode(asked)),
        )
        given = {"inputResponses": case.ask.params.get("inputResponses", {})}
        params = {"name": operation.name, "arguments": decode(operation.arguments.encode()), **given}
        return msgspec.structs.replace(
            case.ask, params=params, connector=operation.connector, task=operation.task, round=about
        )

    async def _answered(self, case: Case, name: str) -> Answered:
        try:
            return await answer(case, self._world)
        finally:
            self._forget(name)

    async def _reported(self, case: Case, operation: Operation) -> Report:
        """What the server says, or said within the time it wants to be left alone. `Denied` as `report` has it."""
        look, now = self._look(operation.id), self._world.now()
        if look.report is not None and now < look.due:
            return look.report
        said = report(await self._tended(case, operation, "tasks/get"), operation.theirs)
        often = said.about.poll_interval_ms or OPERATION_POLL_MS
        look.due = now + max(OPERATION_POLL_MIN_MS, min(often, OPERATION_POLL_MAX_MS))
        size = len(memoryview(said.reply.result or b"")) if said.reply is not None else 0
        look.report = said if size <= _REMEMBERED_BYTES_MAX else None
        return said

    async def _tended(self, case: Case, operation: Operation, method: str) -> Reply:
        client = _able(case) if case.has("connector") else NOBODY
        outgoing = upkeep(method, operation.name, operation=operation.theirs, client=client)
        contract = _tool(case.view, operation).contract
        reply = await case.once(self._world.upstreams.tend(_committed(operation), contract, outgoing=outgoing))
        if isinstance(reply, Fault):
            raise Denied(Reason.UPSTREAM_OPERATION, reply.detail)
        return reply

    async def _mark_stopped(self, name: str) -> None:
        """The completion will say that the agent asked for it."""
        row = await self._world.store.row("operation", name)
        if row is None or (operation := _read(row)).stopped:
            return
        after = msgspec.json.encode(msgspec.structs.replace(operation, stopped=True))
        with suppress(Conflict):  # somebody wrote how it ended
            await self._world.store.write(
                Write(puts=(Put(kind="operation", key=name, value=after, expect=row.version),))
            )

    async def _row(self, name: str) -> Operation | None:
        row = await self._world.store.row("operation", name)
        return None if row is None else _read(row)

    async def _again(self, name: str) -> Operation:
        operation = await self._row(name)
        if operation is None:
            raise _Unknown
        return operation

    def _look(self, name: str) -> _Look:
        look = self._looks.setdefault(name, _Look())
        self._looks.move_to_end(name)
        if len(self._looks) > _LOOKS_MAX:
            self._looks.popitem(last=False)
        return look

    def _forget(self, name: str) -> None:
        """What was said no longer counts: something was done since."""
        self._look(name).report = None


def _read(row: Row) -> Operation:
    return msgspec.json.decode(row.value, type=Operation)


def _committed(operation: Operation) -> Committed:
    return Committed(connector=operation.connector, agent=operation.agent, task=operation.task, intent=operation.intent)


def _tool(view: View, operation: Operation) -> Tool:
    tool = view.callables.get(f"{operation.connector}/tool/{operation.name}")
    if tool is None:
        raise Denied(Reason.SCHEMA_UNKNOWN, f"`{operation.name[:80]}` is not there any more")
    return tool


def _able(case: Case) -> Client:
    return askable(case.ask.speaks, case.connector.may_ask)


def _result(said: Report, tool: Tool, now: int) -> Released | Withheld | None:
    """What of what came of it the agent may see; None where nothing did."""
    if said.reply is None:
        return None
    result = inspect(said.reply, tool, sender=Sender("", "", "", NOBODY, now))
    if isinstance(result, Released | Withheld):
        return result
    return Withheld(ending="withheld", reason=Reason.RESULT_UNSUPPORTED, detail="it ended without a result")


def _upstream(said: Report) -> str:
    return said.reply.upstream if said.reply is not None else ""


def _kept(operation: Operation) -> Followed:
    """One that ended without a result: what is on record says it all."""
    ended = operation.ended
    if ended is None or ended.outcome == "unknown":
        raise _Unknown
    cancelled = ended.outcome == "cancelled"
    about = msgspec.structs.replace(operation.about, status="cancelled" if cancelled else "completed")
    shown = None if cancelled else refused(Denied(Reason(ended.reason), ended.detail), "")
    return Followed(operation=operation.id, about=about, labels=UNTRUSTED, ended=shown)
