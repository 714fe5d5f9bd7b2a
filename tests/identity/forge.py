"""Makes tokens by hand, right ones and wrong ones: nothing here checks what it writes."""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

Sign = Callable[[bytes], bytes]


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def text(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def compact(header: Any, claims: Any, sign: Sign) -> str:
    """A compact JWS of two JSON values, or of bytes as they are."""
    signed = f"{b64(text(header))}.{b64(text(claims))}"
    return f"{signed}.{b64(sign(signed.encode()))}"


class Pair:
    """A key pair under an id, signing with one algorithm of joserfc."""

    def __init__(self, key: Any, algorithm: str, kid: str = "") -> None:
        self.key = key
        self.algorithm = algorithm
        self.kid = kid or key.thumbprint()

    @property
    def jwk(self) -> dict[str, Any]:
        return {**self.key.as_dict(private=False), "kid": self.kid}

    def sign(self, message: bytes) -> bytes:
        return JWSRegistry.algorithms[self.algorithm].sign(message, self.key)

    def token(self, claims: Any, header: Mapping[str, Any] | None = None) -> str:
        return compact({"alg": self.algorithm, "typ": "JWT", "kid": self.kid, **(header or {})}, claims, self.sign)


@cache
def pair(algorithm: str, kid: str = "") -> Pair:
    """One pair per (algorithm, id) in a test run."""
    if algorithm.startswith(("RS", "PS")):
        return Pair(RSAKey.generate_key(2048), algorithm, kid)
    if algorithm == "Ed25519":
        return Pair(OKPKey.generate_key("Ed25519"), algorithm, kid)
    curve = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "ES256K": "secp256k1"}[algorithm]
    return Pair(ECKey.generate_key(curve), algorithm, kid)


def hmac_with(secret: bytes) -> Sign:
    """HS256 with any bytes as the secret; the classic confusion takes a public key's."""
    return lambda message: hmac.digest(secret, message, "sha256")
