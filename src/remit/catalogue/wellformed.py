"""What a row of the file has to be by itself: names, addresses, keys, schemas, pointers."""

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from remit.catalogue.model import Declared, Gateway, IssuerRow, ToolRow
from remit.catalogue.patterns import pattern
from remit.catalogue.references import Faults, tool_rows
from remit.catalogue.schemas import checked
from remit.catalogue.typed import Path
from remit.errors import CallerFault

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_WORD: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_TOOL: Final = re.compile(r"[A-Za-z0-9_.\-/]{1,256}")
_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,254}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
_LISTEN: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9.-]+)):(?P<port>[0-9]{1,5})")
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9.\-\[\]:]+")
_HOST: Final = re.compile(r"[A-Za-z0-9.\-\[\]:]+")
_PRINTABLE: Final = re.compile(r"[!-~]+")
_PORT_MAX: Final = 65535

# RFC 7518 and RFC 8037, asymmetric only: a symmetric algorithm or `none` would let whoever verifies, or anybody, sign.
ALGORITHMS: Final = frozenset(
    {"ES256", "ES384", "ES512", "Ed25519", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"}
)
_KEY_SOURCES: Final = ("jwks_url", "jwks_file", "bundle_url", "bundle_file")


def names(declared: Declared) -> Faults:
    """Names are plain ASCII: no homoglyph, case variant or path ever looks like another's."""
    strict = {"agents": declared.agents, "services": declared.services, "connectors": declared.connectors}
    loose = {"people": declared.people, "issuers": declared.issuers, "purposes": declared.purposes}
    yield from _named(strict, _NAME, of="lower-case letters, digits and `-`")
    yield from _named(loose, _WORD, of="lower-case letters, digits and `. _ -`")
    yield from _named(
        {key: getattr(declared, key) for key in ("environments", "tenants", "data_classes")},
        _WORD,
        of="lower-case letters, digits and `. _ -`",
    )
    for connector, row in declared.connectors.items():
        for tool in row.tools:
            if not _TOOL.fullmatch(tool):
                yield ("connectors", connector, "tools", tool), f"`{tool}` cannot be the name of a tool"
    if not _TRUST_DOMAIN.fullmatch(declared.trust_domain):
        yield ("trust_domain",), f"`{declared.trust_domain}` is no trust domain, such as `remit.example`"


def lists(declared: Declared) -> Faults:
    """Lists that must not be empty or name a thing twice."""
    for key in ("environments", "tenants", "data_classes"):
        values = getattr(declared, key)
        if not values:
            yield (key,), f"`{key}` is empty"
        if len(set(values)) != len(values):
            yield (key,), f"`{key}` names one twice"
    for name, purpose in declared.purposes.items():
        for key in ("tools", "environments", "tiers", "tenants"):
            if not getattr(purpose, key):
                yield ("purposes", name, key), f"`{key}` is empty, so nothing could be done"


def issuers(declared: Declared) -> Faults:
    for name, row in declared.issuers.items():
        at: Path = ("issuers", name)
        sources = [key for key in _KEY_SOURCES if getattr(row, key) is not None]
        if len(sources) != 1:
            yield at, f"an issuer has exactly one of {', '.join(f'`{key}`' for key in _KEY_SOURCES)}"
        for i, algorithm in enumerate(row.algorithms):
            if algorithm not in ALGORITHMS:
                yield (*at, "algorithms", i), f"`{algorithm}` is not accepted, only {', '.join(sorted(ALGORITHMS))}"
        if not row.algorithms or not row.audiences:
            yield at, "`algorithms` and `audiences` name at least one"
        yield from _issuer_address(at, row)


def connectors(declared: Declared) -> Faults:
    for name, row in declared.connectors.items():
        at = ("connectors", name)
        if (row.url is None) == (not row.command):
            yield at, "a connector has either `url` or `command`"
        if row.url is not None:
            yield from address((*at, "url"), row.url)
            if row.env:
                yield (*at, "env"), "`env` is for a `command`"
        for i, variable in enumerate(row.env):
            if not _VARIABLE.fullmatch(variable):
                yield (*at, "env", i), f"`{variable}` is no name of an environment variable; values do not stand here"


def tools(declared: Declared) -> Faults:
    for path, row in tool_rows(declared):
        if row.tier is not None and row.rules:
            yield path, "a tool has either `tier` or `rules`"
        for i, rule in enumerate(row.rules):
            yield from _schema((*path, "rules", i, "when"), rule.when)
        yield from _pointers(path, row)


def purposes(declared: Declared) -> Faults:
    for name, purpose in declared.purposes.items():
        for i, tool in enumerate(purpose.tools):
            yield from _pattern(("purposes", name, "tools", i), tool)
        for key, schema in purpose.arguments.items():
            at = ("purposes", name, "arguments", key)
            yield from _pattern(at, key)
            yield from _schema(at, schema)
    for name, agent in declared.agents.items():
        for i, tool in enumerate((agent.template and agent.template.tools) or ()):
            yield from _pattern(("agents", name, "template", "tools", i), tool)


def gateway(declared: Declared) -> Faults:
    row = declared.gateway
    if (row.tls_cert is None) != (row.tls_key is None):
        yield ("gateway",), "`tls_cert` and `tls_key` stand together"
    yield from _listen(("gateway", "listen"), row.listen, row=row)
    if row.people is not None:
        yield from _listen(("gateway", "people"), row.people, row=row)
    if row.public_url is not None:
        yield from address(("gateway", "public_url"), row.public_url)
    if row.checkpoint_to is not None and "://" in row.checkpoint_to:
        yield from address(("gateway", "checkpoint_to"), row.checkpoint_to)
    for key, shape in (("allowed_origins", _ORIGIN), ("allowed_hosts", _HOST)):
        for i, value in enumerate(getattr(row, key)):
            if not shape.fullmatch(value):
                yield ("gateway", key, i), f"`{value}` has to be written out; there are no wildcards"


def address(at: Path, url: str) -> Faults:
    """An `https` URL, or an `http` one to this machine; without user or password."""
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https"):
        yield at, f"`{url}` is no `https` URL"
    elif parts.username is not None or parts.password is not None:
        yield at, "a URL holds no user or password"
    elif parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        yield at, f"`{url}` is not encrypted: `http` is for loopback only"


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        whole = parts.hostname and parts.port != 0 and _PRINTABLE.fullmatch(url)
    except ValueError:  # raised by reading the port, too
        return None
    return parts if whole else None


def _issuer_address(at: Path, row: IssuerRow) -> Faults:
    if row.kind == "oidc":
        yield from address((*at, "issuer"), row.issuer)
    elif not row.issuer.startswith("spiffe://") or not _TRUST_DOMAIN.fullmatch(row.issuer.removeprefix("spiffe://")):
        yield (*at, "issuer"), f"`{row.issuer}` is no `spiffe://` trust domain"
    for key in ("jwks_url", "bundle_url"):
        if (url := getattr(row, key)) is not None:
            yield from address((*at, key), url)


def _named(groups: Mapping[str, Iterable[str]], shape: re.Pattern[str], *, of: str) -> Faults:
    for kind, found in groups.items():
        for i, name in enumerate(found):
            if not shape.fullmatch(name):
                yield (kind, name if isinstance(found, Mapping) else i), f"`{name}` is no name: {of}, at most 63"


def _pointers(path: Path, row: ToolRow) -> Iterator[tuple[Path, str]]:
    for data_class, pointers in row.data.items():
        for i, pointer in enumerate(pointers):
            if not _POINTER.fullmatch(pointer):
                yield (*path, "data", data_class, i), f"`{pointer}` is no JSON Pointer, such as `/path`"


def _schema(at: Path, schema: Mapping[str, Any]) -> Faults:
    try:
        checked(schema)
    except CallerFault as e:
        yield at, f"{e.message}; {e.advice}" if e.advice.startswith(("did", "only")) else e.message


def _pattern(at: Path, text: str) -> Faults:
    try:
        pattern(text)
    except CallerFault as e:
        yield at, f"{e.message}; {e.advice}"


def _listen(at: Path, text: str, *, row: Gateway) -> Faults:
    found = _LISTEN.fullmatch(text)
    if found is None or int(found["port"]) > _PORT_MAX:
        yield at, f"`{text}` is no address, such as `127.0.0.1:8700`"
    elif not (_is_loopback(found["six"] or found["host"]) or row.tls_cert or row.behind_proxy):
        yield at, f"`{text}` is not loopback: it needs `tls_cert` and `tls_key`, or `behind_proxy`"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
