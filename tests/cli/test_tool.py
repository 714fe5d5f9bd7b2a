"""`remit tool` shows what is advertised against what is pinned, and pins only what was shown."""

import pytest

CONTRACTS = {
    "contracts": [
        {"target": "git/git_log", "kind": "tool", "status": "pinned", "tier": "read", "data_classes": ["internal"]},
        {"target": "time/now\u202e", "kind": "tool", "status": "drifted", "tier": None, "data_classes": []},
    ]
}
DIFF = {
    "target": "time",
    "digest": "sha256:d",
    "diff": "--- pinned\n+++ now\n+\x1b[2Jnew\u202e",
    "open": ["/properties/x"],
}


def test_list_tells_where_each_contract_stands(remit, door):
    door.answers["GET", "/v1/contracts"] = CONTRACTS
    lines = remit("tool", "list").out.splitlines()
    assert lines[1].split() == ["git/git_log", "tool", "pinned", "read", "internal"]
    assert lines[2].split() == ["time/now\\u{202e}", "tool", "drifted"]


def test_list_of_one_connector_asks_for_that_one(remit, door):
    door.answers["GET", "/v1/contracts?connector=git"] = {"contracts": []}
    assert remit("tool", "list", "--connector", "git").out == "no contracts were seen yet\n"


@pytest.mark.holds("INV-11", "CATALOGUE-PIN")
def test_a_difference_is_shown_with_the_command_that_accepts_it(remit, door):
    door.answers["GET", "/v1/contracts/diff?target=time"] = DIFF
    shown = remit("tool", "diff", "time").out
    assert "+\\u{1b}[2Jnew\\u{202e}\n" in shown
    assert "open: /properties/x" in shown
    assert shown.endswith("accept it with: remit tool pin time --digest sha256:d\n")


def test_no_difference_needs_no_pin(remit, door):
    door.answers["GET", "/v1/contracts/diff?target=git"] = {
        **DIFF,
        "target": "git",
        "digest": "",
        "diff": "",
        "open": [],
    }
    assert remit("tool", "diff", "git").out == "nothing of `git` waits: what it advertises is what is pinned\n"


# What is typed → what is said of it, in a home whose gateway never ran.
NAMES = {
    "never looked at": (("diff", "git"), "no gateway has seen `git` yet", "`remit up` looks at it"),
    "a tool of it": (("diff", "git/git_log"), "no gateway has seen `git` yet", "`remit up` looks at it"),
    "unknown": (("diff", "x/y"), "no tool server `x`", "one of `git`"),
    "unknown in a list": (("list", "--connector", "nope"), "no tool server `nope`", "one of `git`"),
}


@pytest.mark.parametrize("typed, message, advice", NAMES.values(), ids=NAMES)
def test_what_was_never_seen_is_told_from_what_is_unknown(remit, staffed, typed, message, advice):
    ran = remit("tool", *typed)
    assert (ran.code, ran.err) == (2, f"remit: {message}\n  {advice}\n")


def test_pin_names_the_digest_that_was_shown(remit, door):
    door.answers["POST", "/v1/contracts/pin"] = {"pinned": ["time/now"], "receipt": 5}
    assert remit("tool", "pin", "time", "--digest", "sha256:d").out == "pinned time/now\nreceipt 5\n"
    assert door.asked == [("POST", "/v1/contracts/pin", {"target": "time", "digest": "sha256:d"})]


def test_pinning_without_a_digest_is_wrong_usage(remit, door):
    assert remit("tool", "pin", "time").code == 2
    assert door.asked == []


def test_what_is_about_to_be_accepted_is_never_cut(remit, door):
    long = "+" + "x" * 10_000 + "IMPORTANT"
    door.answers["GET", "/v1/contracts/diff?target=time"] = {**DIFF, "diff": long}
    assert long in remit("tool", "diff", "time").out
