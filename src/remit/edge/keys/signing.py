"""The key that signs the ledger: Ed25519, in one file only the gateway's user can read.

The file holds one line, the signer key encoding of Go's `sumdb/note`: `PRIVATE+KEY+<name>+<hash>+<base64>`. It signs
checkpoints and its own successor, nothing else; tokens and sessions have keys of their own.
"""

import base64
import os
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from remit.edge.keys.secret import read_secret
from remit.errors import ConfigFault, Unverified
from remit.ledger.checkpoint import ED25519, Key, parse_key
from remit.ledger.receipt import Actor, KeyEvent
from remit.ledger.rotation import PURPOSE, statement

_PREFIX: Final = "PRIVATE+KEY+"
_SEED_BYTES: Final = 32


class LedgerSigner:
    """A ledger signing key in memory; its repr and its attributes show the public half only."""

    __slots__ = ("_private", "_public", "key_id", "name")

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self._private = private
        self._public = Key(name, private.public_key().public_bytes_raw())
        self.name = name
        self.key_id = self._public.id

    def __repr__(self) -> str:
        return f"<LedgerSigner {self.name}+{self.key_id.hex()}>"

    def sign(self, data: bytes) -> bytes:
        """An Ed25519 signature, 64 bytes."""
        return self._private.sign(data)

    def verifier_key(self) -> str:
        """The public half, `<name>+<hash>+<base64>`."""
        return self._public.text

    def save(self, path: Path) -> None:
        """Write the private key to a new file, mode 0600. Raises `ConfigFault` if something is there already."""
        key_data = base64.b64encode(ED25519 + self._private.private_bytes_raw()).decode()
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError as e:
            raise ConfigFault(f"`{path}` exists already", "keys are never overwritten; choose another file") from e
        with os.fdopen(handle, "w") as file:
            file.write(f"{_PREFIX}{self.name}+{self.key_id.hex()}+{key_data}\n")
            file.flush()
            os.fsync(file.fileno())


def make_signer(name: str) -> LedgerSigner:
    """A new key. `name` is the log's origin, `<trust_domain>/remit`."""
    signer = LedgerSigner(name, Ed25519PrivateKey.generate())
    try:
        parse_key(signer.verifier_key())
    except Unverified as e:
        raise ConfigFault(f"`{name}` cannot name a log", "a key's name holds no spaces and no `+`") from e
    return signer


def load_signer(path: Path) -> LedgerSigner:
    """Read a key that `save` wrote. Raises `ConfigFault` when it is another's, others can read it or it is not one."""
    data = read_secret(path, what="ledger key", advice="run `remit init`, or name the right file")
    return _decode(data.decode(errors="replace").strip(), path)


def rotation(old: LedgerSigner, new: LedgerSigner, *, actor: Actor) -> KeyEvent:
    """The receipt body that hands the ledger from `old` to `new`, signed by both."""
    said = statement(old.verifier_key(), new.verifier_key(), purpose=PURPOSE)
    return KeyEvent(
        purpose=PURPOSE,
        old=old.verifier_key(),
        new=new.verifier_key(),
        signed_by_old=base64.b64encode(old.sign(said)).decode(),
        signed_by_new=base64.b64encode(new.sign(said)).decode(),
        actor=actor,
    )


def _decode(text: str, path: Path) -> LedgerSigner:
    fault = ConfigFault(f"`{path}` is not a ledger key", "restore it from its backup, or rotate to a new one")
    name, _, rest = text.removeprefix(_PREFIX).partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise fault from None  # the cause would quote the key
    if not text.startswith(_PREFIX) or data[:1] != ED25519 or len(data) != 1 + _SEED_BYTES:
        raise fault
    signer = LedgerSigner(name, Ed25519PrivateKey.from_private_bytes(data[1:]))
    if signer.key_id.hex() != key_id:
        raise fault
    return signer
