"""What each step of one governed call costs: the functions of `flow.govern` on a real case, in this process.

The case is a call of the home's own agent under its own task, on pinned contracts and the policies of the base case, in
a store on the disk. Steps are taken one after the other, as a call takes them: done a thousand times in a row, each
looks half as dear, because the processor then has its code and data at hand. Figures are CPU of the calling thread,
microseconds a call, so what else the machine does hardly shows; the median over rounds. Only the durable write is also
told in waiting time.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from statistics import median
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from bench import tools
from bench.home import AGENT, CONNECTOR, Desk
from bench.load import request_of
from remit import app
from remit.answer import Released
from remit.approval import approved
from remit.call import Ask, call_digest, decode
from remit.canonical import canonical, digest, parse
from remit.case import Case, Hears
from remit.catalogue import Classified, classify
from remit.catalogue.model import Contract
from remit.commit import plan, warrant
from remit.commit.model import Warrant
from remit.edge.api.door import person
from remit.edge.mcp.backend import Backend, DoorSettings
from remit.edge.mcp.door import agents_door
from remit.edge.mcp.exchange import App
from remit.edge.mcp.governed import Governed
from remit.edge.mcp.leaving import LEFT, Cancelled
from remit.forward import outgoing
from remit.forward.facts import Told
from remit.forward.model import Outgoing, Reply
from remit.identity import admitted
from remit.identity.model import Principal
from remit.identity.resource import site_of
from remit.records import conclude
from remit.result import inspect
from remit.schema import conforming
from remit.task import Task, TaskSpec, assigned, within
from remit.world import World

T = TypeVar("T")
S = TypeVar("S", bound=Struct)
# How many write at once where a group commit is shared.
_COMPANY: Final = 16


class Cost(Struct, frozen=True):
    """One line: the flow's step (empty: beside it), what it does, microseconds of CPU a call."""

    step: str
    what: str
    us: float


class Durable(Struct, frozen=True, kw_only=True):
    """Durable writes by so many writers at once, microseconds a write: `waited` from asking to durable, and the CPU of
    the event loop and of the writer thread.
    """

    writers: int
    waited_us: float
    loop_us: float
    thread_us: float


class Mixed(Struct, frozen=True, kw_only=True):
    """Whole calls through door and flow in one process, no HTTP, the tool server's answer at hand: microseconds of CPU
    a call, of the event loop's thread and of the writer thread.
    """

    callers: int
    loop_us: float
    thread_us: float


class Costs(NamedTuple):
    """Everything about one call. `forwarded_us` is the loop's CPU for one exchange with the tool server."""

    steps: tuple[Cost, ...]
    beside: tuple[Cost, ...]
    durable: tuple[Durable, ...]
    mixed: Mixed
    forwarded_us: float


class _Stage(NamedTuple):
    step: str
    what: str
    act: Callable[[], object]


async def measured(desk: Desk, *, rounds: int, batch: int) -> Costs:
    """The costs, over so many rounds of so many calls each. The gateway of the home must not run."""
    async with _walk(desk) as walk:
        steps, beside = walk.steps(), walk.beside()
        taken: dict[_Stage, list[float]] = {stage: [] for stage in (*steps, *beside)}
        concluding: list[float] = []
        sequencing: list[float] = []
        forwarding: list[float] = []
        durable: list[tuple[Durable, Durable]] = []
        mixed: list[Mixed] = []
        for _ in range(rounds):
            for stage, us in zip(taken, _timed([stage.act for stage in taken], batch), strict=True):
                taken[stage].append(us)
            await asyncio.sleep(0)
            intents, us = await walk.sequenced(batch)
            sequencing.append(us)
            concluding.append(await walk.concluded(intents))
            forwarding.append(await walk.forwarded(batch))
            durable.append((await walk.durable(1, batch), await walk.durable(_COMPANY, batch)))
            mixed.append(await walk.mixed(_COMPANY, batch))
    return Costs(
        steps=(
            *(Cost(stage.step, stage.what, median(taken[stage])) for stage in steps),
            Cost("8 commit", "sequence the write: checks, receipt, tree", median(sequencing)),
            Cost("12 outcome", "outcome receipt, sequenced", median(concluding)),
        ),
        beside=tuple(Cost(stage.step, stage.what, median(taken[stage])) for stage in beside),
        durable=tuple(_middle([pair[at] for pair in durable]) for at in (0, 1)),
        mixed=_middle(mixed),
        forwarded_us=median(forwarding),
    )


@asynccontextmanager
async def _walk(desk: Desk) -> AsyncIterator["_Walk"]:
    async with app.open_gateway(desk.home.root) as gateway:
        spec = TaskSpec(agent=AGENT, purpose="answer-customers", calls=100_000)
        task = await gateway.acts.tasks.open(person(gateway.live.view(), os.getuid()), spec)
        walk = _Walk(desk, gateway.world, task.id)
        await walk.prepare()
        yield walk


class _Walk:
    """One case, walked through the flow once, so that each step's question can be asked again and again."""

    def __init__(self, desk: Desk, world: World, task: str) -> None:
        self.desk, self.world, self.task_id = desk, world, task
        self.serials = iter(tools.SERIALS)
        self.serial = next(self.serials)
        token = desk.token(task)
        self.body, self.headers = request_of(tools.READ, self.serial, {"Authorization": f"Bearer {token}"})
        params = parse(self.body)["params"]
        self.ask = Ask(method="tools/call", params=params, token=token, audience=desk.audience, connector=CONNECTOR)

    async def prepare(self) -> None:
        """The same steps as `flow.govern`, up to the booking."""
        world, ask = self.world, self.ask
        case = self.case = Case(ask, world.new_id(), received=world.now())
        case.call = decode(ask, case.id)
        case.epoch, case.view = world.store.epoch(), world.view()
        case.principal = await world.authenticator.agent(ask.token, ask.audience)
        case.agent = admitted(case.principal, case.view)
        found = case.found = await self._found()
        case.task = assigned(found, case.standing(found, world))
        case.connector = case.view.connector(case.call.connector)
        case.classified = self._classified()
        self._within()
        case.tool = conforming(case.call, case.view.tool(case.call))
        case.digest = self._digest()
        case.round = case.answering(world)
        case.request = case.question(world, world.now())
        case.decision = approved(world.policies().decide(case.request))
        self.booking = case.booking(world)
        written = await world.store.write(plan(self.booking))
        self.permission = warrant(self.booking, written, expires=case.task.expires_at)
        reply = await case.once(self._forwarded())
        assert isinstance(reply, Reply), reply
        self.reply = reply
        result = self._inspected()
        assert isinstance(result, Released), result
        self.result = result

    def steps(self) -> tuple[_Stage, ...]:
        """What happens between the door and the store, in the flow's order."""
        case, world, call = self.case, self.world, self.case.call
        return (
            _Stage("1 call", "decode: canonical form, decoded again", lambda: decode(self.ask, case.id)),
            _Stage("2 identity", "authenticate, token known", lambda: _ran(self._authenticated())),
            _Stage("2 identity", "admit, count in and out", self._entered),
            _Stage("3 task", "find the task", lambda: _ran(self._found())),
            _Stage("3 task", "assigned", lambda: assigned(case.task, case.standing(case.task, world))),
            _Stage("3 task", "classify", self._classified),
            _Stage("3 task", "within, and reached by a permit", self._within),
            _Stage("4 schema", "conforming", lambda: conforming(call, case.view.tool(call))),
            _Stage("4 schema", "digest of the call", self._digest),
            _Stage("6 policy", "question: history, facts", lambda: case.question(world, case.received)),
            _Stage("6 policy", "decide", lambda: world.policies().decide(case.request)),
            _Stage("7 approval", "approved", lambda: approved(case.decision)),
            _Stage("8 commit", "book and plan", lambda: plan(case.booking(world))),
            _Stage("10 forward", "outgoing", self._out),
            _Stage("11 result", "inspect, with output schema", self._inspected),
        )

    def beside(self) -> tuple[_Stage, ...]:
        """What is part of a step, or around all of them."""
        written, arguments = tools.arguments(self.serial), self.case.call.arguments
        door = self._door(_Instant(self.world, self.case.principal, result=self.result))
        return (
            _Stage("wire", "the agents' door without server and flow", lambda: _ran(self._through(door, self.body))),
            _Stage("part of wire", "strict JSON of the request", lambda: parse(self.body)),
            _Stage("part of 1, 4", f"canonical, {len(written)} bytes", lambda: canonical(arguments)),
            _Stage("part of 4", "digest", lambda: digest(written)),
            _Stage("part of 8", "a salt of 16 bytes", lambda: os.urandom(16)),
        )

    async def sequenced(self, number: int) -> tuple[list[int], float]:
        """So many intents, sequenced; their seqs and the loop's CPU for each."""
        write = plan(self.booking)
        began = time.thread_time_ns()
        seqs = [(await self.world.store.enqueue(write)).seqs[0] for _ in range(number)]
        return seqs, (time.thread_time_ns() - began) / number / 1000

    async def concluded(self, intents: list[int]) -> float:
        """The loop's CPU for the outcome of each intent."""
        began = time.thread_time_ns()
        for intent in intents:
            await conclude(self.case, self.booking, intent=intent, ended=self.result, world=self.world)
        return (time.thread_time_ns() - began) / len(intents) / 1000

    async def forwarded(self, number: int) -> float:
        """The loop's CPU for each exchange with the tool server."""
        began = time.thread_time_ns()
        for _ in range(number):
            await self._forwarded()
        return (time.thread_time_ns() - began) / number / 1000

    async def durable(self, writers: int, number: int) -> Durable:
        """Intents made durable, each followed by its outcome so that none stays open."""
        each = max(1, number // writers)
        waits: list[int] = []
        intents: list[int] = []

        async def write_some() -> None:
            for _ in range(each):
                began = time.perf_counter_ns()
                intents.append((await self.world.store.write(plan(self.booking))).seqs[0])
                waits.append(time.perf_counter_ns() - began)

        own, whole = time.thread_time_ns(), time.process_time_ns()
        await asyncio.gather(*(write_some() for _ in range(writers)))
        own, whole = time.thread_time_ns() - own, time.process_time_ns() - whole
        await self.concluded(intents)
        return Durable(
            writers=writers,
            waited_us=median(waits) / 1000,
            loop_us=own / len(waits) / 1000,
            thread_us=(whole - own) / len(waits) / 1000,
        )

    async def mixed(self, callers: int, number: int) -> Mixed:
        """Whole calls, each with arguments of its own, from the door to the record and back."""
        at_hand = msgspec.structs.replace(self.world, upstreams=_AtHand(self.reply))
        door = self._door(Governed(at_hand, dict))
        each = max(1, number // callers)

        async def call_some() -> None:
            for _ in range(each):
                await self._through(door, request_of(tools.READ, next(self.serials), {})[0])

        own, whole = time.thread_time_ns(), time.process_time_ns()
        await asyncio.gather(*(call_some() for _ in range(callers)))
        own, whole = time.thread_time_ns() - own, time.process_time_ns() - whole
        calls = each * callers * 1000
        return Mixed(callers=callers, loop_us=own / calls, thread_us=(whole - own) / calls)

    async def _authenticated(self) -> Principal:
        return await self.world.authenticator.agent(self.ask.token, self.ask.audience)

    def _entered(self) -> None:
        admitted(self.case.principal, self.case.view)
        self.world.admission.enter(AGENT, self.case.agent.limits, now=self.case.received)
        self.world.admission.leave(AGENT)

    def _classified(self) -> Classified:
        return classify(self.case.connector, self.case.call, classes=self.case.view.declared.data_classes)

    def _within(self) -> Task:
        case = self.case
        self.world.policies().reach(case.principal.name, case.call.action, connector_name=case.call.connector)
        return within(case.task, case.call, connector=case.connector, classified=case.classified)

    async def _found(self) -> Task | None:
        return await self.world.tasks.of(self.case.principal, self.ask, view=self.case.view)

    def _digest(self) -> str:
        return call_digest(self.case.call, task=self.task_id, contract=self.case.tool.contract.digest)

    async def _forwarded(self) -> Reply:
        case = self.case
        return await self.world.upstreams.forward(
            self.permission, case.tool.contract, outgoing=self._out(), told=case.told
        )

    def _out(self) -> Outgoing:
        return outgoing(self.case.call, self.case.tool.row, client=self.case.speaks(self.world))

    def _inspected(self) -> object:
        return inspect(self.reply, self.case.tool, sender=self.case.sender(self.case.speaks(self.world), self.world))

    def _door(self, backend: Backend) -> App:
        site = site_of(self.case.view.declared.gateway)
        url = f"http://127.0.0.1:{self.desk.port}"
        return agents_door(backend, DoorSettings(public_url=url, version="0", site=site))

    async def _through(self, door: App, body: bytes) -> None:
        sent: list[Mapping[str, Any]] = []
        coming = [body]

        async def receive() -> dict[str, Any]:
            if not coming:
                await asyncio.Event().wait()  # the client stays and says no more
            return {"type": "http.request", "body": coming.pop(), "more_body": False}

        async def send(event: Mapping[str, Any]) -> None:
            sent.append(event)

        scope = {
            "type": "http",
            "method": "POST",
            "path": self.desk.path,
            "raw_path": self.desk.path.encode(),
            "query_string": b"",
            "headers": self.headers,
            "extensions": {LEFT: set()},
        }
        await door(scope, receive, send)
        assert sent[0]["status"] == 200
        assert b'"isError":false' in sent[1]["body"], sent[1]["body"]


class _AtHand:
    """Upstreams whose answer is there already."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    async def forward(self, warrant: Warrant, contract: Contract, *, outgoing: Outgoing, told: Told) -> Reply:
        return self._reply

    async def advertised(self, connector: str) -> Sequence[Contract]:
        return ()

    async def end(self, **_: object) -> None:
        return

    async def close(self) -> None:
        return


class _Instant(Governed):
    """A gateway that knows everybody and says yes at once: what is left is the door."""

    def __init__(self, world: World, principal: Principal, *, result: Released) -> None:
        super().__init__(world, dict)
        self._principal, self._result = principal, result

    async def authenticate(self, token: str | None, audience: str) -> Principal:
        return self._principal

    async def answer(self, ask: Ask, cancelled: Cancelled, hears: Hears | None) -> Released:
        return self._result


def _ran(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as end:
        found: T = end.value
        return found
    raise AssertionError("it waits")


def _timed(acts: Sequence[Callable[[], object]], batch: int) -> list[float]:
    """Microseconds each of these takes when they are done one after the other, as in a call, time and again."""
    clock = time.thread_time_ns
    taken, looking = [0] * len(acts), 0
    for _ in range(batch):
        began = clock()
        looking += clock() - began
        for at, act in enumerate(acts):
            began = clock()
            act()
            taken[at] += clock() - began
    return [max(0, one - looking) / batch / 1000 for one in taken]


def _middle(found: list[S]) -> S:
    return type(found[0])(**{name: median(getattr(one, name) for one in found) for name in found[0].__struct_fields__})
