"""Fetches an issuer's key document: one request, bounded in time and size, that goes nowhere but where it was sent.

HTTPS, or HTTP to this machine; no redirects, no proxy, no cookies, no compression. A relative file path is relative to
the catalogue's directory. Whatever goes wrong is `KeysUnavailable`.
"""

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from msgspec import Struct

from remit.catalogue.model import IssuerRow
from remit.errors import ConfigFault, RemitError
from remit.limits import JWKS_BYTES_MAX, JWKS_TIMEOUT_S

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_TIMEOUT: Final = aiohttp.ClientTimeout(total=JWKS_TIMEOUT_S)
_HEADERS: Final = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}


class KeysUnavailable(RemitError):
    """An issuer's key document could not be had, or is not one."""


class Source(Struct, frozen=True, kw_only=True):
    """Where an issuer's keys are: a URL or a file path. `bundle`: a SPIFFE bundle, of which only JWT keys count."""

    location: str
    bundle: bool = False


def source_of(row: IssuerRow) -> Source:
    """The one source a row names. Raises `ConfigFault` for none, several, or a URL anybody could answer for."""
    named = [
        Source(location=location, bundle=bundle)
        for location, bundle in (
            (row.jwks_url, False),
            (row.jwks_file, False),
            (row.bundle_url, True),
            (row.bundle_file, True),
        )
        if location
    ]
    if len(named) != 1:
        raise ConfigFault(
            f"the issuer `{row.issuer}` has {len(named)} sources of keys",
            "give one of `jwks_url`, `jwks_file`, `bundle_url`, `bundle_file`",
        )
    url = row.jwks_url or row.bundle_url
    if url is not None and not _safe(url):
        raise ConfigFault(f"`{url}` is not a safe source of keys", "use https, or http to this machine")
    return named[0]


class Fetcher:
    """Fetches documents over one pool of connections. `root` is what relative file paths start from."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, source: Source) -> bytes:
        """The document, at most `JWKS_BYTES_MAX` bytes, or `KeysUnavailable`."""
        if "://" in source.location:
            document = await self._over_http(source.location)
        else:
            document = await asyncio.to_thread(_from_file, self._root / source.location)
        if len(document) > JWKS_BYTES_MAX:
            raise KeysUnavailable(f"`{source.location}` is larger than {JWKS_BYTES_MAX} bytes")
        return document

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _over_http(self, url: str) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=_TIMEOUT, headers=_HEADERS, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            )
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status != HTTPStatus.OK:
                    raise KeysUnavailable(f"`{url}` answered {response.status}")
                return await _bounded(response.content)
        except (aiohttp.ClientError, TimeoutError, ValueError) as e:
            raise KeysUnavailable(f"`{url}` could not be fetched: {type(e).__name__}") from e


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    """One byte more than is allowed is enough to know."""
    found = bytearray()
    async for chunk in content.iter_chunked(16 * 1024):
        found += chunk
        if len(found) > JWKS_BYTES_MAX:
            break
    return bytes(found)


def _from_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(JWKS_BYTES_MAX + 1)
    except OSError as e:
        raise KeysUnavailable(f"`{path}` cannot be read: {e.strerror}") from e


def _safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if not host or parts.username is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
