"""Policy files applied as they change: for development only, by the person who runs the gateway.

A set that does not compile is said and changes nothing; the one in force stays until the files are right again.
"""

import logging
from pathlib import Path
from typing import Final

from remit.edge.acts.policies import Files, PolicySets
from remit.edge.acts.who import Who
from remit.errors import RemitError

_log: Final = logging.getLogger("remit")


class WatchedPolicies:
    """One directory of `*.cedar` files. `apply_changes` is called again and again."""

    def __init__(self, policies: PolicySets, who: Who, *, directory: Path) -> None:
        self._policies = policies
        self._who = who
        self._directory = directory
        self._seen = _read(directory)

    async def apply_changes(self) -> None:
        """Apply the files, if they are not what they were when last looked at."""
        files = _read(self._directory)
        if files is None or files == self._seen:
            return
        self._seen = files
        try:
            applied = await self._policies.apply(self._who, Files(files=files))
        except RemitError as e:
            _log.warning("policies not applied: %s", e)
            return
        _log.warning("policies applied: %s, receipt %s", applied.digest, applied.receipt)


def _read(directory: Path) -> dict[str, str] | None:
    """The files by name; None while one of them cannot be read, as when it is just being written."""
    try:
        return {path.name: path.read_text(encoding="utf-8") for path in sorted(directory.glob("*.cedar"))}
    except (OSError, UnicodeDecodeError):
        return None
