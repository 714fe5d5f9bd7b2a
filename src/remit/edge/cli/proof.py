"""Proof for people who were not there: bundles and portable receipts written, and verified from nothing but files."""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from remit.edge.cli.home import find
from remit.edge.cli.output import Screen
from remit.errors import CallerFault, Unverified
from remit.ledger.bundle import Bundle, read, read_portable, read_published
from remit.ledger.checkpoint import Key, parse_key
from remit.ledger.verify import Report
from remit.ledger.verify import verify as verified


def verify(options: Namespace, screen: Screen) -> None:
    """`remit ledger verify`. Raises `Unverified` naming the first thing wrong."""
    keys = trusted(options.key, options.home)
    earlier = [note for file in options.checkpoint for note in saved(file)]
    report = verified(bundle_at(options.path), keys, earlier)
    screen.answer(msgspec.to_builtins(report), _told(report, screen, len(earlier)))


def trusted(named: Sequence[str], home: Path | None) -> tuple[Key, ...]:
    """The verifier keys named, as text or as files of such; without any, the one of this home. Raises `CallerFault`."""
    if named:
        return tuple(_key(text) for one in named for text in _texts(one))
    file = find(home).keys / "ledger.key"
    if not file.exists():
        raise CallerFault("no key is trusted", "name the ledger's public key with --key; `remit init` has shown it")
    from remit.edge.keys.signing import load_signer

    return (_key(load_signer(file).verifier_key()),)


def bundle_at(path: Path) -> Bundle:
    """The bundle in a directory, or the portable receipt in a file; nothing of it believed yet."""
    try:
        if path.is_dir():
            return read({file.name: file.read_bytes() for file in sorted(path.iterdir()) if file.is_file()})
        return read_portable(path.read_bytes())
    except OSError as e:
        raise CallerFault(f"`{path}` cannot be read: {e.strerror}", "name what `export` or `prove` wrote") from e


def saved(file: Path) -> tuple[bytes, ...]:
    """The checkpoints in a file: one signed note, or published ones, one JSON string a line."""
    try:
        data = file.read_bytes()
    except OSError as e:
        raise CallerFault(f"`{file}` cannot be read: {e.strerror}", "name a checkpoint saved earlier") from e
    if not data.strip():
        raise Unverified(f"`{file}` holds no checkpoint")
    return read_published(data) if data.startswith(b'"') else (data,)


def _texts(named: str) -> list[str]:
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


def _told(report: Report, screen: Screen, earlier: int) -> Iterator[str]:
    what = "the whole record" if report.scope == "whole" else f"the {report.scope}"
    yield screen.paint(f"verified: {what} of {report.origin}, {report.receipts} of {report.size} receipts", "good")
    yield f"  root        {report.root}"
    yield f"  values      {report.values_checked} as recorded, {report.values_erased} erased, {report.values_missing} not here"
    yield f"  blobs       {report.blobs}"
    yield f"  extends     {report.checkpoints} checkpoints of its own, {earlier} saved elsewhere"
    if report.open_intents:
        yield screen.paint(f"  no outcome  receipts {', '.join(map(str, report.open_intents))}", "wait")
