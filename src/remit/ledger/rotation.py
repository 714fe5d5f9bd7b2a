"""Handing the ledger from one key to the next: a receipt that both of them signed.

Whoever trusts the old key may trust the new one from there on; a rotation one of the two did not sign is no
rotation. Keys of other purposes are not the ledger's business.
"""

import base64
from collections.abc import Iterable
from typing import Final

from remit.errors import Unverified
from remit.ledger.checkpoint import Key, parse_key
from remit.ledger.receipt import KeyEvent

PURPOSE: Final = "ledger"


def statement(old: str, new: str, *, purpose: str) -> bytes:
    """What both keys sign: `old‖new‖purpose`, keys as verifier key text."""
    return (old + new + purpose).encode()


def rotated(event: KeyEvent) -> tuple[Key, Key]:
    """The (old, new) keys of a ledger rotation. Raises `Unverified` unless both signed it."""
    old, new = parse_key(event.old), parse_key(event.new)
    if old.name != new.name:
        raise Unverified(f"the key rotation leads from the log `{old.name}` to `{new.name}`")
    said = statement(event.old, event.new, purpose=event.purpose)
    for key, signature in ((old, event.signed_by_old), (new, event.signed_by_new)):
        try:
            key.check(said, base64.b64decode(signature, validate=True))
        except (Unverified, ValueError) as e:
            raise Unverified(f"the key rotation is not signed by `{key.name}+{key.id.hex()}`") from e
    return old, new


def links(keys: Iterable[Key], events: Iterable[KeyEvent]) -> tuple[tuple[Key, ...], tuple[Key, ...]]:
    """(trusted, retired): `keys` with every key they hand over to, and every other key that handed over to one of them.

    A retired key explains old checkpoints; it never vouches for a new one. Raises `Unverified` for a rotation that is
    not signed by both.
    """
    trusted, rotations = list(keys), [rotated(event) for event in events if event.purpose == PURPOSE]
    for old, new in rotations:
        if old in trusted and new not in trusted:
            trusted.append(new)
    retired: list[Key] = []
    for old, new in reversed(rotations):
        if (new in trusted or new in retired) and old not in trusted:
            retired.append(old)
    return tuple(trusted), tuple(retired)
