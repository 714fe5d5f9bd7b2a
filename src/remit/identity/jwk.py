"""Public keys: which of them may verify a signature, and for which algorithm.

One key serves exactly the algorithms of its type and curve, so a token cannot choose another (RFC 8725 section 3.1).
Refused: symmetric keys, keys shown with their private half (they prove nothing any more), RSA below 2048 bits, curves
that are not listed, keys meant for something else than verifying. What is kept is written anew from the parsed
key, so that one key has one thumbprint however it was spelt.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.util import base64_to_int

from remit.identity.model import Key
from remit.limits import NAME_CHARS_MAX
from remit.reasons import Denied, Reason

Native = ECKey | RSAKey | OKPKey

_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_SERVES: Final[Mapping[tuple[str, str], frozenset[str]]] = {
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"Ed25519"}),
    ("RSA", ""): _RSA,
}
_TYPES: Final[Mapping[str, type[Native]]] = {"EC": ECKey, "RSA": RSAKey, "OKP": OKPKey}
_MATERIAL: Final[Mapping[str, tuple[str, ...]]] = {"EC": ("crv", "x", "y"), "RSA": ("n", "e"), "OKP": ("crv", "x")}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
# 8192 bits bounds what one verification can cost; NIST SP 800-56B rev. 2 section 6.2 asks for 2^16 < e.
_RSA_BITS: Final = range(2048, 8192 + 1)
_RSA_EXPONENT: Final = range(65537, 2**32)

ALGORITHMS: Final = frozenset().union(*_SERVES.values())


def modern(algorithm: str) -> str:
    """The name of RFC 9864: `Ed25519` for what RFC 8037 called `EdDSA`; others as they are."""
    return "Ed25519" if algorithm == "EdDSA" else algorithm


def public_key(jwk: Any) -> Key:
    """The key a JWK (RFC 7517) holds, with public members only, or `Denied(identity.invalid)` saying what is wrong.

    Members about use (`use`, `key_ops` without `verify`) are the caller's to judge, except that `enc` is refused.
    """
    if not isinstance(jwk, Mapping):
        raise _refused("a key has to be an object")
    if _PRIVATE & jwk.keys():
        raise _refused("a key is symmetric or shown with its private half")
    kid = jwk.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= NAME_CHARS_MAX:
        raise _refused("a key has no `kid`")
    if jwk.get("use") == "enc" or "verify" not in _list(jwk.get("key_ops", ["verify"])):
        raise _refused("a key is not for signatures")
    key = _parsed(jwk)
    algorithm = jwk.get("alg")
    if algorithm is None:
        return Key(kid=kid, jwk=key)
    if not isinstance(algorithm, str) or modern(algorithm) not in _serves(key):
        raise _refused("a key's `alg` does not fit its type")
    return Key(kid=kid, jwk=key | {"alg": modern(algorithm)})


def enrollable(jwk: Any) -> Key:
    """The key an agent may be enrolled with: `kid` is its thumbprint (RFC 7638), whatever the JWK says it is."""
    key = public_key({"kid": "-", **jwk} if isinstance(jwk, Mapping) else jwk)
    return Key(kid=thumbprint(key), jwk=key.jwk)


def serves(key: Key) -> frozenset[str]:
    """The algorithms a key verifies: those of its type and curve, narrowed to its own `alg` if it names one."""
    algorithm = key.jwk.get("alg")
    return _serves(key.jwk) if algorithm is None else _serves(key.jwk) & {algorithm}


def thumbprint(key: Key) -> str:
    """RFC 7638 with SHA-256, base64url."""
    return _imported(_material(key.jwk))[1]


def native(key: Key) -> Native:
    """The key in the form joserfc's algorithms take; parsed once."""
    return _imported(_material(key.jwk))[0]


def _serves(jwk: Mapping[str, Any]) -> frozenset[str]:
    return _SERVES[jwk["kty"], jwk.get("crv", "")]


def _parsed(jwk: Mapping[str, Any]) -> dict[str, str]:
    kty = jwk.get("kty")
    if not isinstance(kty, str) or kty not in _TYPES:
        raise _refused("a key's `kty` is not EC, RSA or OKP")
    if not all(isinstance(jwk.get(member), str) for member in _MATERIAL[kty]):
        raise _refused("a key lacks a member")
    if (kty, jwk["crv"] if "crv" in _MATERIAL[kty] else "") not in _SERVES:
        raise _refused("a key's curve is not served")
    try:
        if kty == "RSA" and not _rsa_fits(jwk):
            raise _refused("an RSA key is too small, too large or has an unsafe exponent")
        found, _ = _imported(_material(jwk))
    except (JoseError, ValueError) as e:
        raise _refused("a key cannot be read") from e
    written = type(found).import_key(found.public_key).as_dict(private=False)  # type: ignore[arg-type]
    return {member: str(written[member]) for member in ("kty", *_MATERIAL[kty])}


def _rsa_fits(jwk: Mapping[str, Any]) -> bool:
    return base64_to_int(jwk["n"]).bit_length() in _RSA_BITS and base64_to_int(jwk["e"]) in _RSA_EXPONENT


def _material(jwk: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((member, jwk[member]) for member in ("kty", *_MATERIAL[jwk["kty"]]))


@lru_cache(maxsize=4096)
def _imported(material: tuple[tuple[str, str], ...]) -> tuple[Native, str]:
    jwk: dict[str, str | list[str]] = dict(material)
    key = _TYPES[str(jwk["kty"])].import_key(jwk)
    return key, key.thumbprint()


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _refused(why: str) -> Denied:
    return Denied(Reason.IDENTITY_INVALID, why)
