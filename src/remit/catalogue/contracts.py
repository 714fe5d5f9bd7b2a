"""What tool servers say of themselves: untrusted text, held to its digest.

A contract is whatever a server advertises, whole. The first sight of one and every difference from its pin put it in
quarantine until a person has seen the difference and accepted the digest. Nothing here decides whether a contract is
good; it decides whether it is the one that was accepted.
"""

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from remit.canonical import canonical, decode, digest
from remit.catalogue.model import Contract, ContractKind
from remit.errors import StoreFault, UpstreamFault
from remit.limits import CONTRACT_BYTES_MAX, CONTRACTS_PER_CONNECTOR_MAX, URI_CHARS_MAX
from remit.reasons import Denied

_OWN_NAME: Final[dict[ContractKind, str]] = {
    "tool": "name",
    "prompt": "name",
    "resource": "uri",
    "template": "uriTemplate",
}
_DIFF_LINES_MAX: Final = 2000  # beyond it everything is shown as replaced: matching lines is quadratic
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
_INVISIBLE: Final = frozenset(
    [0x034F, 0x115F, 0x1160, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]
)

_DECODER: Final = msgspec.json.Decoder(Contract)


class Change(Struct, frozen=True, kw_only=True):
    """One contract that is not what it was. `previous` is the digest it replaces, empty if there was none;
    `contract` is what is advertised now, for `missing` what was last known.
    """

    event: Literal["seen", "drifted", "missing", "returned"]
    contract: Contract
    previous: str = ""


class Changes(Struct, frozen=True, kw_only=True):
    """What a look at a server has to leave behind: `events` to record, and the `seen` rows to set (None deletes)."""

    events: tuple[Change, ...]
    seen: Mapping[str, bytes | None]


def contract_of(connector: str, kind: ContractKind, *, name: str, body: Mapping[str, Any]) -> Contract:
    """The contract a server advertises, or `UpstreamFault` when it is too large, has no canonical form or no name.

    `name` is the body's own `name`, `uri` or `uriTemplate`; a server's is whatever the caller calls it.
    """
    try:
        written = canonical(body)
    except (Denied, RecursionError) as e:
        raise UpstreamFault(f"`{connector}` advertises a {kind} that is not valid JSON", sent=False) from e
    if len(written) > CONTRACT_BYTES_MAX or len(name) > URI_CHARS_MAX:
        raise UpstreamFault(f"`{connector}` advertises a {kind} of {len(written)} bytes", sent=False)
    if not name or (kind in _OWN_NAME and body.get(_OWN_NAME[kind]) != name):
        raise UpstreamFault(f"`{connector}` advertises a {kind} without a name", sent=False)
    return Contract(connector=connector, kind=kind, name=name, body=decode(written), digest=digest(written))


def read(key: str, row: bytes) -> Contract:
    """A stored contract; `StoreFault` when the row is not the contract its key names."""
    try:
        found = _DECODER.decode(row)
    except msgspec.DecodeError as e:
        raise StoreFault(f"the stored contract `{key}` cannot be read") from e
    if found.key != key:
        raise StoreFault(f"the stored contract `{key}` is another's")
    return found


def compare(
    connector: str, advertised: Sequence[Contract], *, pins: Mapping[str, bytes], seen: Mapping[str, bytes]
) -> Changes:
    """What changed since the last look at a connector, against the rows `pin` and `seen` of the store.

    A pinned contract that is no longer advertised leaves a `seen` row with an empty digest and body, so that it is
    reported once. Raises `UpstreamFault` when the server advertises too much, or one name twice.
    """
    now = {contract.key: contract for contract in advertised}
    if len(now) != len(advertised) or len(now) > CONTRACTS_PER_CONNECTOR_MAX:
        raise UpstreamFault(f"`{connector}` advertises a name twice, or too many", sent=False)
    pinned, before = _rows_of(connector, pins), _rows_of(connector, seen)
    events: list[Change] = []
    rows: dict[str, bytes | None] = {}
    for key in sorted(now.keys() | pinned.keys() | before.keys()):
        event, row = _change(now.get(key), pinned.get(key), before=before.get(key))
        events.extend(event)
        if row != before.get(key):
            rows[key] = None if row is None else msgspec.json.encode(row)
    return Changes(events=tuple(events), seen=rows)


def diff(old: Contract | None, new: Contract) -> str:
    """What a person reads before accepting `new`: a unified diff of both as indented JSON.

    Contracts are untrusted text: control, format and invisible characters are shown by their code points.
    """
    before, after = [] if old is None else _lines(old), _lines(new)
    names = (_visible(f"{old.target} {old.digest}") if old else "nothing", _visible(f"{new.target} {new.digest}"))
    if max(len(before), len(after)) > _DIFF_LINES_MAX:
        lines = [
            f"--- {names[0]}",
            f"+++ {names[1]}",
            *("-" + line for line in before),
            *("+" + line for line in after),
        ]
    else:
        lines = list(unified_diff(before, after, *names, n=3, lineterm=""))
    return "\n".join(lines)


def _rows_of(connector: str, rows: Mapping[str, bytes]) -> dict[str, Contract]:
    return {key: read(key, row) for key, row in rows.items() if key.startswith(f"{connector}/")}


def _change(
    now: Contract | None, pin: Contract | None, *, before: Contract | None
) -> tuple[list[Change], Contract | None]:
    """The event, if any, and the `seen` row there has to be."""
    known = before or pin
    if now is None:
        if pin is None:
            return ([Change(event="missing", contract=before, previous=before.digest)] if before else []), None
        gone = msgspec.structs.replace(pin, body={}, digest="")
        missing = Change(event="missing", contract=pin, previous=known.digest if known else "")
        return ([] if before == gone else [missing]), gone
    if pin is not None and now.digest == pin.digest:
        if before is None or before.digest == pin.digest:
            return [], None
        return [Change(event="returned", contract=now, previous=before.digest)], None
    if before is not None and before.digest == now.digest:
        return [], now
    event: Literal["seen", "drifted"] = "drifted" if known else "seen"
    return [Change(event=event, contract=now, previous=known.digest if known else "")], now


def _lines(contract: Contract) -> list[str]:
    text = json.dumps(contract.body, indent=2, sort_keys=True, ensure_ascii=False)
    return [_visible(line) for line in text.split("\n")]


def _visible(text: str) -> str:
    return text if text.isascii() and text.isprintable() else "".join(_shown(text))


def _shown(text: str) -> Iterator[str]:
    for c in text:
        hidden = unicodedata.category(c) in _HIDDEN or ord(c) in _INVISIBLE
        yield f"\\u{{{ord(c):x}}}" if hidden and c != " " else c
