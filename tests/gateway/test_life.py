"""A gateway's life: how it ends, how it comes back, and what stops it from passing anything."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from remit.ledger.bundle import read_published
from remit.ledger.receipt import Alarm, GatewayEvent, Intent, Outcome
from tests.gateway.running import UP, House, Upstream, a_house, talking, until

pytestmark = pytest.mark.slow

SHIFTED = Path(__file__).with_name("shifted.py")


@pytest.mark.holds("INV-09")
async def test_sigterm_lets_a_running_call_end_and_closes_the_record(own: tuple[House, Upstream]) -> None:
    house, upstream = own
    token = house.token(task=house.open())
    async with talking(house) as agent:
        running = asyncio.ensure_future(agent.call("slow", {"n": 1}, token=token))
        await asyncio.to_thread(until, upstream.calls, "the call did not arrive")
        assert await asyncio.to_thread(house.stop) == 0
        assert (await running).value == {"n": 1}
    record = house.record()
    assert record.report.open_intents == ()
    assert [event.event for event in record.bodies(GatewayEvent)][-2:] == ["started", "stopped"]
    assert isinstance(record.receipts[-1].body, GatewayEvent)


@pytest.mark.holds("LEDGER-UNKNOWN", "INV-01-ONCE")
async def test_a_start_after_a_kill_records_the_open_call_as_unknown(own: tuple[House, Upstream]) -> None:
    house, upstream = own
    token = house.token(task=house.open())
    async with talking(house) as agent:
        running = asyncio.ensure_future(agent.call("slow", {"n": 1}, token=token))
        await asyncio.to_thread(until, upstream.calls, "the call did not arrive")
        house.kill()
        with pytest.raises(aiohttp.ClientError):
            await running
    left = house.record()
    (cut_off,) = left.report.open_intents
    assert isinstance(left.receipts[cut_off].body, Intent)
    house.start()
    record = house.record(left.bundle.checkpoint)
    assert [(one.intent, one.outcome) for one in record.bodies(Outcome)] == [(cut_off, "unknown")]
    assert len(upstream.settled()) == 1


def test_a_second_gateway_over_the_same_home_refuses_to_start(own: tuple[House, Upstream]) -> None:
    house, _ = own
    second = subprocess.run([*UP, str(house.home.root)], capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 7
    assert "runs already" in second.stderr
    assert "Traceback" not in second.stderr
    assert house.door.get("/v1/status")["version"]


@pytest.mark.holds("TAMPER-TAIL")
def test_checkpoints_are_delivered_to_a_file_outside_the_store(tmp_path: Path) -> None:
    outside = tmp_path / "witness" / "checkpoints"
    outside.parent.mkdir()
    with a_house(tmp_path, gateway=f"  checkpoint_to: {outside}") as (house, _):

        def published() -> tuple[bytes, ...]:
            return read_published(outside.read_bytes()) if outside.exists() else ()

        first = until(published, "no checkpoint was delivered")
        house.open()
        until(lambda: len(published()) > len(first), "no further checkpoint was delivered")
        house.record(*published())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with little more room than the reserve."""
    where = tmp_path / "disk"
    where.mkdir()
    command = ("mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", str(where))
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small disk has to be mounted, which takes root and the right to mount")
    yield where
    subprocess.run(["umount", str(where)], check=True)


@pytest.mark.holds("LIMIT-DISK", "INV-02-GROUND")
async def test_below_the_disk_reserve_nothing_passes_until_there_is_room_again(small_disk: Path) -> None:
    with a_house(small_disk) as (house, upstream):
        token = house.token(task=house.open(purpose="work"))
        async with talking(house) as agent:

            async def said() -> str:
                return (await agent.call("add", {"n": 1}, token=token)).reason

            assert await said() == ""
            filler = small_disk / "filler"
            filler.write_bytes(b"x" * 24 * 1024 * 1024)
            await _comes_to(said, {"commit.disk", "commit.store"})
            before = len(upstream.settled())
            assert await said() != ""
            assert len(upstream.settled()) == before
            filler.unlink()
            await _comes_to(said, {""})
        assert any(alarm.alarm.startswith("disk") for alarm in house.record().bodies(Alarm))


@pytest.mark.holds("INV-14")
async def test_a_clock_that_was_set_back_lets_nothing_pass_until_it_has_caught_up(own: tuple[House, Upstream]) -> None:
    house, upstream = own
    shift = house.home.root / "shift"
    shift.write_text("0")
    house.stop()
    house.start((sys.executable, str(SHIFTED), str(shift)))
    token = house.token(task=house.open())
    async with talking(house) as agent:
        assert (await agent.call("echo", {"n": 1}, token=token)).reason == ""
        before = len(upstream.settled())
        shift.write_text("-20000")
        assert (await agent.call("echo", {"n": 2}, token=token)).reason in ("clock.regressed", "commit.store")
        assert len(upstream.settled()) == before
        shift.write_text("0")
        assert (await agent.call("echo", {"n": 3}, token=token)).reason == ""


async def test_a_client_that_goes_away_leaves_no_call_open(own: tuple[House, Upstream]) -> None:
    house, upstream = own
    token = house.token(task=house.open())
    async with talking(house) as agent:
        running = asyncio.ensure_future(agent.call("slow", {"n": 1}, token=token))
        await asyncio.to_thread(until, upstream.calls, "the call did not arrive")
        running.cancel()
    await asyncio.to_thread(until, lambda: house.record().bodies(Outcome), "the outcome was not recorded")
    (ended,) = house.record().bodies(Outcome)
    assert ended.outcome == "cancelled_unknown"


async def _comes_to(said: Callable[[], Awaitable[str]], wanted: set[str]) -> None:
    """Free space is looked up once a second, so what is said changes within that."""
    async with asyncio.timeout(30):
        while (await said()) not in wanted:  # noqa: ASYNC110 - another process decides when
            await asyncio.sleep(0.05)
