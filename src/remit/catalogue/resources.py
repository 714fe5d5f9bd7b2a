"""Which URIs a prefix or a pinned URI template covers.

Two readings of one URI are a way around it, so what is matched by pattern has to be plain: no dot segments, nothing
percent-encoded that could be written as it is, or that hides a `/`, a backslash, a percent sign or a control. Case and
encoding are compared as they stand, nothing is normalised.

Templates are RFC 6570 with the expressions `{var}`, `{+var}`, `{/var}`, `{/var*}`, `{?a,b}` and `{&a,b}`; others are
refused when a template is to be pinned. `{var}` covers one segment, `{+var}` any number.

Example: `file:///data/{name}` covers `file:///data/a.txt`, and neither `file:///data/a/b` nor `file:///data/..`.
"""

import re
from functools import lru_cache
from typing import Final

from jsonschema_rs import Validator

from remit.catalogue.schemas import validator
from remit.errors import CallerFault

_SEPARATOR: Final = re.compile(r"[^A-Za-z0-9._~%-]")
_ENCODED: Final = re.compile(r"%(.{0,2})", re.DOTALL)
_HEX: Final = re.compile(r"[0-9A-Fa-f]{2}")
_DISGUISED: Final = frozenset(
    [*range(0x20), *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/\\%\x7f"]
)
_WEB_HOST: Final = re.compile(r"(?:https?|wss?):/*[^/?#]*", re.IGNORECASE)

_EXPRESSION: Final = re.compile(r"\{([+/?&]?)(\w+(?:,\w+)*)(\*?)\}", re.ASCII)
_CHARACTER: Final = r"(?:[A-Za-z0-9\-._~]|%[0-9A-Fa-f]{2})"
_RESERVED: Final = r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})"
_ADVICE: Final = "use `{var}`, `{+var}`, `{/var}`, `{/var*}`, `{?a,b}` or `{&a,b}`"


def is_plain(uri: str) -> bool:
    """Whether everybody who reads the URI reads the same path."""
    if "\\" in uri or any(piece in (".", "..") for piece in _SEPARATOR.split(uri)):
        return False
    return all(_HEX.fullmatch(code) and int(code, 16) not in _DISGUISED for code in _ENCODED.findall(uri))


def leaves_host_open(prefix: str) -> bool:
    """Whether what follows the prefix could still choose the scheme, or the host of a web address."""
    return ":" not in prefix or _WEB_HOST.fullmatch(prefix) is not None


def template(text: str) -> str:
    """The URI template, if it can be held to what it says; else `CallerFault`."""
    _pattern(text)
    return text


def covers(text: str, uri: str) -> bool:
    """Whether a URI template covers a URI; one that could not be pinned covers nothing."""
    try:
        return is_plain(uri) and _pattern(text).is_valid(uri)
    except CallerFault:
        return False


@lru_cache(maxsize=4096)
def _pattern(text: str) -> Validator:
    # A JSON Schema's `pattern`, because that engine takes linear time whatever a tool server advertises.
    pattern, end = "^", 0
    for found in _EXPRESSION.finditer(text):
        if leaves_host_open(text[: found.start()] + found[1].strip("+&")):
            raise CallerFault(f"`{found[0]}` would choose where the address leads", "a template names its host")
        pattern += _literal(text[end : found.start()]) + _variable(found)
        end = found.end()
    return validator({"pattern": pattern + _literal(text[end:]) + "$"})


def _literal(text: str) -> str:
    if "{" in text or "}" in text or not text.isascii():
        raise CallerFault("the URI template holds something that is not supported", _ADVICE)
    return "".join(c if c.isalnum() else f"\\x{ord(c):02x}" for c in text)


def _variable(found: re.Match[str]) -> str:
    operator, names, many = found.groups()
    if operator in ("?", "&") and not many:
        pair = f"(?:{names.replace(',', '|')})={_CHARACTER}*"
        return f"(?:\\?{pair}(?:&{pair})*)?" if operator == "?" else f"(?:&{pair})*"
    if "," in names or (many and operator != "/"):
        raise CallerFault(f"the expression `{found[0]}` is not supported", _ADVICE)
    if operator == "/":
        return f"(?:/{_CHARACTER}+)" + ("*" if many else "")
    return f"{_RESERVED if operator else _CHARACTER}+"
