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


def statement(old: str, new: str, purpose: str) -> bytes:
    """What both keys sign: `old‖new‖purpose`, keys as verifier key text."""
    return (old + new + purpose).encode()


def rotated(event: KeyEvent) -> tuple[Key, Key]:
    """The (old, new) keys of a ledger rotation. Raises `Unverified` unless both signed it."""
    old, new = parse_key(event.old), parse_key(event.new)
    said = statement(event.old, event.new, event.purpose)
    for key, signature in ((old, event.signed_by_old), (new, event.signed_by_new)):
        try:
            key.check(said, base64.b64decode(signature, validate=True))
        except (Unverified, ValueError) as e:
            raise Unverified(f"the key rotation is not signed by `{key.name}+{key.id.hex()}`") from e
    return old, new


def trusted(keys: Iterable[Key], events: Iterable[KeyEvent]) -> tuple[Key, ...]:
    """`keys`, and every key they hand over to by `events` in order. Raises `Unverified` for one not signed by both."""
    known = list(keys)
    for event in events:
        if event.purpose == PURPOSE:
            old, new = rotated(event)
            if old in known and new not in known:
                known.append(new)
    return tuple(known)
