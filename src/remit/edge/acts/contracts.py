"""Watching what tool servers say of themselves, and accepting it.

`observe` is told whenever a session connects, a server announces a change, or the timer fires. What differs from its
pin goes into quarantine by having a `seen` row; nothing here lets anything out of it but `pin`, by a person, for
exactly the digest that `difference` showed.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct

from remit.canonical import canonical, digest_of
from remit.catalogue.classify import row_of
from remit.catalogue.contracts import Changes, compare, diff, read
from remit.catalogue.model import Contract, Tier
from remit.commit.model import Put, Write
from remit.edge.acts.live import Live
from remit.edge.acts.who import GATEWAY, Who, may
from remit.errors import CallerFault, StoreFault
from remit.ledger.receipt import Actor, ContractEvent, Draft
from remit.limits import CONTRACT_CHECK_S
from remit.schema import check_contract

# How many looks within `CONTRACT_CHECK_S` that found a change of one server are noted, if no tool is newly affected.
_NOTED_MOST: Final = 4

Event = Literal["seen", "drifted", "missing", "returned", "pinned"]


class Pin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accept what `difference` showed of `target`, if it is still exactly that."""

    target: str
    digest: str


class Difference(Struct, frozen=True, kw_only=True):
    """What is new or different about a target; `digest` covers exactly this."""

    target: str
    digest: str
    diff: str
    open: tuple[str, ...]


class Pinned(Struct, frozen=True, kw_only=True):
    pinned: tuple[str, ...]
    receipt: int


class Listed(Struct, frozen=True, kw_only=True):
    """One contract and where it stands. `open` are the places of its schema that accept unknown members."""

    target: str
    connector: str
    kind: str
    name: str
    status: str
    digest: str
    pinned: str
    tier: Tier | None
    data_classes: tuple[str, ...]
    open: tuple[str, ...]


class Contracts:
    """Acts on contracts. `now` is epoch ms."""

    def __init__(self, live: Live, now: Callable[[], int]) -> None:
        self._live = live
        self._now = now
        self._noted: dict[str, list[int]] = {}

    async def observe(self, connector: str, advertised: Sequence[Contract]) -> None:
        """Take note of what a server says of itself now; what changed is on record and in quarantine on return."""
        async with self._live.changing:
            changes = self._changes(connector, advertised)
            if not changes.seen or self._is_noise(connector, changes):
                return
            self._noted[connector].append(self._now())
            drafts = tuple(
                Draft(body=_event(change.event, change.contract, change.previous, GATEWAY.actor))
                for change in changes.events
            )
            puts = tuple(Put(kind="seen", key=key, value=value) for key, value in changes.seen.items())
            # The epoch rises so that no call decided on what was advertised before commits after this.
            write = Write(puts=puts, drafts=drafts, blobs=_blobs(advertised), raise_epoch=True)
            await self._live.change(write)

    def listed(self, who: Who, connector: str | None) -> tuple[Listed, ...]:
        """Every contract ever seen or pinned, with its standing. Raises `CallerFault` for an unknown connector."""
        may(who, "contract.see")
        pins, seen = self._known()
        wanted = self._declared() if connector is None else {self._named(connector)}
        keys = sorted(key for key in pins.keys() | seen.keys() if key.split("/", 1)[0] in wanted)
        return tuple(self._listed(pins.get(key), seen.get(key)) for key in keys)

    def difference(self, who: Who, target: str) -> Difference:
        """What `pin` would accept of a target: one contract, or all of a connector that is new or different. The digest
        is empty when nothing is. Raises `CallerFault` when nothing of that name was ever seen.
        """
        may(who, "contract.see")
        pairs = self._waiting(target)
        shown = "\n".join(diff(old, new) for old, new in pairs)
        places = tuple(f"{new.target}{place}" for _, new in pairs for place in check_contract(new))
        return Difference(target=target, digest=_digest(pairs) if pairs else "", diff=shown, open=places)

    async def pin(self, who: Who, given: Pin) -> Pinned:
        """Accept it. Refused when it changed meanwhile, cannot be checked, or would break the policies in force."""
        may(who, "contract.pin")
        async with self._live.changing:
            pairs = self._waiting(given.target)
            if not pairs:
                raise CallerFault(
                    f"nothing about `{given.target}` waits to be pinned", "`remit tool list` shows what there is"
                )
            if _digest(pairs) != given.digest:
                raise CallerFault(
                    f"`{given.target}` is not what that digest names", f"look again: `remit tool diff {given.target}`"
                )
            places = {new.key: check_contract(new) for _, new in pairs}
            rows: dict[str, bytes | None] = {new.key: msgspec.json.encode(new) for _, new in pairs}
            gone: dict[str, bytes | None] = dict.fromkeys(rows)
            self._live.compiled_for(self._live.made(pin=rows, seen=gone))
            drafts = tuple(
                Draft(body=_event("pinned", new, old.digest if old else "", who.actor, places[new.key]))
                for old, new in pairs
            )
            puts = [Put(kind="pin", key=key, value=value) for key, value in rows.items()]
            puts += [Put(kind="seen", key=key, value=None) for key in gone]
            written = await self._live.change(
                Write(puts=tuple(puts), drafts=drafts, blobs=_blobs([new for _, new in pairs]), raise_epoch=True)
            )
            return Pinned(pinned=tuple(new.target for _, new in pairs), receipt=written.seqs[0])

    def _is_noise(self, connector: str, changes: Changes) -> bool:
        """Whether it can wait: a server that keeps changing what is in quarantine already, or that drifts and returns
        again and again, is noted now and then. What newly goes into quarantine never waits.
        """
        recent = [at for at in self._noted.get(connector, ()) if self._now() - at < CONTRACT_CHECK_S * 1000]
        self._noted[connector] = recent
        quarantined = self._live.store.rows("seen")
        if not recent or not changes.seen.keys() <= quarantined.keys():
            return False
        return len(recent) >= _NOTED_MOST or None not in changes.seen.values()

    def _changes(self, connector: str, advertised: Sequence[Contract]) -> Changes:
        rows = {kind: {key: row.value for key, row in self._live.store.rows(kind).items()} for kind in ("pin", "seen")}
        return compare(connector, advertised, pins=rows["pin"], seen=rows["seen"])

    def _known(self) -> tuple[dict[str, Contract], dict[str, Contract]]:
        pins, seen = (
            {key: read(key, row.value) for key, row in self._live.store.rows(kind).items()} for kind in ("pin", "seen")
        )
        return pins, seen

    def _waiting(self, target: str) -> list[tuple[Contract | None, Contract]]:
        pins, seen = self._known()
        connector = self._named(target.partition("/")[0])
        of_it = [known for known in (*pins.values(), *seen.values()) if known.connector == connector]
        if not of_it:
            raise CallerFault(f"no gateway has seen `{connector}` yet", "`remit up` looks at it")
        if not any(target in (known.target, connector) for known in of_it):
            raise CallerFault(
                f"`{connector}` has no `{target}`", f"`remit tool list --connector {connector}` shows all"
            )
        return [
            (pins.get(key), new)
            for key, new in sorted(seen.items())
            if new.digest and target in (new.target, new.connector)
        ]

    def _declared(self) -> Collection[str]:
        return self._live.view().declared.connectors.keys()

    def _named(self, connector: str) -> str:
        if connector not in self._declared():
            there = ", ".join(f"`{name}`" for name in sorted(self._declared())) or "the catalogue has none"
            raise CallerFault(f"no tool server `{connector}`", f"one of {there}" if self._declared() else there)
        return connector

    def _listed(self, pin: Contract | None, now: Contract | None) -> Listed:
        contract = _current(pin, now)
        row = row_of(self._live.view().declared.connectors[contract.connector], contract.kind, name=contract.name)
        return Listed(
            target=contract.target,
            connector=contract.connector,
            kind=contract.kind,
            name=contract.name,
            status=_status(pin, now),
            digest=contract.digest,
            pinned=pin.digest if pin else "",
            tier=row.tier if row.tier or row.rules else "privileged",
            data_classes=tuple(row.data) or self._live.view().declared.data_classes[-1:],
            open=_open_places(contract),
        )


def _current(pin: Contract | None, now: Contract | None) -> Contract:
    """What is advertised, or what is pinned while nothing is."""
    found = pin if now is None or (pin is not None and not now.digest) else now
    if found is None:
        raise StoreFault("a contract is listed that is neither pinned nor seen")
    return found


def _status(pin: Contract | None, now: Contract | None) -> str:
    if now is None:
        return "pinned"
    if pin is None:
        return "new"
    return "drifted" if now.digest else "missing"


def _open_places(contract: Contract) -> tuple[str, ...]:
    try:
        return check_contract(contract)
    except CallerFault as e:
        return (f"unusable: {e.message}",)


def _event(
    event: Event, contract: Contract, previous: str, actor: Actor, places: tuple[str, ...] = ()
) -> ContractEvent:
    return ContractEvent(
        event=event,
        connector=contract.connector,
        contract_kind=contract.kind,
        name=contract.name,
        digest=contract.digest,
        previous=previous,
        open_schema=places,
        actor=actor,
    )


def _digest(pairs: Sequence[tuple[Contract | None, Contract]]) -> str:
    """Of one contract its own digest; of several one that covers them all, and what they replace."""
    if len(pairs) == 1:
        return pairs[0][1].digest
    return digest_of([[new.key, old.digest if old else "", new.digest] for old, new in pairs])


def _blobs(contracts: Sequence[Contract]) -> dict[str, bytes]:
    return {contract.digest: canonical(contract.body) for contract in contracts}
