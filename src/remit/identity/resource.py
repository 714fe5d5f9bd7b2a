"""The agents' door as an OAuth 2.1 protected resource: what it says of itself, and how a request may reach it.

Every endpoint is a resource of its own; its URL, without a trailing slash, is what a token Remit issues must be for. A
token travels in the `Authorization` header and nowhere else (RFC 6750 section 2.1). A request that names another host
(DNS rebinding), or that a web page of another origin makes, is refused before anybody asks who sent it.

Example: `https://remit.example/mcp/git` is described at
`https://remit.example/.well-known/oauth-protected-resource/mcp/git`.
"""

import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

from remit.catalogue.model import Declared, Gateway
from remit.reasons import WORDS, Denied, Reason

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"

# These are answered 401 with a challenge; every other refusal is not about the credential.
UNAUTHENTICATED: Final = frozenset(
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

_BEARER: Final = re.compile(r"(?i:bearer) +([!-~]+) *\Z")
_QUERY_TOKENS: Final = frozenset({"access_token", "token", "id_token", "authorization"})
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?\Z")


class Site(Struct, frozen=True, kw_only=True):
    """Where the door may be found. `hosts` are names without port, lower case; `origins` are `scheme://host[:port]`.

    Ports are not compared: a page that rebinds its name to this address still sends its own name.
    """

    hosts: frozenset[str]
    origins: frozenset[str]


def site_of(gateway: Gateway) -> Site:
    """The names a gateway answers to: its public URL's, its listening address's, and those the catalogue allows."""
    listen = gateway.listen.rpartition(":")[0].lower()
    public = urlsplit(gateway.public_url or "")
    named = {listen, public.netloc.lower(), *(host.lower() for host in gateway.allowed_hosts)}
    hosts = {found[1] for host in named if (found := _HOST.match(host))}
    origins = {origin.lower() for origin in gateway.allowed_origins}
    if public.netloc:
        origins.add(f"{public.scheme}://{public.netloc}".lower())
    return Site(hosts=frozenset(hosts | _LOOPBACK if hosts & _LOOPBACK else hosts), origins=frozenset(origins))


def allowed(host: str | None, origin: str | None, *, site: Site) -> str:
    """The host a request names, or `Denied(identity.origin)` (HTTP 403). `origin` is None where there is no header.

    An origin is allowed if it is listed or is the very host the request names. Source: MCP 2025-11-25, transports.
    """
    named = (host or "").lower()
    found = _HOST.match(named)
    if found is None or found[1] not in site.hosts:
        raise Denied(Reason.IDENTITY_ORIGIN, "the Host header names no host of this gateway")
    if origin is not None and origin.lower() not in site.origins | {f"http://{named}", f"https://{named}"}:
        raise Denied(Reason.IDENTITY_ORIGIN, "the Origin header names an origin that is not allowed")
    return named


def bearer(headers: Sequence[str], query: str) -> str | None:
    """The token of a request: `headers` are the values of all its `Authorization` headers, `query` its query string.

    None if it presents nothing. Raises `Denied(identity.invalid)` for two headers, another scheme than Bearer, or a
    token in the query string, where it would end up in logs and histories.
    """
    if query and any(name.lower() in _QUERY_TOKENS for name, _ in parse_qsl(query, keep_blank_values=True)):
        raise Denied(Reason.IDENTITY_INVALID, "tokens in the query string are refused")
    if not headers:
        return None
    found = _BEARER.match(headers[0])
    if len(headers) > 1 or found is None:
        raise Denied(Reason.IDENTITY_INVALID, "send one header `Authorization: Bearer TOKEN`")
    return found[1]


def authorization_servers(declared: Declared) -> tuple[str, ...]:
    """Where a client may obtain a token: the OIDC issuers of workloads. The local trust domain serves none."""
    rows = declared.issuers.values()
    return tuple(sorted({row.issuer for row in rows if row.kind == "oidc" and not row.for_people}))


def metadata(endpoint: str, servers: Sequence[str]) -> dict[str, Any]:
    """The protected resource metadata of an endpoint (RFC 9728 section 2); no server, no such member."""
    document: dict[str, Any] = {"resource": endpoint, "bearer_methods_supported": ["header"]}
    if servers:
        document["authorization_servers"] = list(servers)
    return document


def metadata_url(endpoint: str) -> str:
    """Where the metadata of an endpoint is served: the well-known path stands before its own (RFC 9728 section 3.1)."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path}"


def challenge(endpoint: str, reason: Reason) -> str:
    """The `WWW-Authenticate` value of a 401 (RFC 6750 section 3, RFC 9728 section 5.1).

    Who presented nothing is told no error; any other reason is `invalid_token`, in words of the closed list.
    """
    where = f'resource_metadata="{metadata_url(endpoint)}"'
    if reason is Reason.IDENTITY_MISSING:
        return f"Bearer {where}"
    return f'Bearer error="invalid_token", error_description="{WORDS[reason].text}", {where}'
