"""The recipe that verifies a ledger without Remit is run as it is printed, on exports good and bad."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from remit.edge.store.export import export, prove
from remit.ledger import bundle
from tests.world import World

PAGE = (Path(__file__).parents[2] / "docs/reference/ledger.md").read_text()


def block(kind: str) -> str:
    return PAGE.split(f"```{kind}\n")[1].split("```")[0]


def checked(script: str, *arguments: str, at: Path) -> subprocess.CompletedProcess[str]:
    """The page's Python, in an interpreter that finds no installed package."""
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", block(f"python {script}"), *arguments],
        cwd=at,
        capture_output=True,
        text=True,
        check=False,
    )


def shell(recipe: str, at: Path, **names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", recipe],
        cwd=at,
        env={**names, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def files(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


@pytest.fixture
async def world() -> World:
    made = await World.made()
    task = await made.task(purpose="upkeep")
    for _ in range(3):
        await made.call(task)
        await made.call(task, "wipe")
    await made.settled()
    return made


@pytest.fixture
async def exported(world: World, tmp_path: Path) -> Path:
    await export(world.store, tmp_path / "export", keys=[world.signer.verifier_key()])
    return tmp_path / "export"


def lost_last_receipt(at: Path) -> None:
    leaves, hashes = at / "leaves.jsonl", at / "hashes"
    leaves.write_bytes(b"".join(leaves.read_bytes().splitlines(keepends=True)[:-1]))
    hashes.write_bytes(hashes.read_bytes()[:-32])


def changed(file: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    def change(at: Path) -> None:
        data = (at / file).read_bytes()
        assert old in data
        (at / file).write_bytes(data.replace(old, new, 1))

    return change


FORGED: dict[str, Callable[[Path], None]] = {
    "a receipt was changed": changed("leaves.jsonl", b"scout", b"scour"),
    "the last receipt was dropped": lost_last_receipt,
    "a value was changed": changed("values.jsonl", b'"data":"ey', b'"data":"fy'),
    "a blob was changed": changed("blobs.jsonl", b'"data":"', b'"data":"AAAA'),
    "the checkpoint was changed": changed("checkpoint", b"=\n\n", b"\n\n"),
}


def test_a_good_export_is_found_good(exported: Path) -> None:
    said = checked("check.py", at=exported)
    assert (said.returncode, said.stderr) == (0, "")
    size = (exported / "checkpoint").read_text().splitlines()[1]
    assert said.stdout.startswith(f"{size} receipts, 0 without an outcome, root ")


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_export_is_found_out(forge: Callable[[Path], None], exported: Path) -> None:
    forge(exported)
    assert checked("check.py", at=exported).returncode == 1


async def test_a_ledger_written_anew_does_not_fit_a_checkpoint_saved_before(world: World, exported: Path) -> None:
    saved = exported / "checkpoint"
    other = await World.made()
    await other.call(await other.task())
    await other.settled()
    await export(other.store, exported.parent / "other", keys=[])
    await world.call(await world.task())
    await world.settled()
    await export(world.store, exported.parent / "later", keys=[])
    assert checked("check.py", str(saved), at=exported.parent / "later").returncode == 0
    assert checked("check.py", str(saved), at=exported.parent / "other").returncode == 1


async def test_a_file_of_published_checkpoints_is_read_too(world: World, exported: Path) -> None:
    first = json.dumps((exported / "checkpoint").read_text())
    await world.call(await world.task())
    await world.settled()
    await export(world.store, exported.parent / "later", keys=[])
    second = json.dumps((exported.parent / "later/checkpoint").read_text())
    published = exported.parent / "published"
    for text, code in {
        f"{first}\n{second}\n": 0,
        f"{first}\n{second}": 0,
        f"{first}\n{second[:40]}": 0,
        f'{first}\n"': 0,
        f"{first[:40]}\n{second}\n": 1,
        f"{second}\n".replace("=", "/", 1): 1,
        second[:40]: 1,
        "": 1,
    }.items():
        published.write_text(text)
        assert checked("check.py", str(published), at=exported.parent / "later").returncode == code, text
    published.write_text(f"{first}\n{second}\n")
    assert "truncated" in checked("check.py", str(published), at=exported).stderr


@pytest.mark.parametrize("trusted", [True, False], ids=["the ledger's key", "another key"])
async def test_the_signature_is_checked_with_openssl(trusted: bool, world: World, exported: Path) -> None:
    signer = world.signer if trusted else (await World.made()).signer
    recipe = block("sh signature").replace("/tmp/", f"{exported.parent}/")
    said = shell(recipe, exported, KEY=signer.verifier_key())
    assert (said.returncode == 0) is trusted, said.stderr


@pytest.mark.parametrize("seq", [0, 7])
def test_one_receipt_is_checked_by_hand(seq: int, exported: Path) -> None:
    said = shell(block("sh receipt"), exported, SEQ=str(seq))
    computed, listed = said.stdout.split()
    assert computed == listed


async def test_a_portable_receipt_is_checked_wherever_it_stands(world: World, tmp_path: Path) -> None:
    size = len(world.memory.leaves)
    for seq in range(size):
        (tmp_path / "receipt.json").write_bytes(await prove(world.store, seq, keys=[]))
        said = checked("one.py", "receipt.json", at=tmp_path)
        assert (said.returncode, said.stderr) == (0, ""), seq
        (tmp_path / "receipt.json").write_bytes((tmp_path / "receipt.json").read_bytes().replace(b"kind", b"mind", 1))
        assert checked("one.py", "receipt.json", at=tmp_path).returncode == 1


async def test_the_tables_name_every_file_and_member(exported: Path, world: World) -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| (\w*) ?\| ([^|]*?) ?\| ", PAGE, re.MULTILINE)
    told = {name: (whole, task) for name, whole, task in rows}
    task = next(r.task for r in await world.receipts() if r.task)
    await export(world.store, exported.parent / "task", keys=["claimed"], task=task, since=[1])
    assert {name for name, (yes, _) in told.items() if yes} == files(exported)
    assert {name for name, (_, yes) in told.items() if yes} == files(exported.parent / "task")
    portable = PAGE.split("is one JSON object: ")[1].split(".")[0]
    assert set(re.findall(r"`(\w+)`", portable)) == {field.name for field in msgspec.structs.fields(bundle.Portable)}
