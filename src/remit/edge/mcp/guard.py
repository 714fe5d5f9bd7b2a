"""What surrounds a request: host and origin, the one place a token may be, and the challenge when it is not good.

Sources: MCP 2026-07-28 authorization and Streamable HTTP (DNS rebinding), RFC 6750, RFC 9728.
"""

import re
from typing import Any, Final
from urllib.parse import urlsplit

from remit.edge.mcp.backend import DoorSettings
from remit.edge.mcp.rpc import Fault
from remit.edge.mcp.wire import INVALID_REQUEST, REFUSED, UNAUTHENTICATED
from remit.limits import TOKEN_BYTES_MAX
from remit.reasons import WORDS, Denied, Reason

_BEARER: Final = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)\Z")
# A token that is not good (any more) is the transport's business, whoever finds out.
TOKEN: Final = frozenset(
    {
        Reason.IDENTITY_MISSING,
        Reason.IDENTITY_INVALID,
        Reason.IDENTITY_EXPIRED,
        Reason.IDENTITY_AUDIENCE,
        Reason.IDENTITY_UNMAPPED,
        Reason.IDENTITY_DOOR,
        Reason.IDENTITY_REVOKED,
    }
)
_WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"


class Guard:
    """Checks what lies outside the body, for one public URL."""

    def __init__(self, settings: DoorSettings) -> None:
        self._base = settings.public_url.rstrip("/")
        self._hosts = {host.lower() for host in settings.allowed_hosts} | {urlsplit(self._base).netloc.lower()}
        self._origins = settings.allowed_origins | {self._base}
        self._servers = settings.authorization_servers

    def url(self, path: str) -> str:
        """An endpoint's public URL."""
        return self._base + path

    def check_surroundings(self, headers: dict[str, str]) -> None:
        """Host and, from a browser, Origin are ones this gateway is reached under; else `Fault` (403)."""
        origin = headers.get("origin")
        if headers.get("host", "").lower() not in self._hosts or (origin is not None and origin not in self._origins):
            raise Fault(403, INVALID_REQUEST, "this host or origin is not allowed")

    def token(self, headers: dict[str, str]) -> str | None:
        """The bearer token, None without an `Authorization: Bearer`; `Denied` for one that cannot be a token."""
        value = headers.get("authorization")
        if value is None or not value[:6].lower().startswith("bearer"):
            return None
        found = _BEARER.match(value)
        if found is None or len(found[1]) > TOKEN_BYTES_MAX:
            raise Denied(Reason.IDENTITY_INVALID)
        return found[1]

    def metadata(self, path: str) -> dict[str, Any]:
        """The protected resource metadata of an endpoint. Source: RFC 9728 section 2."""
        document: dict[str, Any] = {"resource": self.url(path), "bearer_methods_supported": ["header"]}
        if self._servers:
            document["authorization_servers"] = self._servers
        return document

    def challenge(self, no: Denied, url: str) -> Fault:
        """The 401 for a token that is missing (no error named, RFC 6750 section 3.1) or not good; 503 for any other
        reason why nobody can be authenticated now.
        """
        if no.reason not in TOKEN:
            return Fault(503, REFUSED, WORDS[no.reason].text, reason=no.reason)
        metadata = f'resource_metadata="{self._base}{_WELL_KNOWN}{url.removeprefix(self._base)}"'
        named = "" if no.reason is Reason.IDENTITY_MISSING else 'error="invalid_token", '
        fault = Fault(401, UNAUTHENTICATED, WORDS[no.reason].text, reason=no.reason)
        fault.headers = ((b"www-authenticate", f"Bearer {named}{metadata}".encode()),)
        return fault
