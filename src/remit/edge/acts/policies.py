"""Checking and applying a policy set: all of it or nothing, beside the running one."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from remit.commit.model import Put, Write
from remit.edge.acts.live import Applied, Live
from remit.edge.acts.who import Who, may
from remit.ledger.receipt import Draft, PolicyEvent
from remit.policy import ENGINE, difference, merged


class Files(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Policy files by name."""

    files: dict[str, str]


class Checked(Struct, frozen=True, kw_only=True):
    """What applying the set would change. `receipt` is set once it was applied."""

    digest: str
    warnings: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    diff: str
    receipt: int | None = None
