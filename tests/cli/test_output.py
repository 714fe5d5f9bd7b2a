"""What is shown can be trusted to be what it looks like."""

import io
import json
import logging
import sys
import time

import pytest
from hypothesis import given, strategies as st

from remit.edge.cli.output import Screen, counted, distance, moment, table, visible
from remit.edge.cli.serving import Readable
from remit.errors import RemitError
from tests.cli.hostile import HOSTILE, unseen

# A text → what a person sees of it.
KINDS = {
    "escape sequence": ("\x1b[2Jgone", "\\u{1b}[2Jgone"),
    "carriage return": ("allowed\rdenied", "allowed\\u{d}denied"),
    "new line": ("one\ntwo", "one\\u{a}two"),
    "C1 control": ("a\x9bb", "a\\u{9b}b"),
    "right-to-left override": ("\u202egpj.exe", "\\u{202e}gpj.exe"),
    "isolate": ("\u2066x\u2069", "\\u{2066}x\\u{2069}"),
    "zero width": ("pay\u200bpal", "pay\\u{200b}pal"),
    "tag": ("x\U000e0041", "x\\u{e0041}"),
    "line separator": ("a\u2028b", "a\\u{2028}b"),
    "lone surrogate": ("a\ud800b", "a\\u{d800}b"),
    "private use": ("\ue000", "\\u{e000}"),
    "harmless": ("Grüße, 世界 — ok", "Grüße, 世界 — ok"),
    "empty": ("", ""),
}


@pytest.mark.holds("INV-11")
@pytest.mark.parametrize("text, seen", KINDS.values(), ids=KINDS)
def test_unseen_characters_become_readable(text, seen):
    assert visible(text) == seen


@pytest.mark.holds("INV-11")
@given(st.text(st.characters(codec=None)))
def test_nothing_unprintable_ever_passes(text):
    shown = visible(text)
    assert shown == "" or all(c.isprintable() or c == "\u3000" or c.isspace() for c in shown)
    assert not set(shown) & set("\n\r\t\x1b\u202e\u200b")


def test_long_text_is_cut_where_it_can_be_seen():
    assert visible("x" * 600) == "x" * 499 + "…"


def test_a_table_aligns_and_cleans_its_cells():
    assert table(("a", "long"), [("xyz", "\x07"), ("", 1)]) == ["A    LONG", "xyz  \\u{7}", "     1"]
    assert table(("a",), []) == []


@pytest.mark.parametrize(
    "ms, told",
    [(0, "0 s ago"), (-59_999, "59 s ago"), (60_000, "in 1 min"), (7_200_000, "in 2 h"), (-200_000_000, "2 d ago")],
)
def test_distances_are_told_in_the_largest_unit(ms, told):
    assert distance(1_000_000_000 + ms, 1_000_000_000) == told


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


# Circumstance → whether there is colour.
@pytest.mark.parametrize(
    "out, json, env, coloured",
    [
        (Terminal(), False, {}, True),
        (io.StringIO(), False, {}, False),
        (Terminal(), True, {}, False),
        (Terminal(), False, {"NO_COLOR": "1"}, False),
        (Terminal(), False, {"NO_COLOR": ""}, True),
        (Terminal(), False, {"TERM": "dumb"}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(out, json, env, coloured, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b" in Screen(json=json, out=out).paint("x", "good")) is coloured


def test_with_json_people_s_lines_are_silent():
    out, err = io.StringIO(), io.StringIO()
    screen = Screen(json=True, out=out, err=err)
    screen.say("hello")
    screen.note("psst")
    screen.answer({"a": 1}, ["one"])
    assert (out.getvalue(), err.getvalue()) == ('{"a": 1}\n', "")


HIDDEN = {"a": "\x7f\x9b\u202e\U000e0041\ud800", "b": "straße"}


@pytest.mark.holds("INV-11")
def test_json_holds_nothing_hidden_and_the_same_value():
    out = io.StringIO()
    Screen(json=True, out=out).event(HIDDEN)
    assert not unseen(out.getvalue())
    assert json.loads(out.getvalue()) == HIDDEN


@pytest.mark.holds("INV-11")
def test_json_for_a_file_is_spelled_out_on_a_terminal_only():
    text = '{"a": "\x7f\u202e\U000e0041", "b": "straße"}'
    terminal, file = Terminal(), io.StringIO()
    Screen(out=terminal).exactly(text)
    Screen(out=file).exactly(text)
    assert file.getvalue() == text
    assert terminal.getvalue() == '{"a": "\\u007f\\u202e\\udb40\\udc41", "b": "straße"}\n'
    assert json.loads(terminal.getvalue()) == json.loads(text)


@pytest.mark.holds("INV-11")
def test_what_a_fault_quotes_cannot_pass_for_another_line_of_ours():
    err = io.StringIO()
    Screen(err=err).fault(RemitError(f"no `{HOSTILE}`", HOSTILE))
    assert not unseen(err.getvalue())
    assert [line for line in err.getvalue().splitlines() if not line.startswith(" ")] == [
        err.getvalue().splitlines()[0]
    ]


@pytest.mark.holds("INV-11")
def test_a_warning_of_the_gateway_is_one_line_whatever_it_quotes():
    record = logging.makeLogRecord({"msg": "`%s` says 100 %%", "args": (HOSTILE,), "levelname": "WARNING"})
    shown = Readable("%(levelname)s %(message)s").format(record)
    assert shown.startswith("WARNING `\\u{1b}[2J")
    assert not unseen(shown)
    assert len(shown.splitlines()) == 1


@pytest.mark.holds("INV-11")
def test_a_traceback_in_the_log_holds_nothing_hidden():
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        record = logging.makeLogRecord({"msg": "failed", "exc_info": sys.exc_info()})
    shown = Readable("%(message)s").format(record)
    assert "Traceback" in shown
    assert not unseen(shown)


def test_a_moment_says_how_far_its_clock_is_from_utc(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert moment(0) == "1970-01-01 09:00:00 +0900"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("count, words", [(0, "0 agents"), (1, "1 agent"), (2, "2 agents")])
def test_one_thing_is_one(count, words):
    assert counted(count, "agent") == words
