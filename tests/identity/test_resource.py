"""What the agents' door says of itself, and which requests may reach it at all."""

import pytest

from remit.catalogue.model import Gateway
from remit.identity.resource import (
    UNAUTHENTICATED,
    allowed,
    authorization_servers,
    bearer,
    challenge,
    metadata,
    metadata_url,
    site_of,
)
from remit.reasons import Denied, Reason
from tests.identity.world import declared

LOCAL = Gateway(listen="127.0.0.1:8700")
PUBLIC = Gateway(
    listen="0.0.0.0:443",
    public_url="https://Remit.example",
    allowed_hosts=("inner.example:8443",),
    allowed_origins=("https://console.example",),
)


@pytest.mark.parametrize(
    "gateway,host,origin",
    [
        (LOCAL, "127.0.0.1:8700", None),
        (LOCAL, "localhost:8700", None),
        (LOCAL, "[::1]:8700", None),
        (LOCAL, "LOCALHOST", None),
        (LOCAL, "127.0.0.1:1", None),
        (LOCAL, "127.0.0.1:8700", "http://127.0.0.1:8700"),
        (PUBLIC, "remit.example", None),
        (PUBLIC, "remit.example:443", "https://remit.example"),
        (PUBLIC, "inner.example", "https://remit.example"),
        (PUBLIC, "inner.example:8443", "https://CONSOLE.example"),
    ],
)
def test_a_request_that_names_this_gateway_may_come(gateway, host, origin):
    assert allowed(host, origin, site=site_of(gateway)) == host.lower()


@pytest.mark.holds("IDENT-ORIGIN")
@pytest.mark.parametrize(
    "gateway,host,origin",
    [
        (LOCAL, None, None),
        (LOCAL, "", None),
        (LOCAL, "evil.example:8700", None),
        (LOCAL, "127.0.0.1.evil.example", None),
        (LOCAL, "127.0.0.1:8700@evil.example", None),
        (LOCAL, "127.0.0.1:8700, evil.example", None),
        (LOCAL, "127.0.0.1:port", None),
        (LOCAL, "127.0.0.1:8700\n", None),
        (LOCAL, "127.0.0.1:8700", "null"),
        (LOCAL, "127.0.0.1:8700", ""),
        (LOCAL, "127.0.0.1:8700", "https://evil.example"),
        (LOCAL, "127.0.0.1:8700", "http://127.0.0.1:9999"),
        (LOCAL, "127.0.0.1:8700", "http://127.0.0.1:8700.evil.example"),
        (PUBLIC, "0.0.0.0:443", "https://remit.example.evil"),
        (PUBLIC, "localhost:443", None),
        (PUBLIC, "console.example", None),
        (PUBLIC, "remit.example", "http://console.example"),
    ],
)
def test_a_request_that_names_another_host_or_origin_is_refused(gateway, host, origin):
    with pytest.raises(Denied) as refused:
        allowed(host, origin, site=site_of(gateway))

    assert refused.value.reason is Reason.IDENTITY_ORIGIN


@pytest.mark.parametrize(
    "headers,query,token",
    [
        ([], "", None),
        ([], "page=2&tokens=many", None),
        (["Bearer a.b.c"], "", "a.b.c"),
        (["bearer   a.b.c "], "x=1", "a.b.c"),
    ],
)
def test_a_token_is_read_from_the_header(headers, query, token):
    assert bearer(headers, query) == token


@pytest.mark.parametrize(
    "headers,query",
    [
        ([], "access_token=a.b.c"),
        (["Bearer a.b.c"], "x=1&ACCESS_TOKEN=a.b.c"),
        (["Bearer a.b.c"], "access%5Ftoken="),
        (["Bearer a.b.c", "Bearer a.b.c"], ""),
        (["Basic dXNlcjpwYXNz"], ""),
        (["Bearer"], ""),
        (["Bearer "], ""),
        (["Bearer a b"], ""),
        (["Bearera.b.c"], ""),
        (["a.b.c"], ""),
        ([""], ""),
    ],
)
def test_a_token_anywhere_else_or_of_another_scheme_is_refused(headers, query):
    with pytest.raises(Denied) as refused:
        bearer(headers, query)

    assert refused.value.reason is Reason.IDENTITY_INVALID
    assert "a.b.c" not in refused.value.detail


@pytest.mark.holds("IDENT-METADATA")
def test_an_endpoint_describes_itself():
    servers = authorization_servers(declared())

    assert metadata("https://gate.test/mcp/git", servers) == {
        "resource": "https://gate.test/mcp/git",
        "authorization_servers": ["https://idp.test"],
        "bearer_methods_supported": ["header"],
    }


def test_without_an_authorization_server_none_is_named():
    assert "authorization_servers" not in metadata("https://gate.test/mcp", authorization_servers(declared(issuers={})))


@pytest.mark.parametrize(
    "endpoint,url",
    [
        ("https://gate.test/mcp/git", "https://gate.test/.well-known/oauth-protected-resource/mcp/git"),
        ("http://127.0.0.1:8700/mcp", "http://127.0.0.1:8700/.well-known/oauth-protected-resource/mcp"),
    ],
)
def test_the_metadata_stands_where_rfc_9728_puts_it(endpoint, url):
    assert metadata_url(endpoint) == url


@pytest.mark.holds("IDENT-CHALLENGE")
def test_who_presents_nothing_is_told_where_to_look_and_no_error():
    assert challenge("https://gate.test/mcp/git", Reason.IDENTITY_MISSING) == (
        'Bearer resource_metadata="https://gate.test/.well-known/oauth-protected-resource/mcp/git"'
    )


@pytest.mark.parametrize("reason", sorted(UNAUTHENTICATED - {Reason.IDENTITY_MISSING}))
def test_who_presents_a_wrong_token_is_told_so(reason):
    told = challenge("https://gate.test/mcp", reason)

    assert told.startswith('Bearer error="invalid_token", error_description="')
    assert told.endswith('resource_metadata="https://gate.test/.well-known/oauth-protected-resource/mcp"')
    assert told.count('"') == 6
    assert told.isascii()
