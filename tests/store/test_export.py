"""Out of a store and back into the verifier's hands."""

import os
from pathlib import Path

import pytest

from remit.canonical import digest
from remit.commit.model import Write
from remit.edge.store.export import consistency, export, load, prove
from remit.edge.store.sequencer import Sequencer
from remit.errors import CallerFault, Unverified
from remit.ledger.checkpoint import read
from remit.ledger.merkle import check_consistency
from remit.ledger.verify import verify
from tests.ledger.story import POLICY, erasure, intent, key, noise, outcome, signer
from tests.store.world import World

KEYS = [key(signer())]
OTHER = b"a blob that is named by " + digest(b"another").encode()


async def filled(store: Sequencer) -> list[bytes]:
    """Two tasks' calls, one erased value, blobs that name blobs; the checkpoints seen on the way."""
    blobs = (POLICY, OTHER, b"another", b"unnamed")
    facts = f'{{"catalogue":"{digest(OTHER)}","gone":"{digest(b"never kept")}"}}'.encode()
    await store.write(Write(drafts=(noise(),), blobs={digest(blob): blob for blob in blobs}))
    await store.write(Write(drafts=(intent("c1", "t1", arguments=b"{}", facts=facts), intent("c2", "t2", x=b"gone"))))
    first = await store.checkpoint()
    await store.write(Write(drafts=(outcome("c1", "t1", 1, result=b"done"), erasure(2))))
    return [first, await store.checkpoint()]


async def test_a_whole_export_read_back_verifies_against_every_checkpoint_seen(world: World, tmp_path: Path) -> None:
    async with world.opened() as store:
        seen = await filled(store)
        made = await export(store, tmp_path / "new" / "out", keys=[world.signer.verifier_key()])
    found = load(tmp_path / "new" / "out")
    assert found == made
    report = verify(found, KEYS, seen)
    assert (report.receipts, report.blobs, report.values_checked, report.values_erased) == (5, 4, 3, 1)


async def test_a_task_s_export_holds_its_receipts_values_and_what_they_name(world: World, tmp_path: Path) -> None:
    async with world.opened() as store:
        seen = await filled(store)
        await export(store, tmp_path / "out", keys=[], task="t1", since=[3, 3])
    found = load(tmp_path / "out")
    assert verify(found, KEYS, seen).receipts == 2
    assert {blob.data for blob in found.blobs} == {POLICY, OTHER, b"another"}
    assert {value.name for value in found.values} == {"arguments", "facts", "result"}


async def test_a_receipt_proves_itself_from_one_file(world: World, tmp_path: Path) -> None:
    async with world.opened() as store:
        seen = await filled(store)
        (tmp_path / "receipt.json").write_bytes(await prove(store, 3, keys=[world.signer.verifier_key()], since=[3]))
    report = verify(load(tmp_path / "receipt.json"), KEYS, seen)
    assert (report.scope, report.receipts, report.values_checked, report.size) == ("receipt", 1, 1, 5)


async def test_one_size_is_proven_to_extend_another(world: World) -> None:
    async with world.opened() as store:
        old, new = [read(note).checkpoint for note in await filled(store)]
        proof = await consistency(store, old.size)
        check_consistency((old.size, old.root), (new.size, new.root), proof)
        assert await consistency(store, 0, second=0) == ()
        for first, second in ((4, 3), (-1, 3), (3, 6)):
            with pytest.raises(CallerFault, match="no proof"):
                await consistency(store, first, second=second)


async def test_what_is_not_there_cannot_be_exported(world: World, tmp_path: Path) -> None:
    async with world.opened() as store:
        await filled(store)
        with pytest.raises(CallerFault, match="the task `t9` has no receipts"):
            await export(store, tmp_path / "out", keys=[], task="t9")
        with pytest.raises(CallerFault, match="no receipt 5"):
            await prove(store, 5, keys=[])
        for since in (0, 6):
            with pytest.raises(CallerFault, match="no checkpoint of size"):
                await prove(store, 1, keys=[], since=[since])


async def test_an_export_overwrites_nothing(world: World, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    (tmp_path / "file").write_text("mine")
    async with world.opened() as store:
        with pytest.raises(CallerFault, match="is not empty"):
            await export(store, tmp_path / "full", keys=[])
        with pytest.raises(CallerFault, match="cannot be written"):
            await export(store, tmp_path / "file", keys=[])
    assert [file.name for file in (tmp_path / "full").iterdir()] == ["file"]


async def test_an_export_that_a_crash_cut_short_is_no_bundle(world: World, tmp_path: Path) -> None:
    async with world.opened() as store:
        await filled(store)
        await export(store, tmp_path / "out", keys=[])
    newest = max((tmp_path / "out").iterdir(), key=lambda file: file.stat().st_mtime_ns)
    assert newest.name == "checkpoint"
    newest.unlink()
    with pytest.raises(Unverified, match="`checkpoint` is missing"):
        load(tmp_path / "out")


async def test_what_else_lies_in_a_bundle_s_directory_is_not_opened(world: World, tmp_path: Path) -> None:
    async with world.opened() as store:
        await store.write(Write(drafts=(noise(),)))
        made = await export(store, tmp_path / "out", keys=[])
    (tmp_path / "out" / "huge").touch()
    os.truncate(tmp_path / "out" / "huge", 2**40)
    assert load(tmp_path / "out") == made


def test_nothing_there_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(CallerFault, match="cannot be read"):
        load(tmp_path / "nothing")
