"""Killed anywhere, inside the group commit too: the upstream's own file and the ledger agree, and the ledger verifies.

SIGKILL leaves the kernel's page cache alone, so this shows what survives the process; that a commit survives a power
loss rests on SQLite's `synchronous = FULL`.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from remit.commit.model import Write
from remit.edge.store.driver import POINTS
from remit.edge.store.export import export
from remit.edge.store.sequencer import Sequencer
from remit.edge.store.sqlite import open_sqlite
from remit.ledger.receipt import Draft, Intent, Outcome, Receipt
from remit.ledger.verify import Report, verify
from tests.ledger.story import key, signer

KILLS = int(os.environ.get("REMIT_CRASH_POINTS") or (500 if os.environ.get("REMIT_LONG") else 40))
# A ledger is killed this often before the next one begins, so that verifying it stays quick.
KILLS_PER_LEDGER = 20

pytestmark = pytest.mark.crash


class Scene:
    """One ledger, its upstream's file, and what an auditor saved outside after each kill."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path, self.upstream = directory / "remit.db", directory / "upstream"
        self.saved: list[bytes] = []

    async def opened(self) -> Sequencer:
        now, salts = (lambda: int(time.time() * 1000)), (lambda: os.urandom(16))
        return await open_sqlite(self.path, signer=signer(), now=now, salts=salts)

    def noted(self, what: str) -> list[str]:
        lines = self.upstream.read_text().splitlines() if self.upstream.exists() else []
        return [line.removeprefix(f"{what} ") for line in lines if line.startswith(f"{what} ")]

    async def check(self) -> Report:
        """Open what the kill left behind, and hold it against the upstream's file."""
        store = await self.opened()
        try:
            taken = await export(store, self.directory / f"export-{len(self.saved)}", keys=[])
            found = [(seq, intent.asked.name) for seq, intent, _ in store.open_intents()]
            self.saved.append(await store.checkpoint())
        finally:
            await store.close()
        report = verify(taken, [key(signer())], self.saved)
        receipts = [msgspec.json.decode(leaf, type=Receipt) for leaf in taken.leaves]
        intents = {r.seq: r.body.asked.name for r in receipts if isinstance(r.body, Intent)}
        answered = {intents[r.body.intent] for r in receipts if isinstance(r.body, Outcome)}
        got = self.noted("got")
        assert set(got) <= set(intents.values()), "a call reached the upstream without a durable intent"
        assert len(set(got)) == len(got), "a call reached the upstream twice"
        assert set(self.noted("answered")) <= answered, "an outcome that was durable is gone"
        assert found == [(seq, intents[seq]) for seq in report.open_intents], (
            "open intents are not those without outcome"
        )
        return report

    async def settle(self) -> Report:
        """Record what is open as unknown, as the app does at start."""
        store = await self.opened()
        for seq, intent, task in store.open_intents():
            body = Outcome(call=intent.asked.call, intent=seq, outcome="unknown")
            await store.enqueue(Write(drafts=(Draft(body=body, task=task),)))
        await store.close()
        return await self.check()


@pytest.fixture
def victims() -> Iterator[subprocess.Popen]:
    program = [sys.executable, "-m", "tests.crash.gateway"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.stdin.close()


def kill(victims: subprocess.Popen, scene: Scene, chance: random.Random) -> None:
    """One victim, dead at a point of the group commit or at any moment."""
    at_point = chance.random() < 0.6
    job = {
        "path": str(scene.path),
        "upstream": str(scene.upstream),
        "point": chance.choice(POINTS) if at_point else "",
        "count": chance.randint(1, 40),
        "after_s": 0 if at_point else chance.uniform(0.001, 0.15),
    }
    victims.stdin.write(json.dumps(job) + "\n")
    victims.stdin.flush()
    assert victims.stdout.readline().strip() == str(int(signal.SIGKILL)), job


@pytest.mark.holds("LEDGER-CRASH")
async def test_every_call_that_reached_the_upstream_has_its_intent_after_any_kill(
    victims: subprocess.Popen, tmp_path: Path
) -> None:
    chance = random.Random(KILLS)
    calls = left_open = 0
    for ledger in range(-(-KILLS // KILLS_PER_LEDGER)):
        scene = Scene(tmp_path / str(ledger))
        scene.directory.mkdir()
        for _ in range(min(KILLS_PER_LEDGER, KILLS - ledger * KILLS_PER_LEDGER)):
            kill(victims, scene, chance)
            left_open += len((await scene.check()).open_intents)
        assert (await scene.settle()).open_intents == ()
        calls += len(scene.noted("got"))
    print(f"{KILLS} kills, {calls} calls that reached the upstream, {left_open} intents left open")
    # The kills fell where something was going on.
    assert calls > KILLS
    assert left_open > KILLS // 2
