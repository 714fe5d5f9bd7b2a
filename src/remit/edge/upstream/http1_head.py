"""The head of an HTTP/1.1 request, as bytes.

Rules: nothing that is given can end a line or a field: a name is a token, all else printable ASCII. What frames a
message, and what is for the connection alone, is written here and never taken from a caller. No user or password of a
URL is written. Source: RFC 9110 sections 5 and 7.2, RFC 9112 section 3.
"""

import re
from collections.abc import Mapping
from typing import Final

from yarl import URL

# The answers to these have a body wherever their head says so; that to HEAD or CONNECT would not.
METHODS: Final = frozenset({"DELETE", "GET", "POST"})
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_OURS: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def request_head(method: str, url: URL, *, headers: Mapping[str, str], length: int | None) -> bytes:
    """All before the body. `length` is the body's, None where there is none. Raises `ValueError`, quoting nothing."""
    host, path = url.raw_host, url.raw_path_qs
    if method not in METHODS or url.scheme not in ("http", "https") or not host:
        raise ValueError("this is no request that HTTP/1.1 is used for here")
    if not _printable(path) or not _printable(host) or " " in path or " " in host:
        raise ValueError("the URL cannot be written in a request")
    lines = [f"{method} {path} HTTP/1.1\r\nHost: {_authority(url, host)}\r\n"]
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or name.lower() in _OURS or not _printable(value):
            raise ValueError("a header cannot be written in a request")
        lines.append(f"{name}: {value}\r\n")
    lines.append("\r\n" if length is None else f"Content-Length: {length}\r\n\r\n")
    return "".join(lines).encode("ascii")


def _authority(url: URL, host: str) -> str:
    """Host and port as they stand in `Host`: brackets around IPv6, no zone (it is of this machine), no default port."""
    shown = f"[{host.partition('%')[0]}]" if ":" in host else host
    return shown if url.is_default_port() else f"{shown}:{url.port}"


def _printable(text: str) -> bool:
    return text.isascii() and text.isprintable()
