"""Checking and applying a policy set: all of it or nothing, beside the running one, by a person."""

import asyncio

import msgspec
from msgspec import Struct

from remit.commit.model import Put, Write
from remit.edge.acts.live import Applied, Live
from remit.edge.acts.who import Who, may
from remit.ledger.receipt import Draft, PolicyEvent
from remit.policy import ENGINE, Policies, difference, remember


class Files(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Policy files by name."""

    files: dict[str, str]


class Current(Struct, frozen=True, kw_only=True):
    """The set in force."""

    digest: str
    text: str
    warnings: tuple[str, ...]


class Checked(Struct, frozen=True, kw_only=True):
    """What a set is and what applying it changes. `receipt` is there once it was applied."""

    digest: str
    warnings: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    diff: str
    receipt: int | None = None


class PolicySets:
    """Acts on the policy set in force."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def current(self, who: Who) -> Current:
        may(who, "policy.see")
        applied = self._live.applied()
        return Current(digest=applied.digest, text=applied.text, warnings=self._live.warnings())

    async def check(self, who: Who, given: Files) -> Checked:
        """Compile a set against what is in force, change nothing. Raises `ConfigFault` naming file and line."""
        may(who, "policy.see")
        return self._checked(await self._compiled(given))

    async def apply(self, who: Who, given: Files) -> Checked:
        """Put a set in force; when this returns, no call decided under the old one commits any more."""
        may(who, "policy.apply")
        async with self._live.changing:
            new = await self._compiled(given)
            remember(new, self._live.view())
            checked = self._checked(new)
            event = PolicyEvent(
                policy_set=checked.digest,
                previous=self._live.applied().digest,
                added=checked.added,
                removed=checked.removed,
                changed=checked.changed,
                engine=ENGINE,
                actor=who.actor,
            )
            value = msgspec.json.encode(Applied(digest=new.digest, text=new.text))
            written = await self._live.change(
                Write(
                    puts=(Put(kind="policy", key="current", value=value),),
                    drafts=(Draft(body=event, values={"diff": checked.diff.encode()}),),
                    blobs={new.digest: new.text.encode()},
                    raise_epoch=True,
                )
            )
            return msgspec.structs.replace(checked, receipt=written.seqs[0])

    async def _compiled(self, given: Files) -> Policies:
        """In a thread of its own: ten thousand policies take seconds, and calls go on meanwhile."""
        return await asyncio.to_thread(self._live.load, given.files)

    def _checked(self, new: Policies) -> Checked:
        change = difference(self._live.applied().text, new.text)
        return Checked(
            digest=new.digest,
            warnings=new.warnings,
            added=change.added,
            removed=change.removed,
            changed=change.changed,
            diff=change.text,
        )
