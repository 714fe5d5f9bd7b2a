"""Proof for people who were not there: bundles and portable receipts written, and verified from nothing but files."""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from remit.edge.cli.files import write
from remit.edge.cli.home import Home, existing, find
from remit.edge.cli.output import Screen
from remit.edge.keys.signing import load_signer
from remit.edge.store import export as out
from remit.edge.store.sqlite import open_readonly
from remit.errors import CallerFault, ConfigFault, Unverified
from remit.ledger import checkpoint
from remit.ledger.bundle import read_published
from remit.ledger.checkpoint import Key, parse_key
from remit.ledger.merkle import check_consistency
from remit.ledger.verify import Report, verify as verified


async def export(options: Namespace, screen: Screen) -> None:
    """`remit ledger export`: a new directory that verifies elsewhere."""
    home = existing(options.home)
    async with await open_readonly(home.database) as ledger:
        made = await out.export(
            ledger,
            options.directory,
            keys=_claimed(home),
            task=options.task,
            since=[] if options.task is None else _sizes(options.checkpoint),
        )
    told = {"directory": str(options.directory), "scope": made.manifest.scope, "receipts": len(made.leaves)}
    screen.answer(told, (f"wrote {len(made.leaves)} receipts to {options.directory}",))


async def prove(options: Namespace, screen: Screen) -> None:
    """`remit ledger prove`: one receipt as a file that verifies by itself."""
    home = existing(options.home)
    async with await open_readonly(home.database) as ledger:
        since = _sizes(options.checkpoint)
        data = await out.prove(ledger, options.receipt, keys=_claimed(home), since=since)
    if options.out is None:
        screen.exactly(data.decode())
        return
    write(options.out, data)
    screen.answer(
        {"receipt": options.receipt, "file": str(options.out)}, (f"wrote receipt {options.receipt} to {options.out}",)
    )


async def consistency(options: Namespace, screen: Screen) -> None:
    """`remit ledger consistency`: the record begins with what was said of it. Raises `Unverified` where it does not."""
    keys = trusted(options.key, options.home)
    async with await open_readonly(existing(options.home).database) as ledger:
        now = checkpoint.verify(await ledger.checkpoint(), keys)
        sizes = []
        for note in [note for file in options.checkpoint for note in saved(file)]:
            old = checkpoint.verify(note, keys)
            if old.size > now.size:
                raise Unverified(f"the ledger was truncated: it had {old.size} receipts and has {now.size}")
            proof = await out.consistency(ledger, old.size)
            check_consistency((old.size, old.root), (now.size, now.root), proof)
            sizes.append(old.size)
    told = f"the record of {now.size} receipts extends {len(sizes)} checkpoints, of sizes {', '.join(map(str, sizes))}"
    screen.answer({"size": now.size, "extends": sizes}, (screen.paint(told, "good"),))


def verify(options: Namespace, screen: Screen) -> None:
    """`remit ledger verify`. Raises `Unverified` naming the first thing wrong."""
    keys = trusted(options.key, options.home)
    if not options.key and find(options.home).root.is_relative_to(options.path.resolve()):
        raise CallerFault("the bundle brings the home whose key would be trusted", "name the ledger's key with --key")
    earlier = [note for file in options.checkpoint for note in saved(file)]
    report = verified(out.load(options.path), keys, earlier)
    screen.answer(msgspec.to_builtins(report), _told(report, screen, earlier=len(earlier)))


def trusted(named: Sequence[str], home: Path | None) -> tuple[Key, ...]:
    """The verifier keys named, as text or as files of such; without any, the one of this home. Raises `CallerFault`."""
    if named:
        return tuple(_key(text) for one in named for text in _texts(one))
    file = find(home).keys / "ledger.key"
    if not file.exists():
        raise CallerFault("no key is trusted", "name the ledger's public key with --key; `remit init` has shown it")
    return (_key(load_signer(file).verifier_key()),)


def saved(file: Path) -> tuple[bytes, ...]:
    """The checkpoints in a file: one signed note, or published ones, one JSON string a line."""
    try:
        data = file.read_bytes()
    except OSError as e:
        raise CallerFault(f"`{file}` cannot be read: {e.strerror}", "name a checkpoint saved earlier") from e
    found = read_published(data) if data.startswith(b'"') else (data,) * bool(data.strip())
    if not found:
        raise Unverified(f"`{file}` holds no checkpoint")
    return found


def _claimed(home: Home) -> tuple[str, ...]:
    """What the bundle says it is signed with; whoever may read the record but not the key claims nothing."""
    try:
        return (load_signer(home.keys / "ledger.key").verifier_key(),)
    except ConfigFault:
        return ()


def _sizes(files: Sequence[Path]) -> list[int]:
    return [checkpoint.read(note).checkpoint.size for file in files for note in saved(file)]


def _texts(named: str) -> list[str]:
    # What reads as a key is one: a file of that name could lie in the very bundle that is to be verified.
    with suppress(Unverified):
        return [parse_key(named).text]
    file = Path(named)
    if not file.is_file():
        return [named]
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise CallerFault(f"`{file}` holds no key")
    return found


def _key(text: str) -> Key:
    try:
        return parse_key(text)
    except Unverified as e:
        raise CallerFault(e.message, "a verifier key is `name+hash+base64`, as `remit init` shows it") from e


def _told(report: Report, screen: Screen, *, earlier: int) -> Iterator[str]:
    what = "the whole record" if report.scope == "whole" else f"the {report.scope}"
    yield screen.paint(f"verified: {what} of {report.origin}, {report.receipts} of {report.size} receipts", "good")
    yield f"  root        {report.root}"
    absent = f"{report.values_erased} erased, {report.values_missing} not here"
    yield f"  values      {report.values_checked} as recorded, {absent}"
    yield f"  blobs       {report.blobs}"
    yield f"  extends     {report.checkpoints} checkpoints of its own, {earlier} saved elsewhere"
    if report.open_intents:
        yield screen.paint(f"  no outcome  receipts {', '.join(map(str, report.open_intents))}", "wait")
