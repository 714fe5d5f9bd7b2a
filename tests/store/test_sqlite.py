"""What only a file can suffer: other hands, other versions, other processes."""

import asyncio
import contextlib
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from remit.commit.model import Reserve, Write
from remit.edge.keys.signing import rotation
from remit.edge.store import recovery, sqlite
from remit.edge.store.export import export
from remit.edge.store.lock import Lock, beside
from remit.edge.store.sequencer import Sequencer
from remit.edge.store.sqlite import open_readonly, open_sqlite
from remit.errors import StoreFault, Unverified
from remit.ledger.checkpoint import verify as verify_note
from remit.ledger.merkle import leaf_hash
from remit.ledger.receipt import Draft
from remit.ledger.verify import verify
from tests.ledger.story import OPERATOR, denial, erasure, intent, key, noise, outcome, signed, signer
from tests.store.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World("sqlite", tmp_path)


async def filled(world: World) -> list[bytes]:
    """Three receipts and a closed store; their leaves."""
    async with world.opened() as store:
        await store.write(Write(drafts=(noise(), intent("c1", "t1", arguments=b"{}"))))
        await store.write(Write(drafts=(denial("c2", "t1"),)))
        return [leaf async for _, leaf in store.leaves(0, 9)]


def edit(world: World, sql: str, *arguments: object) -> None:
    with sqlite3.connect(world.path) as db:
        db.execute(sql, arguments)
    db.close()


async def test_the_file_is_its_owner_s_alone(world: World) -> None:
    await filled(world)
    async with world.opened():
        for file in world.directory.glob("remit.db*"):
            assert file.stat().st_mode & 0o077 == 0


TAMPERED = {
    "a leaf": ("UPDATE leaves SET leaf = CAST(replace(leaf, 'c2', 'c3') AS BLOB) WHERE seq = 2", "lead to the root"),
    "a leaf gone": ("DELETE FROM leaves WHERE seq = 1", "receipt 1 is not"),
    "the last leaf gone": ("DELETE FROM leaves WHERE seq = 2", "there are 2 receipts, the checkpoint is of 3"),
    "a leaf too many": ("INSERT INTO leaves VALUES (3, NULL, x'7b7d', NULL)", "there are 4 receipts, the checkpoint"),
    "the size": ("UPDATE now SET size = 2", "has 2 receipts, its checkpoint 3"),
    "the checkpoint's text": ("UPDATE now SET checkpoint = x'00'", "is not origin, size, root"),
    "an open intent that is none": ("UPDATE now SET open = '[0]'", "receipt 0 is marked as an open intent"),
    "an open intent that is not there": ("UPDATE now SET open = '[9]'", "receipt 9 is marked as an open intent"),
    "the list of open intents": ("UPDATE now SET open = '[0,'", "open intents cannot be read"),
    "the row of marks": ("DELETE FROM now", "holds no checkpoint"),
    "the schema's version": ("PRAGMA user_version = 1", "no store of schema 2"),
    "the version wiped out": ("PRAGMA user_version = 0", "no store of schema 2"),
}  # fmt: skip

# In a ledger long enough for tiles, but not for every leaf to be read at open.
TILES_TAMPERED = {
    "a hash": ("UPDATE tiles SET hashes = CAST(substr(hashes, 33) || zeroblob(32) AS BLOB) WHERE n < 1", "to the root"),
    "a hash too few": ("UPDATE tiles SET hashes = substr(hashes, 33) WHERE n = 1", "hash of receipt 256 is missing"),
    "half a hash": ("UPDATE tiles SET hashes = substr(hashes, 2) WHERE n = 1", "ends in the middle"),
    "a tile gone": ("DELETE FROM tiles WHERE n = 0", "the hash of receipt 0 is missing"),
    "a late leaf under a tile": ("UPDATE leaves SET leaf = x'7b7d' WHERE seq = 700", "receipt 700 is not the one"),
    "the last tile gone": ("DELETE FROM tiles WHERE n = 3", "of 1100 receipts, there are tiles of 768"),
    "a tile too many": ("INSERT INTO tiles SELECT 4, hashes FROM tiles WHERE n = 0", "there are tiles of 1280"),
    "an early leaf": ("UPDATE leaves SET leaf = x'7b7d' WHERE seq = 1", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
async def test_a_store_that_does_not_hold_together_is_not_opened(world: World, name: str) -> None:
    await filled(world)
    sql, expected = TAMPERED[name]
    edit(world, sql)
    with pytest.raises(StoreFault, match=expected):
        await world.open()
    # The lock was let go.
    with pytest.raises(StoreFault, match=expected):
        await world.open()


@pytest.mark.parametrize("name", TILES_TAMPERED)
async def test_hashes_that_do_not_fit_the_leaves_are_not_believed(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "REHASHED", 512)
    async with world.opened() as store:
        await asyncio.gather(*(store.write(Write(drafts=(noise(),) * 50)) for _ in range(22)))
    sql, expected = TILES_TAMPERED[name]
    edit(world, sql)
    if expected:
        with pytest.raises(StoreFault, match=expected):
            await world.open()
        return
    # Not looked at when it opens; whoever verifies the ledger finds it.
    async with world.opened() as store:
        with pytest.raises(Unverified, match="receipt 1"):
            await world.verified(store)


async def test_leaf_hashes_are_the_same_out_of_tiles_and_leaves(world: World) -> None:
    async with world.opened() as store:
        for count in (255, 1, 1, 511, 40):
            await store.write(Write(drafts=(noise(),) * count))
        whole = b"".join([leaf_hash(leaf) async for _, leaf in store.leaves(0, 9999)])
        for start, stop in [
            (0, 808),
            (0, 256),
            (3, 255),
            (255, 257),
            (300, 301),
            (511, 808),
            (790, 900),
            (5, 5),
            (900, 999),
        ]:
            assert await store.leaf_hashes(start, stop) == whole[start * 32 : max(start, stop) * 32]
    async with world.opened() as again:
        await again.write(Write(drafts=(noise(),) * 300))
        assert (await world.verified(again)).receipts == 1108


async def test_a_file_of_an_older_schema_is_refused_by_writer_and_reader(world: World) -> None:
    with sqlite3.connect(world.path) as db:
        db.execute("CREATE TABLE leaves (seq INTEGER PRIMARY KEY)")
        db.execute("PRAGMA user_version = 1")
    db.close()
    for opening in (world.open(), open_readonly(world.path)):
        with pytest.raises(StoreFault, match="no store of schema 2"):
            await opening


async def test_values_that_cannot_be_read_are_a_store_fault(world: World) -> None:
    await filled(world)
    edit(world, "UPDATE leaves SET kept = x'91' WHERE seq = 1")
    async with world.opened() as store:
        with pytest.raises(StoreFault, match="the values beside receipt 1"):
            await store.values(1)


async def test_counters_of_any_name_are_kept(world: World) -> None:
    names = ("task/t/calls", 'a"b', "back\\slash", "new\nline", "\u00e9\u4e16\U0001f600", "$[0]", "'--")
    for _ in range(2):
        async with world.opened() as store:
            await store.write(Write(reserves=tuple(Reserve(counter=name, amount=n) for n, name in enumerate(names))))
    async with world.opened() as store:
        assert store.counters("") == {name: 2 * n for n, name in enumerate(names)}


async def test_a_checkpoint_signed_by_nobody_known_is_not_opened(world: World) -> None:
    leaves = await filled(world)
    edit(world, "UPDATE now SET checkpoint = ?", signed(leaves, signer("thief")))
    with pytest.raises(StoreFault, match="signed by no trusted key"):
        await world.open()


async def test_a_shorter_checkpoint_of_our_own_is_not_opened(world: World) -> None:
    leaves = await filled(world)
    edit(world, "UPDATE now SET checkpoint = ?", signed(leaves[:2], signer()))
    with pytest.raises(StoreFault, match="there are 3 receipts, the checkpoint is of 2"):
        await world.open()


async def test_something_else_is_not_opened(world: World) -> None:
    world.path.write_bytes(b"this is no database at all, but a text that is long enough to be looked at" * 9)
    with pytest.raises(StoreFault, match="cannot be read or written"):
        await world.open()
    with pytest.raises(StoreFault, match="cannot be read or written"):
        await open_readonly(world.path)


async def test_an_empty_file_is_filled_as_after_a_crash_in_making_it(world: World) -> None:
    world.path.touch()
    async with world.opened() as store:
        assert (await world.verified(store)).receipts == 0


async def test_nothing_there_is_nothing_to_read(world: World) -> None:
    with pytest.raises(StoreFault):
        await open_readonly(world.path)
    assert not world.path.exists()
    with pytest.raises(StoreFault, match="lock"):
        await open_sqlite(world.directory / "no" / "x.db", signer=signer(), now=lambda: 0, salts=lambda: b"")


async def test_a_reader_sees_the_durable_ledger_while_the_gateway_writes_and_after(world: World) -> None:
    async with world.opened() as store:
        await store.write(Write(drafts=(intent("c1", "t1", arguments=b"{}"),)))
        reader = await open_readonly(world.path)
        assert verify_note(await reader.checkpoint(), [key(world.signer)]).size == 1
        await store.write(Write(drafts=(outcome("c1", "t1", 0),)))
        assert verify_note(await reader.checkpoint(), [key(world.signer)]).size == 2
        taken = await export(reader, world.directory / "taken", keys=[])
        assert verify(taken, [key(world.signer)]).receipts == 2
    assert await reader.leaf(1) is not None
    await reader.close()
    again = await open_readonly(world.path)
    assert [seq async for seq, _ in again.leaves(0, 9, task="t1")] == [0, 1]
    await again.close()


async def test_a_rotated_key_opens_what_the_old_one_closed(world: World) -> None:
    old, new = signer("old"), signer("new")
    world.signer = old
    async with world.opened() as store:
        await store.write(Write(drafts=(noise(), Draft(body=rotation(old, new, actor=OPERATOR)))))
        before = await store.checkpoint()
    world.signer = new
    async with world.opened() as store:
        await store.write(Write(drafts=(noise(),)))
        await world.verified(store, (before,))
        taken = await world.exported(store)
        assert verify(taken, [key(old)], [before]).receipts == 3
    world.signer = old
    with pytest.raises(StoreFault, match="no trusted key"):
        await world.open()


async def test_a_key_that_nobody_handed_over_to_opens_nothing_unless_the_old_is_named(world: World) -> None:
    await filled(world)
    world.signer = signer("new")
    with pytest.raises(StoreFault, match="no trusted key"):
        await world.open()
    keys = [key(signer())]
    store = await open_sqlite(world.path, signer=world.signer, now=lambda: world.at, salts=lambda: b"", keys=keys)
    await store.close()


async def test_the_log_is_copied_back_beside_the_writer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "SWEEP_BYTES", 64 * 1024)
    log, calls, value = world.directory / "remit.db-wal", 0, b"x" * 40_000
    async with world.opened() as store:
        # Swept, the log begins again in its own file; else it would always hold all that was ever written.
        while calls < 20 or calls * len(value) < 2 * log.stat().st_size:
            await store.write(Write(drafts=(intent(f"c{calls}", "t1", arguments=value),)))
            calls += 1
        assert (await world.verified(store)).values_checked == calls
    assert not log.exists()


async def test_an_erasure_is_cut_out_of_the_log_once_no_reader_is_in_the_way(world: World) -> None:
    async with world.opened() as store:
        await store.write(Write(drafts=(intent("c1", "t1", arguments=b"THE-SECRET"),)))
        in_the_way = sqlite3.connect(world.path)
        in_the_way.execute("BEGIN")
        in_the_way.execute("SELECT count(*) FROM leaves").fetchall()
        await store.write(Write(drafts=(erasure(0),)))
        await store.write(Write(drafts=(noise(),)))
        in_the_way.close()
        await store.write(Write(drafts=(noise(),)))
        for file in world.directory.glob("remit.db*"):
            assert b"THE-SECRET" not in file.read_bytes()


@pytest.mark.holds("LEDGER-ERASE")
async def test_what_a_crash_left_of_an_erasure_is_cut_out_by_the_first_write_after_it(
    world: World, tmp_path: Path
) -> None:
    crashed = World("sqlite", tmp_path / "crashed")
    crashed.directory.mkdir()
    async with world.opened() as store:
        await store.write(Write(drafts=(intent("c1", "t1", arguments=b"THE-SECRET"),)))
        with contextlib.closing(sqlite3.connect(world.path)) as in_the_way:
            in_the_way.execute("BEGIN")
            in_the_way.execute("SELECT count(*) FROM leaves").fetchall()
            await store.write(Write(drafts=(erasure(0),)))
            for file in (world.path, world.path.with_name("remit.db-wal")):
                shutil.copy(file, crashed.directory / file.name)
    assert b"THE-SECRET" in (crashed.directory / "remit.db-wal").read_bytes()
    async with crashed.opened() as store:
        await store.write(Write(drafts=(noise(),)))
        for file in crashed.directory.glob("remit.db*"):
            assert b"THE-SECRET" not in file.read_bytes()


async def test_a_link_to_an_open_store_opens_no_second_one(world: World, tmp_path: Path) -> None:
    (tmp_path / "linked").mkdir()
    linked = World("sqlite", tmp_path / "linked")
    linked.path.symlink_to(world.path)
    async with world.opened():
        with pytest.raises(StoreFault, match="runs already"):
            await linked.open()


async def test_a_file_that_breaks_under_the_reader_is_a_store_fault(world: World) -> None:
    async with world.opened() as store:
        await store.write(Write(drafts=(noise(),)))
        store._reader._db.close()
        with pytest.raises(StoreFault, match="cannot be read or written"):
            await store.leaf(0)


def test_a_loop_that_is_gone_does_not_stop_what_was_handed_to_the_writer(world: World) -> None:
    async def begin() -> Sequencer:
        store = await world.open()
        store.sequence(Write(drafts=(noise(),)))
        store.submit(Write(drafts=(noise(),)))
        while not store._writer._busy:  # noqa: ASYNC110  until the thread has it, and waits
            await asyncio.sleep(0)
        return store

    gone = threading.Event()
    world.pause = gone.wait
    store = asyncio.run(begin())
    gone.set()
    store._writer._thread.join()
    store._reader.close()

    async def look() -> int:
        async with world.opened() as store:
            return (await world.verified(store)).receipts

    assert asyncio.run(look()) == 2


async def test_an_opener_with_patience_waits_for_a_command_that_is_just_ending(tmp_path: Path) -> None:
    held = Lock(beside(tmp_path / "remit.db"))
    waiting = asyncio.create_task(asyncio.to_thread(Lock, beside(tmp_path / "remit.db"), patience_s=30))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    held.release()
    (await waiting).release()


async def test_without_patience_it_is_told_at_once(tmp_path: Path) -> None:
    held = Lock(beside(tmp_path / "remit.db"))
    with pytest.raises(StoreFault):
        Lock(beside(tmp_path / "remit.db"))
    held.release()
