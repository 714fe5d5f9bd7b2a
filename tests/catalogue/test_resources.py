"""Prefixes and templates cover what they say, however a URI is written."""

import pytest
from hypothesis import given, strategies as st

from remit.catalogue.resources import covers, is_plain, leaves_host_open, template
from remit.errors import CallerFault

TRICKS = [
    "..", ".", "%2e%2e", "%2E.", "..%2fetc", "%2fetc", "%5cetc", "\\etc", "a%00", "a%0a", "%252e%252e", "%25", "%7f",
    "%41", "a/../b", "a/./b", "a/..;x", "..;/b", "a/..?x", "..#", "%", "%zz", "%2", "", "é", "a\n", "a b",
]  # fmt: skip


@pytest.mark.holds("INPUT-NAME")
@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("text", ["file:///data/{name}", "file:///data/{+path}", "file:///data{/path*}"])
def test_no_trick_is_covered_by_a_variable(text, trick):
    assert not covers(text, f"file:///data/{trick}")


@pytest.mark.parametrize(
    "text, uri",
    [
        ("file:///data/{name}", "file:///data/a.txt"),
        ("file:///data/{name}", "file:///data/..a"),
        ("file:///data/{name}", "file:///data/caf%C3%A9"),
        ("file:///data/{name}", "file:///data/a%20b"),
        ("file:///data/{name}/x", "file:///data/a/x"),
        ("file:///data/{+path}", "file:///data/a/b?c=d"),
        ("file:///data{/one}", "file:///data/a"),
        ("file:///data{/path*}", "file:///data/a/b/c"),
        ("file:///data{/path*}", "file:///data"),
        ("https://api.example{/path*}", "https://api.example/a"),
        ("https://api.example/find{?q,page}", "https://api.example/find?page=2&q=a"),
        ("https://api.example/find{?q,page}", "https://api.example/find"),
        ("https://api.example/find?x=1{&q}", "https://api.example/find?x=1&q="),
        ("greeting://{name}", "greeting://ann"),
        ("memo:fixed", "memo:fixed"),
        ("memo:a.b(c)", "memo:a.b(c)"),
    ],
)
def test_a_template_covers(text, uri):
    assert covers(template(text), uri)


@pytest.mark.parametrize(
    "text, uri",
    [
        ("file:///data/{name}", "file:///data/a/b"),
        ("file:///data/{name}", "FILE:///data/a"),
        ("file:///data/{name}", "file:///Data/a"),
        ("file:///data/{name}", "file:///data/a?b"),
        ("file:///data/{name}", "file:///data/a\n"),
        ("file:///data/{name}", "x file:///data/a"),
        ("file:///data{/one}", "file:///data/a/b"),
        ("https://api.example{/path*}", "https://api.example.evil/a"),
        ("https://api.example{/path*}", "https://api.example@evil/a"),
        ("https://api.example/find{?q}", "https://api.example/find?q=a&r=b"),
        ("https://api.example/find{?q}", "https://api.example/find?q=a&r"),
        ("memo:a.b", "memo:aXb"),
        ("greeting://{name}", "greeting://ann/etc"),
    ],
)
def test_a_template_does_not_cover(text, uri):
    assert not covers(template(text), uri)


@pytest.mark.parametrize(
    "text",
    [
        "file:///{a,b}", "file:///{+a,b}", "file:///{/a,b}", "file:///{a*}", "file:///{+a*}", "file:///{?a*}",
        "file:///{#a}", "file:///{.a}", "file:///{;a}", "file:///{a:3}", "file:///{}", "file:///{a", "file:///a}",
        "file:///{{a}}", "file:///é/{a}", "{a}", "{+a}", "{scheme}://x", "https://{host}/", "https://a.example{p}",
        "HTTPS://{+rest}", "https:{+rest}", "https:/{+rest}", "https://{/p}", "https://a.example:{port}/", "ws://{x}",
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_held_to_what_it_says_is_refused_and_covers_nothing(text):
    with pytest.raises(CallerFault):
        template(text)
    assert not covers(text, "https://a.example/a")
    assert not covers(text, text)


def test_a_hostile_template_takes_no_time():
    assert not covers("x:" + "{+a}" * 20, "x:" + "a" * 2000 + " ")


@pytest.mark.parametrize(
    "prefix, is_open",
    [
        ("https://a.example", True),
        ("https://a.example/", False),
        ("https://a.example?", False),
        ("https:///", True),
        ("file:///", False),
        ("file", True),
        ("", True),
    ],
)
def test_a_prefix_fixes_the_host_or_not(prefix, is_open):
    assert leaves_host_open(prefix) is is_open


@given(st.text(alphabet="ab./%2ef\\;?#", max_size=12))
def test_a_plain_uri_means_one_path_however_it_is_decoded(path):
    uri = f"file:///data/{path}"
    if is_plain(uri):
        assert "%2e" not in uri.lower()
        assert "%2f" not in uri.lower()
        assert not {".", ".."} & set(uri.split("/"))
