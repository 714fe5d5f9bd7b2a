"""A small world around the real flow: a clock, a store in memory, one agent's real key, a tool server that answers in
the same process. Everything that decides is the product's own; only the two ends are simulated.

`World.holds` is what every test leans on: after each step the whole ledger verifies against every checkpoint saved
before, and nothing reached the tool server without a durable intent of the same digest.
"""

import asyncio
import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Self

import msgspec

from remit.answer import Answered, Followed, Refusal
from remit.call import Ask, Call, call_digest
from remit.canonical import digest
from remit.case import Case
from remit.catalogue import contract_of, load
from remit.catalogue.model import Contract, ContractKind
from remit.commit.model import Warrant, Write
from remit.edge.acts.contracts import Contracts, Pin
from remit.edge.acts.inventory import Inventory, Revocation
from remit.edge.acts.live import Live
from remit.edge.acts.operations import Sweep
from remit.edge.acts.policies import Files, PolicySets
from remit.edge.acts.tasks import Given, Tasks
from remit.edge.acts.who import Who
from remit.edge.denials import Recorder
from remit.edge.keys.authenticator import Standing, TokenAuthenticator
from remit.edge.keys.files import TokenKey, make_key
from remit.edge.keys.jwks import KeyDirectory
from remit.edge.keys.local import LocalIssuer
from remit.edge.keys.signing import LedgerSigner, make_signer
from remit.edge.limiter import Limiter
from remit.edge.recent import Recent
from remit.edge.store.export import export
from remit.edge.store.memory import Memory, open_memory
from remit.errors import UpstreamFault
from remit.flow import answer
from remit.forward.facts import Told
from remit.forward.model import Committed, Outgoing, Reply
from remit.ledger import bundle
from remit.ledger.checkpoint import parse_key
from remit.ledger.receipt import Actor, Denial, Intent, Outcome, Receipt
from remit.ledger.verify import Report, verify
from remit.listing import listed as list_reach
from remit.operations import Operations
from remit.policy import STARTER
from remit.task import Move, TaskSpec
from remit.task.model import Task
from remit.world import World as Ports

START = 1_800_000_000_000
URL = "http://127.0.0.1:8700"

CATALOGUE = """
version: 1
trust_domain: world.test
environments: [dev, prod]
tenants: [default, other]
data_classes: [public, internal, secret]
gateway: {boundary: separate-user}
people:
  ada: {email: ada@world.test, os_user: ada, roles: [requester, operator, auditor]}
  ben: {email: ben@world.test, os_user: ben, roles: [requester]}
agents:
  scout:
    owner: ada
    model: {provider: example, name: model, version: "1"}
    version: "1"
    environment: dev
    template: {purpose: triage, tools: ["notes/read"], calls: 5, minutes: 60, idle_minutes: 10}
    limits: {calls_per_second: 1000, in_flight: 100, open_tasks: 5}
  rival:
    owner: ben
    model: {provider: example, name: model, version: "1"}
    version: "1"
    environment: dev
    tenant: other
connectors:
  notes:
    owner: ada
    environment: dev
    url: http://127.0.0.1:9
    resources: {tier: read, data: {internal: [/uri]}}
    prompts: {tier: read, data: {public: []}}
    tools:
      read: {tier: read, data: {internal: [/path]}}
      add: {tier: write, data: {internal: [/path]}}
      wipe: {tier: privileged, data: {internal: []}}
      quiet: {tier: read, data: {internal: []}, keep: none}
      run:
        data: {internal: []}
        rules:
          - when: {properties: {dry: {const: true}}, required: [dry]}
            tier: read
          - when: {properties: {dry: {const: false}}, required: [dry]}
            tier: write
  vault:
    owner: ada
    environment: prod
    url: http://127.0.0.1:9
    tools:
      read: {tier: read, data: {secret: []}}
purposes:
  triage:
    owner: ada
    tools: ["notes/*", "notes/prompt:*", "notes/resource:note://*"]
    tiers: [read]
    data_classes: [public, internal]
    environments: [dev]
    calls: 100
  upkeep:
    owner: ada
    tools: ["notes/*", "vault/*"]
    tiers: [read, write, privileged]
    data_classes: [public, internal, secret]
    environments: [dev, prod]
    calls: 1000
"""

_TEXT = {"type": "string"}
_SHAPES: dict[str, dict[str, Any]] = {
    "read": {"type": "object", "properties": {"path": _TEXT}, "required": ["path"]},
    "add": {"type": "object", "properties": {"path": _TEXT, "text": _TEXT, "times": {"type": "integer"}}},
    "wipe": {"type": "object", "properties": {}},
    "quiet": {"type": "object", "properties": {"path": _TEXT}},
    "run": {"type": "object", "properties": {"dry": {"type": "boolean"}, "amount": {"type": "number"}}},
}


def tool(connector: str, name: str, **more: Any) -> Contract:
    """A tool as the simulated server advertises it."""
    body = {"name": name, "description": f"{name} a note", "inputSchema": _SHAPES[name], **more}
    return contract_of(connector, "tool", name=name, body=body)


def advertised() -> dict[str, list[Contract]]:
    """What the simulated servers say of themselves."""
    notes = [tool("notes", name) for name in _SHAPES]
    notes[0] = tool("notes", "read", outputSchema={"type": "object", "properties": {"text": _TEXT}})
    notes.append(contract_of("notes", "prompt", name="sum-up", body={"name": "sum-up", "arguments": [{"name": "of"}]}))
    notes.append(contract_of("notes", "resource", name="note://1", body={"uri": "note://1", "name": "first"}))
    return {"notes": [*notes, _itself("notes")], "vault": [tool("vault", "read"), _itself("vault")]}


def _itself(connector: str) -> Contract:
    return contract_of(connector, "server", name="server", body={"name": connector, "version": "1"})


class ToolServer:
    """The upstream end. It keeps every call it got; `answers` may be replaced by what should happen instead."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.got: list[tuple[Warrant, Outgoing]] = []
        self.arrived = asyncio.Semaphore(0)
        self.ended: list[tuple[str, int]] = []
        self.abandoned: list[str] = []
        self.says: list[tuple[str, dict[str, Any]]] = []
        self.answers: Callable[[Outgoing], Awaitable[Reply]] = self._done
        self.tended: list[tuple[Committed, Outgoing]] = []
        self.tends: Callable[[Outgoing], Awaitable[Reply]] = self._done

    async def forward(self, warrant: Warrant, contract: Contract, *, outgoing: Outgoing, told: Told) -> Reply:
        await self._has_durable_intent(warrant, contract, outgoing)
        self.got.append((warrant, outgoing))
        self.arrived.release()
        for method, params in self.says:
            told(method, msgspec.Raw(msgspec.json.encode(params)))
        return await self.answers(outgoing)

    async def tend(self, committed: Committed, contract: Contract, *, outgoing: Outgoing) -> Reply:
        self.tended.append((committed, outgoing))
        return await self.tends(outgoing)

    async def advertised(self, connector: str) -> Sequence[Contract]:
        return advertised()[connector]

    async def end(
        self, *, task: str | None = None, connector: str | None = None, agent: str | None = None, before: int = 0
    ) -> None:
        self.ended.append((task or connector or agent or "", before))

    def abandon(self, held: str) -> None:
        self.abandoned.append(held)

    async def close(self) -> None:
        pass

    async def _done(self, outgoing: Outgoing) -> Reply:
        return reply(content=[{"type": "text", "text": "done"}], structuredContent={"text": "done"})

    async def _has_durable_intent(self, warrant: Warrant, contract: Contract, outgoing: Outgoing) -> None:
        """Invariants 1 and 3, seen from where it matters: what is on disk names exactly the bytes that arrived."""
        leaf = await self._world.store.leaf(warrant.intent)
        assert leaf is not None, "a call was sent before its intent was durable"
        intent = msgspec.json.decode(leaf, type=Receipt).body
        assert isinstance(intent, Intent)
        sent = Call(
            id="",
            method=outgoing.method,  # type: ignore[arg-type]
            connector=warrant.connector,
            kind="tool",
            name=outgoing.name,
            arguments={},
            shown={},
            answers=outgoing.answers,
            operation=outgoing.operation,
            canonical=outgoing.arguments,
            meta={},
        )
        kept = {value.name: value.data for value in await self._world.store.values(warrant.intent)}
        sent = msgspec.structs.replace(sent, questions=kept.get("questions", b"").decode())
        assert intent.asked.call == warrant.call
        if outgoing.answers is None or "questions" in kept:  # else nobody kept what the answers are to
            assert warrant.digest == call_digest(sent, task=warrant.task, contract=contract.digest)
        assert kept.get("digest", warrant.digest.encode()) == warrant.digest.encode()


def reply(**result: Any) -> Reply:
    """A tool server's successful answer."""
    return Reply(result=msgspec.Raw(msgspec.json.encode(result)), received=1, upstream="notes 1 2026-07-28")


class World:
    """The gateway's inside, with simulated ends. Make one with `made`; `now` is the clock, epoch ms."""

    def __init__(self) -> None:
        self.now = START
        self.free = 10**12
        self._ids = count(1)
        self._directory = Path(tempfile.mkdtemp(prefix="remit-world-"))
        weakref.finalize(self, shutil.rmtree, self._directory)
        self.signer: LedgerSigner = make_signer("world.test/remit")
        self.keys: dict[str, TokenKey] = {}
        self.memory = Memory()
        self.saved: list[bytes] = []

    @classmethod
    async def made(cls, catalogue: str = CATALOGUE, policy: str | None = STARTER) -> Self:
        """A world whose tools are pinned, whose agents are enrolled and whose policy is applied."""
        world = cls()
        await world.start(catalogue)
        if policy is not None:
            await world.policies.apply(world.who(), Files(files={"policy.cedar": policy}))
        for connector, contracts in advertised().items():
            await world.contracts.observe(connector, contracts)
            await world.pin(connector)
        for agent in world.live.view().declared.agents:
            await world.enroll(agent)
        return world

    async def start(self, catalogue: str = CATALOGUE) -> None:
        """Start, or start again over the same memory, as after a restart."""
        self.store = await open_memory(
            signer=self.signer, now=lambda: self.now, salts=self._salt, memory=self.memory, free=lambda: self.free
        )
        self.live = Live(self.store, load(catalogue, "remit.yaml"), digest=digest(catalogue.encode()))
        self.server = ToolServer(self)
        self.contracts = Contracts(self.live, self._clock)
        self.tasks = Tasks(self.live, self.server, now=self._clock, new_id=self._id)
        self.inventory = Inventory(self.live, self.server, now=self._clock)
        self.policies = PolicySets(self.live)
        self.recorder = Recorder(self.store, self._clock)
        self.limiter = Limiter()
        standing = Standing(view=self.live.view, epoch=self.store.epoch, now_ms=self._clock)
        self.ports = Ports(
            store=self.store,
            authenticator=TokenAuthenticator(standing, KeyDirectory(_no_network, self._clock), token_keys={}),
            upstreams=self.server,
            admission=self.limiter,
            tasks=self.tasks,
            denials=self.recorder,
            view=self.live.view,
            policies=self.live.policies,
            recent=Recent(),
            now=self._clock,
            new_id=self._id,
        )
        self.operations = Operations(self.ports)
        self.sweep = Sweep(self.ports)

    def who(self, name: str = "ada") -> Who:
        """A person of the catalogue, as the socket would prove them."""
        row = self.live.view().declared.people[name]
        actor = Actor(name=name, kind="human", via="socket")
        return Who(actor=actor, id=f"person/{name}", roles=frozenset(row.roles))

    async def enroll(self, agent: str) -> None:
        self.keys[agent] = make_key(self._directory / f"{agent}-{self._id()}")
        await self.inventory.enroll(self.who(), agent, jwk=dict(self.keys[agent].public.jwk))

    async def pin(self, target: str) -> None:
        shown = self.contracts.difference(self.who(), target)
        await self.contracts.pin(self.who(), Pin(target=target, digest=shown.digest))

    async def drift(self, contract: Contract) -> None:
        """The server now advertises this instead of what it did."""
        others = [known for known in advertised()[contract.connector] if known.key != contract.key]
        await self.contracts.observe(contract.connector, [*others, contract])

    async def drift_of(self, name: str) -> None:
        await self.drift(tool("notes", name, description="something else"))

    async def restarted(self, catalogue: str = CATALOGUE) -> None:
        """As after an orderly stop and a new start over what was stored."""
        await self.store.close()
        await self.start(catalogue)

    async def task(self, agent: str = "scout", purpose: str = "triage", by: str = "ada", **spec: Any) -> Task:
        return await self.tasks.open(self.who(by), TaskSpec(agent=agent, purpose=purpose, **spec))

    async def move(self, task: Task, move: Move, by: str = "ada") -> Task:
        return await self.tasks.move(self.who(by), task.id, move=move, given=Given())

    async def revoke(self, what: Any, name: str) -> None:
        await self.inventory.revoke(self.who(), Revocation(what=what, name=name, reason="a test"))

    async def restore(self, what: Any, name: str) -> None:
        await self.inventory.restore(self.who(), Revocation(what=what, name=name, reason="a test"))

    def token(self, agent: str = "scout", task: str | None = None, audience: str = f"{URL}/mcp/notes") -> str:
        issuer = LocalIssuer(self.keys[agent], "world.test")
        return issuer.mint(agent, audience=audience, now_s=self.now // 1000, task=task)

    def ask(self, task: Task | None, name: str = "read", /, **more: Any) -> Ask:
        """A call of one of `notes`' tools; `more` overrides fields of the ask, `arguments` those of the call."""
        arguments = more.pop("arguments", {"path": "a"} if name == "read" else {})
        fields = {
            "method": "tools/call",
            "params": {"name": name, "arguments": arguments},
            "token": self.token(more.pop("agent", "scout")),
            "audience": f"{URL}/mcp/notes",
            "connector": "notes",
            "task": task.id if task is not None else None,
        }
        return Ask(**(fields | more))

    async def call(self, task: Task | None, name: str = "read", /, **more: Any) -> Answered:
        return await self.answer(self.ask(task, name, **more))

    async def answer(self, ask: Ask) -> Answered:
        return await self.carry(self.case(ask))

    async def carry(self, case: Case) -> Answered:
        return await answer(case, self.ports)

    async def follow(self, task: Task | None, operation: str, does: str = "get", **more: Any) -> Answered | Followed:
        """What the agent does about an operation of its own; `answers` goes with `update`."""
        answers = {"inputResponses": more.pop("answers")} if "answers" in more else {}
        fields = {"method": f"tasks/{does}", "params": {"taskId": operation, **answers}}
        return await self.operations.answer(self.case(self.ask(task, **(fields | more))))

    def fails(self, *, sent: bool, why: Any = None) -> Callable[[Outgoing], Awaitable[Reply]]:
        """Instead of answering, the way to the server fails; `sent` says whether the call may have arrived."""

        async def failing(outgoing: Outgoing) -> Reply:
            raise UpstreamFault("as the test wants it", sent=sent, why=why)

        return failing

    def case(self, ask: Ask) -> Case:
        return Case(ask, self._id(), received=self.now)

    async def listed(self, task: Task | None, kind: ContractKind = "tool", **more: Any) -> tuple[str, ...] | Refusal:
        found = await list_reach(self.case(self.ask(task, **more)), kind, world=self.ports)
        return found if isinstance(found, Refusal) else tuple(contract.target for contract in found)

    async def receipts(self) -> list[Receipt]:
        await self.settled()
        size = len(self.memory.leaves)
        return [msgspec.json.decode(leaf, type=Receipt) async for _, leaf in self.store.leaves(0, size)]

    async def bodies(self, kind: type[Any]) -> list[Any]:
        return [receipt.body for receipt in await self.receipts() if isinstance(receipt.body, kind)]

    async def settled(self) -> None:
        """Everything sequenced is durable."""
        await self.store.write(Write())

    async def holds(self) -> Report:
        """The ledger verifies, also against every checkpoint saved before, and agrees with the tool server."""
        await self.settled()
        directory = self._directory / f"export-{self._id()}"
        made = await export(self.store, directory, keys=[self.signer.verifier_key()])
        read = bundle.read({path.name: path.read_bytes() for path in directory.iterdir()})
        assert read == made
        report = verify(read, [parse_key(self.signer.verifier_key())], self.saved)
        self.saved.append(read.checkpoint)
        receipts = [msgspec.json.decode(leaf, type=Receipt) for leaf in read.leaves]
        self._agrees(receipts)
        return report

    def _agrees(self, receipts: Sequence[Receipt]) -> None:
        intents = {receipt.seq: receipt.body for receipt in receipts if isinstance(receipt.body, Intent)}
        outcomes = Counter(receipt.body.intent for receipt in receipts if isinstance(receipt.body, Outcome))
        assert all(number == 1 for number in outcomes.values())
        sent = Counter(warrant.call for warrant, _ in self.server.got)
        assert sent <= Counter(intent.asked.call for intent in intents.values())
        assert all(receipt.body.reason for receipt in receipts if isinstance(receipt.body, Denial))

    def _clock(self) -> int:
        return self.now

    def _id(self) -> str:
        return f"id{next(self._ids):06}"

    def _salt(self) -> bytes:
        return next(self._ids).to_bytes(16, "big")


async def _no_network(source: Any) -> bytes:
    raise UpstreamFault("the simulated world has no network", sent=False)


def kinds(receipts: Sequence[Receipt]) -> Mapping[str, int]:
    """How many receipts there are of each kind."""
    return Counter(type(receipt.body).__name__ for receipt in receipts)
