"""What a server advertises is held to its digest, and what changed is reported once."""

import pytest
from hypothesis import given, strategies as st

from remit.canonical import digest_of
from remit.catalogue import compare, contract_of, diff
from remit.catalogue.contracts import read
from remit.errors import StoreFault, UpstreamFault
from remit.limits import CONTRACT_BYTES_MAX, CONTRACTS_PER_CONNECTOR_MAX
from tests.catalogue.given import contract, stored

OLD, NEW = contract(description="reads the log"), contract(description="reads the log, and your keys")


def settled(changes, seen):
    """The `seen` rows after the shell wrote what a look left behind."""
    after = seen | changes.seen
    return {key: row for key, row in after.items() if row is not None}


def test_a_contract_is_its_canonical_bodys_digest():
    assert contract(b=1.0, a=2).digest == digest_of({"a": 2, "b": 1, "name": "git_log"})
    assert contract(b=1.0) == contract(b=1)


@pytest.mark.parametrize(
    "kind, name, target, key",
    [
        ("tool", "git_log", "git/git_log", "git/tool/git_log"),
        ("prompt", "ask", "git/prompt:ask", "git/prompt/ask"),
        ("resource", "file:///a", "git/resource:file:///a", "git/resource/file:///a"),
        ("template", "file:///{a}", "git/template:file:///{a}", "git/template/file:///{a}"),
        ("server", "git-server", "git/server:git-server", "git/server/git-server"),
    ],
)
def test_every_kind_has_its_own_target_and_key(kind, name, target, key):
    found = contract(name, kind=kind)
    assert (found.target, found.key) == (target, key)


@pytest.mark.parametrize(
    "name, body",
    [
        ("t", {"name": "t", "description": "x" * CONTRACT_BYTES_MAX}),
        ("t", {"name": "t", "n": 2**53}),
        ("t", {"name": "t", "n": float("nan")}),
        ("t", {"name": "t", "s": "\ud800"}),
        ("t", {"name": "other"}),
        ("t", {}),
        ("", {"name": ""}),
        ("t" * 3000, {"name": "t" * 3000}),
    ],
)
def test_what_is_no_contract_is_the_upstreams_fault(name, body):
    with pytest.raises(UpstreamFault, match="`git` advertises") as fault:
        contract_of("git", "tool", name=name, body=body)
    assert not fault.value.sent


@pytest.mark.parametrize("row", [b"", b"{}", b"[", b'{"connector":1}'])
def test_a_stored_row_that_is_no_contract_stops_everything(row):
    with pytest.raises(StoreFault, match="cannot be read"):
        read("git/tool/git_log", row)


def test_a_stored_row_under_another_name_stops_everything():
    with pytest.raises(StoreFault, match="another's"):
        read("git/tool/git_commit", stored(OLD)[OLD.key])


@pytest.mark.holds("CATALOGUE-PIN")
@pytest.mark.parametrize(
    "advertised, pin, seen, event, previous",
    [
        ([OLD], None, None, "seen", ""),
        ([NEW], None, OLD, "drifted", OLD.digest),
        ([NEW], OLD, None, "drifted", OLD.digest),
        ([OLD], OLD, NEW, "returned", NEW.digest),
        ([], OLD, None, "missing", OLD.digest),
        ([], OLD, NEW, "missing", NEW.digest),
        ([], None, OLD, "missing", OLD.digest),
        ([OLD], OLD, None, None, ""),
        ([NEW], OLD, NEW, None, ""),
        ([OLD], None, OLD, None, ""),
        ([OLD], OLD, OLD, None, ""),
        ([], None, None, None, ""),
    ],
)
def test_a_look_reports_what_changed_and_the_next_one_nothing(advertised, pin, seen, event, previous):
    pins, before = stored(*[pin] if pin else []), stored(*[seen] if seen else [])

    first = compare("git", advertised, pins=pins, seen=before)
    after = settled(first, before)
    second = compare("git", advertised, pins=pins, seen=after)

    assert [(change.event, change.previous) for change in first.events] == ([(event, previous)] if event else [])
    assert (second.events, second.seen) == ((), {})
    same = bool(advertised and pin and advertised[0].digest == pin.digest)
    assert bool(after) is (bool(advertised or pin) and not same)


def test_a_contract_that_went_missing_returns():
    pins = stored(OLD)
    gone = settled(compare("git", [], pins=pins, seen={}), {})
    back = compare("git", [OLD], pins=pins, seen=gone)
    assert [(change.event, change.previous) for change in back.events] == [("returned", "")]
    assert settled(back, gone) == {}


def test_other_connectors_rows_are_left_alone():
    other = stored(contract(on="git-two"), contract(on="gi"))
    assert compare("git", [], pins=other, seen=other).seen == {}


@pytest.mark.parametrize(
    "advertised", [[OLD, NEW], [contract(f"t{n}") for n in range(CONTRACTS_PER_CONNECTOR_MAX + 1)]]
)
def test_a_server_that_advertises_a_name_twice_or_too_many_is_not_believed(advertised):
    with pytest.raises(UpstreamFault, match="twice, or too many"):
        compare("git", advertised, pins={}, seen={})


@pytest.mark.holds("INV-11")
def test_a_difference_shows_what_hides():
    hidden = contract(description="\u202egnp\u200b\x1b[2K \ufe0f\U000e0041\u3164 naïve 你好")
    shown = diff(OLD, hidden)
    assert '-  "description": "reads the log",' in shown
    assert r"\u{202e}gnp\u{200b}\u001b[2K \u{fe0f}\u{e0041}\u{3164} naïve 你好" in shown
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert f"--- git/git_log {OLD.digest}" in shown


@pytest.mark.holds("INV-11")
def test_a_name_cannot_forge_lines_of_the_difference():
    shown = diff(None, contract("x\n+++ git/git_log", kind="prompt"))
    assert shown.startswith("--- nothing\n+++ git/prompt:x\\u{a}+++ git/git_log sha256:")


def test_a_contract_of_very_many_lines_is_shown_as_replaced():
    long = contract(list=list(range(3000)))
    assert diff(OLD, long).splitlines()[1:3] == [f"+++ git/git_log {long.digest}", "-{"]


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers(0, 9)))
def test_a_difference_is_empty_only_between_equals(body):
    new = contract_of("git", "tool", name="git_log", body=body | {"name": "git_log"})
    assert (diff(OLD, new) == "") == (OLD.digest == new.digest)
    assert diff(new, new) == ""
