"""Kill the gateway under load, again and again: is what reached the tool server what the record says?

The tool server is the oracle. It runs in a process of its own and has the hash of each call's argument bytes on disk
before it answers. After every kill the record is read as the crash left it and compared; then the gateway starts again,
and what it makes of the calls that were cut off is compared too.
"""

import asyncio
import os
import random
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec import Raw

from remit.call import Call, call_digest
from remit.edge.store.driver import POINTS
from remit.errors import RemitError
from remit.ledger.receipt import Intent, Outcome
from tests.crash.gateway_load import Asked, Load
from tests.gateway.running import House, Record, Upstream, a_house, until

pytestmark = [pytest.mark.slow, pytest.mark.crash]

HOMES = 26 if os.environ.get("REMIT_LONG") == "1" else 1
KILLS = 20
BUDGET = 25
FUSED = Path(__file__).with_name("gateway_fused.py")


class Told:
    """What a record says of calls: how often each digest was intended, and how each intent ended."""

    def __init__(self, record: Record) -> None:
        self.intents = {r.seq: r for r in record.receipts if isinstance(r.body, Intent)}
        self.ends = {r.body.intent: r.body.outcome for r in record.receipts if isinstance(r.body, Outcome)}
        digests = {value.seq: value.data.decode() for value in record.bundle.values if value.name == "digest"}
        self.intended = Counter(digests[seq] for seq in self.intents)
        self.completed = Counter(digests[seq] for seq in self.intents if self.ends.get(seq) == "completed")
        self._contracts = {r.body.asked.name: r.body.asked.contract for r in self.intents.values()}

    def digest(self, asked: Asked) -> str:
        """What the record must call it: the digest that binds task, tool, contract and exactly these bytes."""
        contract = self._contracts.get(asked.tool, "never intended")
        call = Call(
            id="",
            method="tools/call",
            kind="tool",
            connector="desk",
            name=asked.tool,
            arguments={},
            shown={},
            canonical=Raw(asked.arguments),
            meta={},
        )
        return call_digest(call, task=asked.task, contract=contract)

    def spent(self, task: str) -> int:
        """What a task used of its budget."""
        return sum(r.task == task and self.ends.get(seq) != "not_sent" for seq, r in self.intents.items())


class Crashes:
    """One home that is killed and started again; `notes` are checkpoints somebody else saved meanwhile."""

    def __init__(self, house: House, upstream: Upstream, chance: random.Random) -> None:
        self.house, self.upstream, self.chance = house, upstream, chance
        self.load = Load(house, chance)
        self.notes = [house.checkpoint()]
        self.narrow: list[str] = []
        self.unknown = 0
        house.kill()
        self.left = house.record(*self.notes)

    def strike(self, kill: int) -> None:
        """Start it again, compare what it made of the last crash, load it, kill it, compare what that left."""
        point = None if kill % 2 else POINTS[kill // 2 % len(POINTS)]
        fused = self._start(point)
        self._recovered()
        try:
            wide, narrow = self.house.open(purpose="work"), self.house.open(purpose="work", calls=BUDGET)
            self.narrow.append(narrow)
            tokens = {task: self.house.token(task=task) for task in (wide, narrow)}
            self.notes.append(self.house.checkpoint())
            asyncio.run(self._loaded(tokens, fused=fused))
        except RemitError:  # it was killed while people were at its door
            pass
        self.house.kill()
        self.left = self.house.record(*self.notes)
        self.notes.append(self.left.bundle.checkpoint)
        self._compare(Told(self.left))

    def end(self) -> None:
        """Start it once more and stop it in order: nothing is open any more."""
        self.house.start()
        self._recovered()
        assert self.house.stop() == 0
        assert self.house.record(*self.notes).report.open_intents == ()

    def _start(self, point: str | None) -> bool:
        """Start it, with a fuse at a point of a group commit if one is named; whether it now runs with one.

        A fuse may blow during the start itself; then it is started again without.
        """
        if point is not None:
            nth = str(self.chance.randrange(1, 120))
            self.house.begin((sys.executable, str(FUSED), point, nth))
            until(lambda: self.house.ended() or self.house.ready(), "the gateway neither started nor died")
            if not self.house.ended():
                return True
        self.house.start()
        return False

    async def _loaded(self, tokens: dict[str, str], *, fused: bool) -> None:
        running = asyncio.ensure_future(self.load.run(tokens))
        if not fused:
            await asyncio.sleep(self.chance.uniform(0.02, 0.5))
            self.house.kill()
        await asyncio.wait_for(running, 60)

    def _compare(self, told: Told) -> None:
        """What reached the tool server is on record, as often and no more often, and within every budget."""
        reached = self.upstream.settled()
        assert Counter(self.upstream.oracle()) == Counter(sha256(one.raw).hexdigest() for one in reached)
        sent = Counter(Asked(one.arguments["by"], one.tool, one.raw) for one in reached)
        assert sent.keys() <= set(self.load.asked)
        assert {asked: n for asked, n in sent.items() if n > told.intended[told.digest(asked)]} == {}
        released = Counter(asked for asked in self.load.told if asked.tool == "add")
        assert {asked: n for asked, n in released.items() if n > told.completed[told.digest(asked)]} == {}
        for task in self.narrow:
            assert told.spent(task) <= BUDGET
            assert sum(n for asked, n in sent.items() if asked.task == task) <= BUDGET

    def _recovered(self) -> None:
        """The record goes on from what the crash left, and every call it cut off is said to be unknown."""
        now = self.house.record(*self.notes)
        assert now.bundle.leaves[: len(self.left.bundle.leaves)] == self.left.bundle.leaves
        ends = Told(now).ends
        cut_off = self.left.report.open_intents
        assert [ends.get(seq) for seq in cut_off] == ["unknown"] * len(cut_off)
        self.unknown += len(cut_off)


@pytest.mark.holds("LEDGER-CRASH", "LEDGER-UNKNOWN", "INV-01", "INV-01-ONCE", "INV-03", "INV-09", "INV-13")
@pytest.mark.parametrize("number", range(HOMES))
def test_whatever_is_killed_the_record_holds_what_was_sent(tmp_path: Path, number: int) -> None:
    chance = random.Random(number)
    with a_house(tmp_path) as (house, upstream):
        crashes = Crashes(house, upstream, chance)
        for kill in range(KILLS):
            crashes.strike(kill)
        crashes.end()
    print(
        f"{KILLS} kills: {len(crashes.load.asked)} calls asked, {len(upstream.calls())} reached the tool server, "
        f"{crashes.unknown} were cut off, {len(crashes.left.receipts)} receipts"
    )
    assert crashes.load.told
    assert crashes.unknown > 0
