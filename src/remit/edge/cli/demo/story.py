"""The story, in order. Each scene says what it expects; the first that goes otherwise ends the run.

What an agent hears and what the record says are compared separately, because they differ on purpose: a tool outside the
task answers the agent like one that does not exist, and the record says which it was.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from remit.edge.cli.demo.agent import Agent, connected
from remit.edge.cli.demo.setting import catalogue, repository, staged
from remit.edge.cli.demo.stage import Stage, Unexpected, free_port
from remit.edge.cli.output import Screen, now_ms, visible
from remit.edge.cli.records import Record
from remit.edge.cli.timeline import Entry, Timeline
from remit.errors import RemitError
from remit.ledger.receipt import Denial, Outcome

# mcp-server-time says the zone it was started in in its tools' schemas; the second is what it says after a restart.
_ZONES: Final = ("Use 'UTC' as local timezone", "Use 'Asia/Tokyo' as local timezone")
_REQUEST: Final = "See what changed in the repository and stage notes.md. Change nothing else."
_RECORDED_S: Final = 5


class Step(NamedTuple):
    """One call of the agent. `record` is the reason the record gives, empty when it passes; `told` the one the agent
    is given, where that differs.
    """

    why: str
    tool: str
    arguments: dict[str, Any]
    record: str = ""
    told: str = ""


class Story:
    """One run on a stage. `calls` counts what the agent asked."""

    def __init__(self, stage: Stage, screen: Screen) -> None:
        self._stage = stage
        self._screen = screen
        self._repository = stage.root / "repository"
        self._auditor = stage.root / "auditor"
        self._bundle = stage.root / "bundle"
        self._since = now_ms()
        self._seen = 0
        self._timeline = Timeline()
        self._scenes = 0
        self._key = self._task = ""
        self._written = -1
        self.calls = 0

    async def play(self) -> None:
        """The whole story. Raises `Unexpected` where it goes otherwise."""
        await self._scene("A new home: catalogue, keys, the starter policy, an empty ledger", self._home)
        await self._scene("The gateway meets two tool servers, and trusts neither until a person has looked", self._pin)
        await self._scene("The agent gets a key of its own, and a task with bounds", self._open)
        async with _plain(), connected(self._stage.home, "scout", task=self._task) as agent:
            await self._scene("The agent works; every call is decided by itself", lambda: self._work(agent))
            await self._scene("A tool server changes what it says of itself", lambda: self._drift(agent))
            await self._scene("The task ends, and everything with it", lambda: self._end(agent))
        await self._scene("An auditor, with a key and old checkpoints, believes nothing else", self._audit)
        await self._scene("One byte is changed in a copy", self._tamper)

    async def _scene(self, title: str, scene: Callable[[], Awaitable[None]]) -> None:
        self._scenes += 1
        self._say("", self._screen.paint(f"{self._scenes}  {title}", "bold"))
        await scene()

    async def _home(self) -> None:
        made = await self._stage.remit("init")
        self._key = made["ledger_key"]
        repository(self._repository)
        self._auditor.mkdir()
        text = catalogue(port=free_port(), repository=self._repository, checkpoints=self._auditor / "published")
        self._stage.home.catalogue.write_text(text, encoding="utf-8")
        self._say("  remit.yaml: agent scout; tool servers mcp-server-git and mcp-server-time; purpose tidy-notes")

    async def _pin(self) -> None:
        status = await self._stage.up("UTC")
        _expect(status["boundary"] == "same-user", f"the boundary is {status['boundary']}")
        found = await self._stage.contracts("git", "time")
        _expect(all(one["status"] == "new" for one in found), "a contract is trusted that nobody pinned")
        self._say(f"  {len(found)} contracts seen, none pinned: no call of them would pass")
        for connector in ("git", "time"):
            shown = await self._stage.remit("tool", "diff", connector)
            await self._stage.remit("tool", "pin", connector, "--digest", shown["digest"])

    async def _open(self) -> None:
        await self._stage.remit("agent", "enroll", "scout")
        opened = await self._stage.remit(
            *("task", "open", "--agent", "scout", "--purpose", "tidy-notes"),
            *("--tool", "git/git_status", "--tool", "git/git_log", "--tool", "git/git_add", "--tool", "git/git_reset"),
            *("--tool", "time/get_current_time", "--calls", 20, "--minutes", 10, "--text", _REQUEST),
        )
        self._task = opened["task"]["id"]
        self._say(
            "  scout reaches the gateway through `remit connect`, which holds its key; no token stands anywhere",
            "  one OS user runs all of this: Remit calls that `same-user` and lets nothing privileged pass",
        )

    async def _work(self, agent: Agent) -> None:
        self._catch_up()
        here = {"repo_path": str(self._repository)}
        everything = await agent.tools()
        _expect("git/git_create_branch" not in everything, "the agent is shown a tool outside its task")
        for step in (
            Step("a read within the task", "git/git_status", here),
            Step("another one", "git/git_log", {**here, "max_count": 3}),
            Step("another tool server", "time/get_current_time", {"timezone": "Europe/Paris"}),
            Step("a write within the task", "git/git_add", {**here, "files": ["notes.md"]}),
            Step(
                "a tool outside the task looks like none",
                *("git/git_create_branch", {**here, "branch_name": "mine"}, "task.scope", "schema.unknown"),
            ),
            Step("arguments that do not fit", "git/git_log", {**here, "max_count": "all"}, "schema.arguments"),
            Step("another repository", "git/git_status", {"repo_path": "/etc"}, "task.arguments"),
            Step("a privileged tool", "git/git_reset", here, "policy.denied"),
        ):
            entry = await self._call(agent, step)
            if step.tool == "git/git_add":
                self._written = entry.seq
        _expect(staged(self._repository) == "notes.md", "git does not say that notes.md, and only it, is staged")

    async def _drift(self, agent: Agent) -> None:
        await self._stage.down()
        shutil.copy(self._auditor / "published", self._auditor / "checkpoints")
        self._say("  it stops; the auditor keeps the signed checkpoints published so far")
        await self._stage.up("Asia/Tokyo")
        await self._drifted()
        shown = await self._stage.remit("tool", "diff", "time/get_current_time")
        changed = [f"{text[0]} … {zone} …" for text in shown["diff"].splitlines() for zone in _ZONES if zone in text]
        _expect(changed == [f"- … {_ZONES[0]} …", f"+ … {_ZONES[1]} …"], f"another difference is shown: {changed}")
        self._say(*(f"    {text}" for text in changed))
        self._catch_up()
        here = {"repo_path": str(self._repository)}
        now = {"timezone": "Europe/Paris"}
        await self._call(agent, Step("the changed tool waits", "time/get_current_time", now, "schema.quarantined"))
        await self._call(agent, Step("the others go on, and so does the task", "git/git_status", here))

    async def _drifted(self) -> None:
        deadline = time.monotonic() + _RECORDED_S * 2
        while time.monotonic() < deadline:
            found = await self._stage.contracts("time")
            if any(one["target"] == "time/get_current_time" and one["status"] == "drifted" for one in found):
                return
            await asyncio.sleep(0.05)
        raise Unexpected("the changed contract was not noticed")

    async def _end(self, agent: Agent) -> None:
        ended = await self._stage.remit("task", "complete", self._task)
        _expect(ended["task"]["state"] == "completed", "the task is not completed")
        self._catch_up()
        here = {"repo_path": str(self._repository)}
        await self._call(agent, Step("the same call, a moment later", "git/git_status", here, "task.not_open"))

    async def _audit(self) -> None:
        await self._stage.remit("ledger", "export", self._bundle)
        report = await self._verify(self._bundle, code=0)
        _expect(report["receipts"] == report["size"] > 0, "the bundle does not hold every receipt")
        _expect(not report["open_intents"], "a call has no outcome")
        counts = f"{report['receipts']} receipts, {report['values_checked']} values, {report['blobs']} blobs"
        self._say(f"  {counts}: all as recorded")
        why = await self._stage.remit("policy", "explain", self._written, "--bundle", self._bundle)
        _expect(why["decision"]["verdict"] == "ALLOW", "the record does not lead to the same decision")
        policies = ", ".join(why["decision"]["policies"])
        self._say(f"  receipt {self._written} decided again from the bundle alone: ALLOW by {policies}")

    async def _tamper(self) -> None:
        copy = self._stage.root / "copy"
        shutil.copytree(self._bundle, copy)
        leaves = copy / "leaves.jsonl"
        lines = leaves.read_bytes().split(b"\n")
        lines[self._written] = _flipped(lines[self._written])
        leaves.write_bytes(b"\n".join(lines))
        refused = await self._verify(copy, code=8)
        said = refused["error"]["message"]
        _expect(f"receipt {self._written} " in said, f"the verifier does not name receipt {self._written}: {said}")
        self._say(f"  {self._screen.paint('✗', 'bad')} {visible(said)}")

    async def _verify(self, bundle: Path, *, code: int) -> Any:
        typed = ("ledger", "verify", bundle, "--key", self._key, "--checkpoint", self._auditor / "checkpoints")
        return await self._stage.remit(*typed, code=code)

    async def _call(self, agent: Agent, step: Step) -> Entry:
        self.calls += 1
        heard = await agent.call(step.tool, step.arguments)
        told = step.told or step.record
        _expect(heard.refused == told, f"{step.tool}: the agent was told `{heard.refused or heard.text}`, not `{told}`")
        entry = await self._recorded(step)
        sign, style = entry.mark
        when = self._screen.paint(f"{(entry.at - self._since) / 1000:5.1f}s #{entry.seq:<3}", "dim")
        told = f"{self._screen.paint(sign, style)} {step.why:<40} {step.tool:<22}"
        self._say(f"  {when} {told} {visible(entry.became, most=90)}")
        return entry

    async def _recorded(self, step: Step) -> Entry:
        deadline = time.monotonic() + _RECORDED_S
        while time.monotonic() < deadline:
            for entry in self._news():
                _expect(entry.what == step.tool, f"{entry.what} is on record, not {step.tool}")
                expected = f"DENY   {step.record}" if step.record else "ALLOW  completed"
                fits = entry.became.startswith(expected)
                _expect(fits, f"{step.tool}: on record is `{entry.became}`, not `{expected}`")
                return entry
            await asyncio.sleep(0.01)
        raise Unexpected(f"{step.tool} is not on record")

    def _news(self) -> list[Entry]:
        found: list[Entry] = []
        with Record(self._stage.home) as record:
            for receipt, _ in record.receipts(self._seen):
                self._seen = receipt.seq + 1
                entries = record.entries(receipt, self._timeline)
                found += entries if isinstance(receipt.body, Denial | Outcome) else ()
        return found

    def _catch_up(self) -> None:
        self._news()

    def _say(self, *lines: str) -> None:
        self._screen.say(*lines)


@asynccontextmanager
async def _plain() -> AsyncIterator[None]:
    """What went wrong while the client was open comes out of it in a group: take it out again."""
    try:
        yield
    except BaseExceptionGroup as group:
        ours = next(_ours(group), None)
        if ours is None:
            raise
        raise ours from group


def _ours(group: BaseExceptionGroup[BaseException]) -> Iterator[RemitError]:
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _ours(one)
        elif isinstance(one, RemitError):
            yield one


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Unexpected(otherwise)


def _flipped(leaf: bytes) -> bytes:
    at = leaf.index(b"git_add")
    return leaf[:at] + bytes([leaf[at] ^ 1]) + leaf[at + 1 :]
