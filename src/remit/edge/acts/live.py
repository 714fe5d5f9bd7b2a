"""What is in force now: the view of the catalogue and the compiled policies, both whole, both replaced at once.

They are made from `remit.yaml` as read at start and from the store's rows, beside the running ones; a set that does not
compile replaces nothing. Every act that changes pins, keys, revocations or policies does so through `change`.
"""

import asyncio
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct

from remit.catalogue import View
from remit.catalogue.model import Declared
from remit.commit.facts import Sequenced
from remit.commit.model import Write, Written
from remit.commit.state import Moved
from remit.policy import Policies, compiled, known, load
from remit.reasons import Denied, Reason

NO_POLICY = ""
# Rows neither view nor policies are made from; any other kind that changes is taken over.
_APART = frozenset({"task", "client", "halted", "operation"})


class Applied(Struct, frozen=True, kw_only=True):
    """The row `policy/current`: the set in force and its text."""

    digest: str
    text: str


def _unheard(view: View) -> None:
    """Nobody waits for it."""


class Live:
    """Holds view and policies. `changing` is taken by every act that changes what `view` is made from; `refreshed` is
    called with every view that takes the place of another.
    """

    def __init__(self, store: Sequenced, declared: Declared, *, digest: str) -> None:
        self.store = store
        self.changing = asyncio.Lock()
        self.refreshed: Callable[[View], None] = _unheard
        self._declared = declared
        self._digest = digest
        self._view = self.made()
        self._policies = self.compiled_for(self._view)

    def view(self) -> View:
        return self._view

    def policies(self) -> Policies:
        """The policies in force, or `Denied(policy.none)` while there are none."""
        if not self._policies.ids:
            raise Denied(Reason.POLICY_NONE)
        return self._policies

    def warnings(self) -> tuple[str, ...]:
        """What the policies in force are warned about."""
        return self._policies.warnings

    def applied(self) -> Applied:
        """The policy set last applied; an empty one before any was."""
        row = self.store.rows("policy").get("current")
        return msgspec.json.decode(row.value, type=Applied) if row else Applied(digest=NO_POLICY, text="")

    def made(self, **over: Mapping[str, bytes | None]) -> View:
        """A view of the store's rows, with the rows of a kind overlaid (`pin={key: value}`; None removes)."""
        rows = {
            kind: self._rows(kind, over.get(kind, {})) for kind in ("pin", "seen", "agent_key", "revoked", "standing")
        }
        return View.of(
            self._declared,
            self._digest,
            pins=rows["pin"],
            seen=rows["seen"],
            keys=rows["agent_key"],
            revoked=rows["revoked"],
            standing=rows["standing"],
        )

    def compiled_for(self, view: View, text: str | None = None) -> Policies:
        """The applied policies, or `text`, compiled against a view. Raises `ConfigFault` if they do not fit it."""
        return compiled(self.applied().text if text is None else text, view)

    def load(self, files: Mapping[str, str]) -> Policies:
        """Policy files compiled against the view in force. Raises `ConfigFault` naming file and line."""
        return load(files, known(self._view))

    async def change(self, write: Write) -> Written:
        """Put a change to what is in force on record; it is in force, and durable, on return.

        It is taken over in the same breath as it is sequenced: no call reads the epoch after it and the view before it.
        """
        written = await self.store.enqueue(write)
        self.refresh()
        await self.store.write(Write())
        return written

    def changed(self, moved: Moved) -> None:
        """Something moved in the store of another process: take it over, if it is about what is in force."""
        if any(kind not in _APART for kind, _ in moved.rows):
            self.refresh()

    def refresh(self) -> None:
        """Take over what the store now holds."""
        view = self.made()
        self._policies = self.compiled_for(view)
        self._view = view
        self.refreshed(view)

    def _rows(self, kind: str, over: Mapping[str, bytes | None]) -> dict[str, bytes]:
        rows = {key: row.value for key, row in self.store.rows(kind).items()}
        for key, value in over.items():
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = value
        return rows
