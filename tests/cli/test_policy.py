"""`remit policy` sends the files as they are and shows what would change."""

import pytest

CHANGES = {
    "digest": "sha256:new",
    "warnings": ["`x` has no scope"],
    "added": ["a"],
    "removed": ["b"],
    "changed": ["c\u202e"],
    "diff": "",
}


@pytest.fixture
def files(home):
    (home / "policy").mkdir()
    (home / "policy" / "b.cedar").write_text("permit (principal, action, resource);")
    (home / "policy" / "a.cedar").write_text("// a")
    (home / "policy" / "notes.md").write_text("no policy")
    return {"a.cedar": "// a", "b.cedar": "permit (principal, action, resource);"}


def test_check_sends_the_home_s_policies_and_nothing_else(remit, door, files):
    door.answers["POST", "/v1/policy/check"] = CHANGES
    ran = remit("policy", "check")
    assert door.asked == [("POST", "/v1/policy/check", {"files": files})]
    assert ran.out.splitlines() == [
        "+ a",
        "- b",
        "~ c\\u{202e}",
        "warning: `x` has no scope",
        "the set is valid; nothing was changed",
    ]


def test_check_takes_another_directory(remit, door, tmp_path):
    door.answers["POST", "/v1/policy/check"] = CHANGES
    (tmp_path / "review").mkdir()
    (tmp_path / "review" / "x.cedar").write_text("// x")
    assert remit("policy", "check", tmp_path / "review").code == 0
    assert door.asked[0][2] == {"files": {"x.cedar": "// x"}}


def test_apply_says_what_is_in_force_now(remit, door, files):
    door.answers["POST", "/v1/policy/apply"] = {**CHANGES, "receipt": 7}
    assert remit("policy", "apply").out.splitlines()[-1] == "in force: sha256:new, receipt 7"


def test_show_is_the_text_in_force(remit, door):
    door.answers["GET", "/v1/policy"] = {"digest": "sha256:d", "text": "// \x1b[2J\npermit", "warnings": []}
    assert remit("policy", "show").out == "// sha256:d\n// \\u{1b}[2J\npermit\n"


def test_show_without_a_policy_says_that_nothing_passes(remit, door):
    door.answers["GET", "/v1/policy"] = {"digest": "", "text": "", "warnings": []}
    assert "every call is denied" in remit("policy", "show").out


def test_an_empty_directory_is_never_an_empty_set(remit, door, home):
    (home / "policy").mkdir()
    assert remit("policy", "apply").code == 2
    assert door.asked == []


def test_files_that_are_no_text_are_refused(remit, door, home):
    (home / "policy").mkdir()
    (home / "policy" / "x.cedar").write_bytes(b"\xff\xfe")
    assert remit("policy", "apply").code == 2
    assert door.asked == []
