"""Checkpoints: what the log says of itself, signed.

A checkpoint is a C2SP tlog-checkpoint (origin, size, root; no extension lines) inside a C2SP signed-note with Ed25519
signatures. Reading is strict: one spelling of everything, or it is not a checkpoint. A note may carry signatures of
keys nobody here knows (witnesses); it counts when one trusted key of the origin's own name signed it, and a wrong
signature under a trusted key is refused whatever else stands beside it.

    example.org/remit
    17
    <base64 of the root>

    — example.org/remit <base64 of key id ‖ signature>
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from remit.errors import Unverified
from remit.ledger.merkle import HASH_BYTES

ED25519: Final = b"\x01"
KEY_ID_BYTES: Final = 4
# Signatures of witnesses may stand beside ours; a note is small (C2SP signed-note bounds are the verifier's choice).
NOTE_BYTES_MAX: Final = 16 * 1024

_NAME: Final = re.compile(r"[^\s+]+\Z")
_BODY: Final = re.compile(r"([^\s+]+)\n(0|[1-9][0-9]{0,18})\n([^\n]+)\Z")
_DASH: Final = "\u2014 "


class Signer(Protocol):
    """A key that signs checkpoints, wherever it is kept."""

    name: str
    key_id: bytes

    def sign(self, data: bytes) -> bytes:
        """An Ed25519 signature, 64 bytes."""
        ...

    def verifier_key(self) -> str:
        """The public half, `<name>+<hash>+<base64>`."""
        ...


class Key(Struct, frozen=True):
    """A verifier key: `name`, and the 32 public bytes."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key), the first four bytes. Source: C2SP signed-note."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:KEY_ID_BYTES]

    @property
    def text(self) -> str:
        """`<name>+<hash>+<base64>`."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    def check(self, data: bytes, signature: bytes) -> None:
        """Raises `Unverified` unless this key signed `data`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, data)
        except InvalidSignature as e:
            raise Unverified(f"the signature of `{self.name}+{self.id.hex()}` does not fit") from e


class Checkpoint(Struct, frozen=True):
    """The first `size` receipts of the log `origin` have this Merkle root (32 bytes)."""

    origin: str
    size: int
    root: bytes

    @property
    def body(self) -> bytes:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n".encode()


class Note(Struct, frozen=True):
    """A checkpoint as read, nothing believed yet: `signatures` are (key name, key id, signature)."""

    checkpoint: Checkpoint
    signatures: tuple[tuple[str, bytes, bytes], ...]


def parse_key(text: str) -> Key:
    """A verifier key from its text. Raises `Unverified` for anything but its one spelling."""
    name, _, rest = text.partition("+")
    key = Key(name, _base64(rest.partition("+")[2], "a verifier key")[1:])
    if not _NAME.match(name) or len(key.public) != HASH_BYTES or key.text != text:
        raise Unverified(f"`{text[:120]}` is not an Ed25519 verifier key")
    return key


def sign(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """The checkpoint as a signed note. The signer's name has to be the origin."""
    body = checkpoint.body
    signature = base64.b64encode(signer.key_id + signer.sign(body)).decode()
    return body + f"\n{_DASH}{signer.name} {signature}\n".encode()


def read(note: bytes) -> Note:
    """A checkpoint as written, signatures unchecked. Raises `Unverified` when it is not one."""
    if len(note) > NOTE_BYTES_MAX:
        raise Unverified("the checkpoint is too large to be one")
    try:
        text = note.decode()
    except UnicodeDecodeError as e:
        raise Unverified("the checkpoint is not UTF-8") from e
    head, blank, tail = text.partition("\n\n")
    body = _BODY.match(head)
    if body is None or not blank or not tail.endswith("\n"):
        raise Unverified("the checkpoint is not origin, size, root and signatures")
    checkpoint = Checkpoint(body[1], int(body[2]), _base64(body[3], "the checkpoint's root"))
    if len(checkpoint.root) != HASH_BYTES:
        raise Unverified("the checkpoint's root is not 32 bytes")
    return Note(checkpoint, tuple(_signature(line) for line in tail[:-1].split("\n")))


def verify(note: bytes, keys: Iterable[Key]) -> Checkpoint:
    """The checkpoint, signed by at least one of `keys`. Raises `Unverified`; no keys means nobody is trusted."""
    found = read(note)
    signed_by(found, tuple(keys))
    return found.checkpoint


def signed_by(note: Note, keys: Sequence[Key]) -> tuple[Key, ...]:
    """The keys of `keys` that signed the note, at least one. Raises `Unverified`."""
    checkpoint = note.checkpoint
    known = {(key.name, key.id): key for key in keys if key.name == checkpoint.origin}
    signers = []
    for name, key_id, signature in note.signatures:
        if key := known.get((name, key_id)):
            key.check(checkpoint.body, signature)
            signers.append(key)
    if not signers:
        raise Unverified(
            f"the checkpoint of size {checkpoint.size} is signed by no trusted key of `{checkpoint.origin}`",
            "is this the key of this gateway?",
        )
    return tuple(signers)


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not _NAME.match(name):
        raise Unverified("a signature line of the checkpoint is malformed")
    data = _base64(encoded, "a signature of the checkpoint")
    return name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:]


def _base64(text: str, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as e:
        raise Unverified(f"{what} is not base64") from e
    # Base64 spells some bytes several ways; only one of them is accepted.
    if base64.b64encode(data).decode() != text:
        raise Unverified(f"{what} is not base64 as it is written")
    return data
