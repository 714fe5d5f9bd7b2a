"""`remit.yaml` as text in, the declared catalogue out.

Everything wrong with the file is reported together, each as `file:line`, in the order of the file. What is not well
typed is reported first, alone: what rows say of each other can only be judged when they are rows.
"""

from collections.abc import Callable
from typing import Final

from msgspec import inspect

from remit.catalogue import references, wellformed
from remit.catalogue.document import Fault, parsed
from remit.catalogue.model import Declared
from remit.catalogue.typed import Path, Reader
from remit.errors import ConfigFault

FAULTS_SHOWN_MAX: Final = 20

_DECLARED: Final = inspect.type_info(Declared)
_CHECKS: Final[tuple[Callable[[Declared], references.Faults], ...]] = (
    wellformed.names,
    wellformed.lists,
    wellformed.issuers,
    wellformed.connectors,
    wellformed.tools,
    wellformed.purposes,
    wellformed.gateway,
    references.owners,
    references.places,
    references.data_classes,
    references.purpose_tools,
    references.templates,
    references.identities,
    references.issuers,
    references.os_users,
)


def load(text: str, filename: str) -> Declared:
    """The catalogue a file declares. `ConfigFault` lists what is wrong, at most `FAULTS_SHOWN_MAX` things."""
    reader = Reader()
    try:
        declared = reader.read(_DECLARED, parsed(text))
    except Fault as fault:
        raise _config_fault([fault], filename) from fault
    if reader.faults:
        raise _config_fault(reader.faults, filename)
    faults = [Fault(_line(reader, path), message) for check in _CHECKS for path, message in check(declared)]
    if faults:
        raise _config_fault(faults, filename)
    return declared  # type: ignore[no-any-return]  # the reader made it of the type it was asked for


def _line(reader: Reader, path: Path) -> int:
    """Where a field stands; for one that was left out, where its row does."""
    return next(reader.lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in reader.lines)


def _config_fault(faults: list[Fault], filename: str) -> ConfigFault:
    found = sorted({(fault.line, fault.message) for fault in faults})
    (at, first), *others = found[:FAULTS_SHOWN_MAX]
    listed = [first, *(f"{filename}:{line}: {message}" for line, message in others)]
    if len(found) > FAULTS_SHOWN_MAX:
        listed.append(f"and {len(found) - FAULTS_SHOWN_MAX} more")
    return ConfigFault("\n".join(listed), "correct the file; nothing of it is in force", where=f"{filename}:{at}")
