"""Opening tasks, moving them through their life, and finding the one a call is made under.

A task that stops being open raises the revocation epoch in the same write, so no call decided while it was open
commits after; then its sessions with tool servers are closed. How many tasks of an agent are open is a counter, so
its bound is exact.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from remit.call import Ask
from remit.catalogue import View
from remit.commit.model import Put, Reserve, Row, Write, Written
from remit.edge.acts.live import Live
from remit.edge.acts.who import GATEWAY, Who, may
from remit.errors import CallerFault, Conflict
from remit.forward.facts import Upstreams
from remit.identity.model import Principal
from remit.ledger.receipt import Draft, TaskEvent
from remit.reasons import Denied, Reason
from remit.task import Move, history, moved, opened, prefix_of, renewed, template
from remit.task.model import History, Party, Stamp, State, Task, TaskSpec

_KNOWN_MAX: Final = 10_000
_ENDED: Final = (State.COMPLETED, State.REVOKED, State.EXPIRED)


class Given(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may come with a move: why, and for `renew` how long from now."""

    reason: str = ""
    minutes: int | None = None


class _Change(NamedTuple):
    """One move of a task: what it was, what it becomes, and the row it was read from."""

    move: Move
    before: Task
    after: Task
    row: Row
    reason: str = ""


class Tasks:
    """Acts on tasks; also `world.Tasks`. `new_id` gives unguessable ids, `now` epoch ms."""

    def __init__(self, live: Live, upstreams: Upstreams, *, now: Callable[[], int], new_id: Callable[[], str]) -> None:
        self._live = live
        self._store = live.store
        self._upstreams = upstreams
        self._now = now
        self._new_id = new_id
        self._last_used: dict[str, int] = {}
        self._known: dict[str, tuple[int, Task]] = {}

    async def of(self, principal: Principal, ask: Ask, *, view: View) -> Task | None:
        """See `world.Tasks.of`."""
        named, claimed = ask.task, principal.task
        if named and claimed and named != claimed:
            raise Denied(Reason.TASK_CONFLICT)
        task_id = claimed or named
        if not task_id:
            return await self._default(principal.name, ask.client, view)
        row = await self._store.row("task", task_id)
        if row is None:
            raise Denied(Reason.TASK_UNKNOWN, "there is none of that id")
        return self._decoded(task_id, row)

    def _decoded(self, task_id: str, row: Row) -> Task:
        """The task of a row; decoded once as long as the row stays the same."""
        known = self._known.get(task_id)
        if known is not None and known[0] == row.version:
            return known[1]
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        task = _read(row)
        self._known[task_id] = (row.version, task)
        return task

    def last_used(self, task_id: str) -> int | None:
        """When a call of a default task was last committed, in this process; None counts from its opening."""
        return self._last_used.get(task_id)

    def used(self, task: Task) -> None:
        """A call of the task was committed now."""
        if task.idle_s is not None:
            self._last_used[task.id] = self._now()

    def heard_of(self, task_id: str) -> None:
        """A call of the task was committed now, in another process."""
        self._last_used[task_id] = self._now()

    async def open(self, who: Who, spec: TaskSpec, *, on_behalf: str | None = None) -> Task:
        """Open a task for a person or service. `on_behalf` is the subject of a verified ID token."""
        may(who, "task.open")
        view = self._live.view()
        agent, purpose = view.declared.agents.get(spec.agent), view.declared.purposes.get(spec.purpose)
        if view.is_revoked("agent", spec.agent):
            raise CallerFault(f"agent `{spec.agent}` is revoked", f"`remit agent restore {spec.agent} --reason …`")
        if agent is None:
            raise CallerFault(f"there is no agent `{spec.agent}`", "`remit agent list` shows what there is")
        if purpose is None:
            raise CallerFault(f"there is no purpose `{spec.purpose}`", f"one of {', '.join(view.declared.purposes)}")
        stamp = Stamp(id=self._new_id(), at=self._now())
        task = opened(spec, _party(who, on_behalf), purpose=purpose, agent=agent, stamp=stamp)
        await self._opened(task, who)
        return task

    async def move(self, who: Who, task_id: str, *, move: Move, given: Given) -> Task:
        """One move of a task's life, by someone who may make it."""
        may(who, "task.move")
        row = await self._row(task_id)
        before, by, now = _read(row), _party(who), self._now()
        if move == "renew":
            purpose = self._live.view().declared.purposes.get(before.purpose)
            if purpose is None:
                raise CallerFault(f"the purpose `{before.purpose}` is no longer catalogued", "open a new task")
            after = renewed(before, by, purpose=purpose, minutes=given.minutes, now=now)
        else:
            after = moved(before, move, by=by, now=now)
        await self._moved(who, _Change(move, before, after, row, given.reason))
        return after

    async def see(self, who: Who, task_id: str) -> Task:
        may(who, "task.see")
        return _read(await self._row(task_id))

    def history(self, task: Task) -> History:
        """What the task has used, calls in flight included."""
        return history(self._store.counters(prefix_of(task.id)), task.id)

    def listed(self, who: Who) -> tuple[Task, ...]:
        """Every task not long ended, newest first."""
        may(who, "task.see")
        return tuple(sorted(map(_read, self._store.rows("task").values()), key=lambda task: -task.opened_at))

    async def expire(self) -> None:
        """Record the expiry of tasks whose time is over; called on a timer. A call never waits for it."""
        now = self._now()
        for task_id, row in list(self._store.rows("task").items()):
            task = _read(row)
            if task.state in _ENDED:
                self._last_used.pop(task_id, None)
            elif now >= task.expires_at or self._is_idle(task, now):
                after = moved(task, "expire", by=_party(GATEWAY), now=now)
                try:
                    await self._moved(GATEWAY, _Change("expire", task, after, row))
                except Conflict:  # somebody moved it meanwhile; the next round looks again
                    continue

    def _is_idle(self, task: Task, now: int) -> bool:
        last = max(task.opened_at, self._last_used.get(task.id, 0))
        return task.idle_s is not None and now - last >= task.idle_s * 1000

    async def _default(self, agent: str, client: str, view: View) -> Task | None:
        """The agent's default task for this client: one at a time, and none ever again once it was revoked."""
        row = view.agent(agent).template
        if row is None:
            return None
        if await self._store.row("halted", agent) is not None:
            raise Denied(Reason.TASK_NOT_OPEN, "a default task of this agent was revoked")
        key = f"{agent}/{client}"
        pointer = await self._store.row("client", key)
        if pointer is not None:
            current = _read(await self._row(msgspec.json.decode(pointer.value)["task"]))
            now = self._now()
            over = now >= current.expires_at or self._is_idle(current, now)
            if current.state is State.REVOKED or (current.state in (State.OPEN, State.SUSPENDED) and not over):
                return current
        purpose = view.declared.purposes[row.purpose]
        stamp = Stamp(id=self._new_id(), at=self._now())
        task = template(agent, view.agent(agent), purpose=purpose, client=client, stamp=stamp)
        put = Put(
            kind="client",
            key=key,
            value=msgspec.json.encode({"task": task.id}),
            expect=pointer.version if pointer else 0,
        )
        try:
            await self._opened(task, GATEWAY, put)
        except Conflict:  # another call of the same client opened it first
            return await self._default(agent, client, view)
        return task

    async def _opened(self, task: Task, who: Who, *more: Put) -> None:
        write = Write(
            puts=(Put(kind="task", key=task.id, value=msgspec.json.encode(task), expect=0), *more),
            reserves=(Reserve(counter=f"agent/{task.agent}/open", most=self._most(task.agent)),),
            drafts=(_event(task, "open", "", who),),
        )
        await self._written(write, task.agent)

    async def _moved(self, who: Who, change: _Change) -> None:
        move, before, after, row, reason = change
        closes = before.state not in _ENDED and after.state in _ENDED
        reopens = before.state in _ENDED and after.state not in _ENDED
        amount = reopens - closes
        most = self._most(after.agent) if reopens else None
        counted = (Reserve(counter=f"agent/{after.agent}/open", amount=amount, most=most),) if amount else ()
        puts = [Put(kind="task", key=after.id, value=msgspec.json.encode(after), expect=row.version)]
        if move == "revoke" and after.origin == "template":
            # A client names itself: another name must not get what was just stopped.
            puts.append(Put(kind="halted", key=after.agent, value=msgspec.json.encode({"task": after.id})))
        drafts = (_event(after, move, reason, who),)
        stops = after.state is not State.OPEN
        write = Write(puts=tuple(puts), reserves=counted, drafts=drafts, raise_epoch=stops)
        written = await self._written(write, after.agent)
        if stops:
            await self._upstreams.end(task=after.id, before=written.seqs[0])

    def _most(self, agent: str) -> int:
        return self._live.view().agent(agent).limits.open_tasks

    async def _written(self, write: Write, agent: str) -> Written:
        try:
            return await self._store.write(write)
        except Denied as no:
            if no.reason is not Reason.COMMIT_BUDGET:
                raise
            raise Denied(Reason.TASK_LIMIT, f"`{agent}` has {self._most(agent)} open") from no

    async def _row(self, task_id: str) -> Row:
        row = await self._store.row("task", task_id)
        if row is None:
            raise CallerFault(f"there is no task `{task_id}`", "`remit task list` shows what there is")
        return row


def _read(row: Row) -> Task:
    return msgspec.json.decode(row.value, type=Task)


def _party(who: Who, on_behalf: str | None = None) -> Party:
    return Party(kind=who.actor.kind, id=who.id, roles=who.roles, on_behalf=on_behalf)


def _event(task: Task, move: str, reason: str, who: Who) -> Draft:
    body = TaskEvent(
        move=move,
        state=task.state,
        agent=task.agent,
        purpose=task.purpose,
        requester=task.requester.id,
        requester_proof=task.requester.proof,
        origin=task.origin,
        actor=who.actor,
        expires=task.expires_at,
        reason=reason,
    )
    return Draft(body=body, task=task.id, values={"task": msgspec.json.encode(task)})
