"""Denials and noise on their way to the ledger, so that a loop cannot fill the disk.

The first denial of its kind is sequenced at once, durable with the next group commit. The same agent asking the same
thing and hearing the same no within `DENIAL_WINDOW_MS` is counted, and the count becomes one receipt when the window
ends. Requests that prove no identity are counted by reason only, one receipt per `NOISE_WINDOW_MS`. A crash loses at
most the counts of one window. The number of kinds remembered is bounded; when it is reached, all are written out.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from remit.canonical import digest
from remit.commit.facts import Sequenced
from remit.commit.model import Write
from remit.ledger.receipt import Denial, Draft, Noise
from remit.limits import DENIAL_WINDOW_MS, NOISE_WINDOW_MS
from remit.reasons import Reason

_KINDS_MAX: Final = 10_000
# These are about the agent, whatever it asked: varying the call must not make another receipt of each.
_OF_THE_AGENT: Final = frozenset({Reason.IDENTITY_RATE, Reason.IDENTITY_IN_FLIGHT})


class _Repeats:
    """One kind of denial within its window: the first receipt's name, and how often it came again."""

    __slots__ = ("again", "denial", "first", "last", "name", "task")

    def __init__(self, draft: Draft, name: str, now: int) -> None:
        self.denial, self.task, self.name = draft.body, draft.task, name
        self.first = self.last = now
        self.again = 0


class Recorder:
    """Implements `world.Denials`. `flush` is called on a timer and at the end."""

    def __init__(self, store: Sequenced, now: Callable[[], int]) -> None:
        self._store = store
        self._now = now
        self._kinds: dict[tuple[str, ...], _Repeats] = {}
        self._noise: dict[str, int] = {}
        self._noise_since = 0

    async def record(self, draft: Draft) -> str:
        now, kind = self._now(), _kind(draft)
        known = self._kinds.get(kind)
        if known is not None and now - known.first < DENIAL_WINDOW_MS:
            known.again += 1
            known.last = now
            return known.name
        if known is not None or len(self._kinds) >= _KINDS_MAX:
            await self._write_out(everything=known is None)
        written = await self._store.enqueue(Write(drafts=(draft,)))
        name = str(written.seqs[0])
        self._kinds[kind] = _Repeats(draft, name, now)
        return name

    def noise(self, reason: str) -> None:
        if not self._noise:
            self._noise_since = self._now()
        self._noise[reason] = self._noise.get(reason, 0) + 1

    async def flush(self) -> None:
        """Write out what is due."""
        await self._write_out(everything=False)

    async def close(self) -> None:
        """Write out everything."""
        await self._write_out(everything=True)

    async def _write_out(self, *, everything: bool) -> None:
        now = self._now()
        due = [kind for kind, seen in self._kinds.items() if everything or now - seen.first >= DENIAL_WINDOW_MS]
        drafts = [_counted(self._kinds.pop(kind)) for kind in due]
        if self._noise and (everything or now - self._noise_since >= NOISE_WINDOW_MS):
            drafts.append(Draft(body=Noise(counts=dict(self._noise), first=self._noise_since, last=now)))
            self._noise.clear()
        found = tuple(draft for draft in drafts if draft is not None)
        if found:
            await self._store.enqueue(Write(drafts=found))


def _kind(draft: Draft) -> tuple[str, ...]:
    denial: Denial = draft.body
    asked = denial.asked
    if denial.reason in _OF_THE_AGENT:
        return (asked.agent, asked.principal, denial.reason)
    what = digest(draft.values.get("digest") or draft.values.get("arguments", b""))
    where = (asked.method, asked.connector, asked.name)
    return (asked.agent, asked.principal, draft.task or "", *where, what, denial.reason, denial.detail)


def _counted(seen: _Repeats) -> Draft | None:
    if not seen.again:
        return None
    body = msgspec.structs.replace(seen.denial, count=seen.again, first=seen.first, last=seen.last)
    return Draft(body=body, task=seen.task)
