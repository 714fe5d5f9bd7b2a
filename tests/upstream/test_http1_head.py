"""The head of a request: what it says, and what cannot be made to stand in it."""

import pytest
from hypothesis import given, settings, strategies as st
from yarl import URL

from remit.edge.upstream.http1_head import request_head

URLS = {
    "http://a.example/mcp": (b"/mcp", b"a.example"),
    "http://a.example": (b"/", b"a.example"),
    "http://a.example:80/": (b"/", b"a.example"),
    "https://a.example:443/": (b"/", b"a.example"),
    "http://a.example:443/": (b"/", b"a.example:443"),
    "https://a.example:8443/x?y=z&y=%20#part": (b"/x?y=z&y=%20", b"a.example:8443"),
    "http://127.0.0.1:9/ü": (b"/%C3%BC", b"127.0.0.1:9"),
    "http://[::1]/": (b"/", b"[::1]"),
    "http://[::1]:9/": (b"/", b"[::1]:9"),
    "http://[fe80::1%25lo]:9/": (b"/", b"[fe80::1]:9"),
    "http://bücher.example/": (b"/", b"xn--bcher-kva.example"),
    "http://user:secret@a.example/": (b"/", b"a.example"),
}


@pytest.mark.parametrize("url, said", URLS.items(), ids=URLS)
def test_a_url_becomes_path_and_host(url: str, said: tuple[bytes, bytes]) -> None:
    path, host = said
    head = request_head("GET", URL(url), headers={}, length=None)
    assert head == b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"


@pytest.mark.parametrize("length, said", [(None, b""), (0, b"Content-Length: 0\r\n"), (7, b"Content-Length: 7\r\n")])
def test_a_body_is_announced_by_its_length(length: int | None, said: bytes) -> None:
    head = request_head("POST", URL("http://a/"), headers={"A": "b c", "Empty": ""}, length=length)
    assert head == b"POST / HTTP/1.1\r\nHost: a\r\nA: b c\r\nEmpty: \r\n" + said + b"\r\n"


@pytest.mark.parametrize(
    "name, value",
    [
        ("A", "b\r\nX-Evil: 1"),
        ("A", "b\n"),
        ("A", "\r"),
        ("A", "\0"),
        ("A", "\x7f"),
        ("A", "\t"),
        ("A", "é"),
        ("A", "\u2028"),
        ("A\r\nX-Evil: 1\r\nB", "b"),
        ("A:", "b"),
        ("A ", "b"),
        ("", "b"),
        ("É", "b"),
        ("A\n", "b"),
        ("Host", "evil.example"),
        ("host", "evil.example"),
        ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "upgrade"),
        ("Upgrade", "x"),
        ("Expect", "100-continue"),
    ],
)
def test_what_would_be_more_than_a_header_is_not_written(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="a header cannot be written"):
        request_head("POST", URL("http://a/"), headers={"Fine": "fine", name: value}, length=2)


@pytest.mark.parametrize(
    "method, url",
    [
        ("HEAD", "http://a/"),
        ("CONNECT", "http://a/"),
        ("get", "http://a/"),
        ("GET / HTTP/1.1\r\nA:", "http://a/"),
        ("GET", "ftp://a/"),
        ("GET", "/relative"),
        ("GET", "http://a/\r\nX-Evil: 1"),
        ("GET", "http://a/ HTTP/1.1"),
        ("GET", "http://a/é"),
        ("GET", "http://a b/"),
    ],
)
def test_what_would_be_more_than_a_request_line_is_not_written(method: str, url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|HTTP|Port|port|host|Host"):
        request_head(method, URL(url, encoded=True), headers={}, length=None)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4))
def test_a_head_has_the_lines_that_were_given_and_no_other(headers: dict[str, str]) -> None:
    try:
        head = request_head("POST", URL("http://a/"), headers=headers, length=3)
    except ValueError:
        return
    lines = head.decode("ascii").split("\r\n")
    given = [f"{name}: {value}" for name, value in headers.items()]
    assert lines == ["POST / HTTP/1.1", "Host: a", *given, "Content-Length: 3", "", ""]
    assert not set(head) - set(range(0x20, 0x7F)) - {0x0D, 0x0A}
