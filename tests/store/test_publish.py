"""Checkpoints outside the store: delivered once each, an alarm when they are not, and never in a call's way."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web

from remit.commit.model import Write
from remit.edge.store.publish import Publisher, append
from remit.errors import Unverified
from remit.ledger.bundle import read_published
from remit.ledger.verify import verify
from tests.ledger.story import denial, forged, key, noise, signer
from tests.store.world import World


def publisher(world: World, store: object, to: str) -> Publisher:
    return Publisher(store, to, on_alarm=lambda alarm, detail: world.alarms.append((alarm, detail)), every_s=0.001)


async def test_each_new_checkpoint_is_added_to_the_file_once(world: World, tmp_path: Path) -> None:
    async with world.opened() as store:
        out = publisher(world, store, str(tmp_path / "checkpoints"))
        await store.write(Write(drafts=(noise(),)))
        await out.publish()
        await out.publish()
        await store.write(Write(drafts=(noise(),)))
        await out.publish()
        newest = await store.checkpoint()
        found = read_published((tmp_path / "checkpoints").read_bytes())
        assert len(found) == 2
        assert found[-1] == newest
        await world.verified(store, found)
    assert world.alarms == []
    assert (tmp_path / "checkpoints").stat().st_mode & 0o777 == 0o600


async def test_a_published_checkpoint_shows_a_ledger_rewritten_with_the_real_key(world: World, tmp_path: Path) -> None:
    async with world.opened() as store:
        await store.write(Write(drafts=(denial("c1", "t1"),)))
        await publisher(world, store, str(tmp_path / "checkpoints")).publish()
        leaf = await store.leaf(0) or b""
    rewritten = forged([leaf.replace(b"policy.denied", b"call.malformed")])
    verify(rewritten, [key(signer())])
    with pytest.raises(Unverified, match="forked"):
        verify(rewritten, [key(signer())], read_published((tmp_path / "checkpoints").read_bytes()))


@pytest.mark.parametrize("torn", [b'"half a li', b'"' + b"x" * 100])
def test_a_line_that_a_crash_tore_is_cut_off_before_the_next(tmp_path: Path, torn: bytes) -> None:
    append(tmp_path / "out", b"one")
    with (tmp_path / "out").open("ab") as file:
        file.write(torn)
    append(tmp_path / "out", b"two")
    assert read_published((tmp_path / "out").read_bytes()) == (b"one", b"two")


@pytest.mark.holds("TAMPER-TAIL")
async def test_a_ledger_put_back_from_a_backup_is_an_alarm_and_not_published_after_the_later_one(
    tmp_path: Path,
) -> None:
    world, backup = World("sqlite", tmp_path), tmp_path / "backup"
    async with world.opened() as store:
        await store.write(Write(drafts=(noise(),)))
    shutil.copy(world.path, backup)
    async with world.opened() as store:
        await store.write(Write(drafts=(denial("c1", "t1"),)))
        await publisher(world, store, str(tmp_path / "out")).publish()
        later = await store.checkpoint()
    shutil.copy(backup, world.path)
    async with world.opened() as store:
        for _ in range(2):
            await publisher(world, store, str(tmp_path / "out")).publish()
            await store.write(Write(drafts=(noise(),)))
    assert [detail.rpartition(": ")[2] for _, detail in world.alarms] == [
        "it holds a checkpoint of 2 receipts that this ledger does not extend"
    ] * 2
    assert read_published((tmp_path / "out").read_bytes()) == (later,)


async def test_a_checkpoint_that_only_half_fits_on_the_disk_is_an_alarm_and_sent_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    async with world.opened() as store:
        await store.write(Write(drafts=(noise(),)))
        sending = publisher(world, store, str(tmp_path / "out"))
        with monkeypatch.context() as full:
            full.setattr("remit.edge.store.publish.os.write", lambda handle, data: write(handle, data[:9]))
            await sending.publish()
        assert [alarm for alarm, _ in world.alarms] == ["checkpoint_not_delivered"]
        await sending.publish()
        assert read_published((tmp_path / "out").read_bytes()) == (await store.checkpoint(),)


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that tells nobody when it happens; the test's own limit ends a wait in vain."""
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


class Receiver:
    """A place to POST checkpoints to."""

    def __init__(self) -> None:
        self.status, self.bodies, self.url = 204, [], ""

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        return web.Response(status=self.status, headers={"Location": "/elsewhere"})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/take", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/take"
    yield receiver
    await runner.cleanup()


async def test_a_url_is_posted_the_note_itself(world: World, receiver: Receiver) -> None:
    async with world.opened() as store:
        await store.write(Write(drafts=(noise(),)))
        await publisher(world, store, receiver.url).publish()
        assert receiver.bodies == [await store.checkpoint()]
    assert world.alarms == []


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_an_answer_that_is_no_yes_is_one_alarm_until_it_works_again(
    world: World, receiver: Receiver, status: int
) -> None:
    async with world.opened() as store:
        out = publisher(world, store, receiver.url)
        receiver.status = status
        for _ in range(3):
            await out.publish()
        assert [alarm for alarm, _ in world.alarms] == ["checkpoint_not_delivered"]
        assert str(status) in world.alarms[0][1]
        receiver.status = 200
        await out.publish()
        assert len(receiver.bodies) == 4
        await store.write(Write(drafts=(noise(),)))
        receiver.status = status
        await out.publish()
        assert len(world.alarms) == 2


@pytest.mark.parametrize("to", ["http://127.0.0.1:1/", "http://[", "/proc/nothing/here"])
async def test_a_place_that_cannot_be_reached_is_an_alarm(world: World, to: str) -> None:
    async with world.opened() as store:
        await publisher(world, store, to).publish()
    assert [alarm for alarm, _ in world.alarms] == ["checkpoint_not_delivered"]


async def test_it_runs_until_it_is_stopped_and_outlives_a_failed_store(world: World, tmp_path: Path) -> None:
    async with world.opened() as store:
        running = asyncio.create_task(publisher(world, store, str(tmp_path / "out")).run())
        for size in range(1, 4):
            await store.write(Write(drafts=(noise(),)))
            await until((tmp_path / "out").exists)
            await until(lambda size=size: len(read_published((tmp_path / "out").read_bytes())) == size)
        world.strike_at = "begin"
        await store.enqueue(Write(drafts=(noise(),)))
        await until(lambda: bool(world.alarms))
        assert not running.done()
        running.cancel()
