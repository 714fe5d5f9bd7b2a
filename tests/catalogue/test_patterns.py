"""Patterns reach what they name, and nothing that looks like it."""

import pytest
from hypothesis import given, strategies as st

from remit.catalogue.patterns import concerns, covers, pattern, reaches
from remit.errors import CallerFault

SOUND = [
    "git/*", "git/git_log", "git/a/b", "git/prompt:*", "git/prompt:ask", "git/resource:*", "git/resource:file:///d/*",
    "git/resource:file:///d/a", "git/resource:https://a.example/*", "g-2/git_log",
]  # fmt: skip
UNSOUND = [
    "", "*", "git", "git/", "/git_log", "*/git_log", "git*/x", "git/git_*", "git/*_log", "git/**", "Git/git_log",
    "git/git log", "gіt/git_log", "git/gіt_log", "git/prompt:", "git/prompt:a*", "git/resource:", "../git/x", "git/x\n",
    "git/resource:a*b", "git/resource:file:///d/**", "git/resource:https://a.example*", "git/resource:fi*",
    "git/resource:é", "git/template:x", "git/server:x", "git/" + "a" * 257, "a" * 64 + "/x", "git/resource:https:*",
]  # fmt: skip


@pytest.mark.parametrize("text", SOUND)
def test_a_pattern_is_one(text):
    assert pattern(text) == text


@pytest.mark.holds("INPUT-NAME")
@pytest.mark.parametrize("text", UNSOUND)
def test_what_is_no_pattern_is_refused(text):
    with pytest.raises(CallerFault):
        pattern(text)


@pytest.mark.holds("INPUT-NAME")
@pytest.mark.parametrize(
    "text, target, is_reached",
    [
        ("git/*", "git/git_log", True),
        ("git/*", "git/prompt:ask", True),
        ("git/*", "git/resource:file:///a/../b", True),
        ("git/*", "git-two/git_log", False),
        ("git/*", "gi/git_log", False),
        ("git/*", "GIT/git_log", False),
        ("git/git_log", "git/git_log", True),
        ("git/git_log", "git/git_log2", False),
        ("git/git_log", "git/Git_log", False),
        ("git/git_log", "git/gіt_log", False),
        ("git/git_log", "git/prompt:git_log", False),
        ("git/prompt:*", "git/prompt:ask", True),
        ("git/prompt:*", "git/prompt", False),
        ("git/resource:*", "git/resource:file:///a", True),
        ("git/resource:*", "git/prompt:a", False),
        ("git/resource:file:///d/*", "git/resource:file:///d/a/b", True),
        ("git/resource:file:///d/*", "git/resource:file:///d/../etc", False),
        ("git/resource:file:///d/*", "git/resource:file:///d/%2e%2e/etc", False),
        ("git/resource:file:///d/*", "git/resource:file:///D/a", False),
        ("git/resource:file:///d/.*", "git/resource:file:///d/./a", False),
        ("git/resource:file:///a/../b", "git/resource:file:///a/../b", True),
    ],
)
def test_a_pattern_reaches(text, target, is_reached):
    assert reaches(text, target) is is_reached


def test_a_constraint_holds_for_a_uri_however_it_is_written():
    assert concerns("git/resource:file:///d/*", "git/resource:file:///d/../etc")


PIECES = st.sampled_from(["file:///", "d", "/", ".", "..", "a", "%2f", "*"])
TEXTS = st.one_of(
    st.sampled_from(SOUND), st.lists(PIECES, max_size=6).map(lambda pieces: "git/resource:" + "".join(pieces))
)


@given(wide=TEXTS, narrow=TEXTS, target=TEXTS)
def test_what_a_covered_pattern_reaches_the_wider_one_reaches(wide, narrow, target):
    if covers(wide, narrow) and reaches(narrow, target):
        assert reaches(wide, target)
        assert concerns(wide, target)


@given(TEXTS, TEXTS, TEXTS)
def test_covering_is_transitive_and_every_pattern_covers_itself(one, two, three):
    if covers(one, two) and covers(two, three):
        assert covers(one, three)
    for text in SOUND:
        assert covers(text, text)
