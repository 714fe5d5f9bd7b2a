"""A table in a TOML text: it is there afterwards, everything else is as it was byte for byte, and undone it is gone."""

import tomllib

import pytest
from hypothesis import given, strategies as st

from remit.edge.cli.clients import toml
from remit.errors import CallerFault

PATH = ("mcp_servers", "remit")
ENTRY = {"command": '/opt/a b\\c "d" é/remit', "args": ["connect", "--agent", "scout"]}
OTHER = {"command": "/opt/remit", "args": ["connect", "--agent", "mole"]}

TEXTS = {
    "nothing": "",
    "a setting": 'model = "x" # mine\n',
    "no line end": 'model = "x"',
    "another server": '[mcp_servers.git]\ncommand = "git"\nargs = [\n  "a", # b\n]\n\n# the end\n',
    "its own table": "[mcp_servers]\n\n[mcp_servers.git]\ncommand = 'git'\n",
    "other ends of lines": 'model = "x"\r\n\r\n[a]\r\nb = 1\r\n',
    "our lines in a string": 's = """\n[mcp_servers.other]\ncommand = "x"\n"""\n',
    "dates and arrays of tables": "d = 1979-05-27T07:32:00Z\n[[t]]\na = 1\n[[t]]\na = 2\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_undone_nothing_of_the_file_has_changed(text: str) -> None:
    written = toml.put(text, PATH, entry=ENTRY)
    assert tomllib.loads(written)["mcp_servers"]["remit"] == ENTRY
    assert written.startswith(text)
    assert toml.drop(written, PATH).rstrip("\n") == text.rstrip("\n")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_writing_it_twice_changes_nothing_and_another_replaces_it(text: str) -> None:
    written = toml.put(text, PATH, entry=ENTRY)
    assert toml.put(written, PATH, entry=ENTRY) == written
    assert toml.put(toml.put(text, PATH, entry=OTHER), PATH, entry=ENTRY) == written


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_two_tables_stand_side_by_side_and_go_one_by_one(text: str, first: bool) -> None:
    second = ("mcp_servers", "remit-git")
    both = toml.put(toml.put(text, PATH, entry=ENTRY), second, entry=OTHER)
    gone, stays = (PATH, second) if first else (second, PATH)
    left = toml.drop(both, gone)
    assert toml.value(left)["mcp_servers"][stays[1]] == (OTHER if first else ENTRY)
    assert toml.drop(left, stays).rstrip() == text.rstrip()


LATER = '\n[projects."/shop"]\ntrust_level = "trusted"\n'


def test_what_was_added_later_stays() -> None:
    written = toml.put('model = "x"\n', PATH, entry=ENTRY) + LATER
    assert toml.drop(written, PATH) == 'model = "x"\n' + LATER
    assert toml.put(written, PATH, entry=OTHER).endswith(LATER)


def test_a_setting_added_to_our_table_goes_with_it() -> None:
    written = toml.put("", PATH, entry=ENTRY) + "enabled = false\n" + LATER
    assert toml.drop(written, PATH) == LATER


def test_our_comment_may_be_gone() -> None:
    written = toml.put('model = "x"\n', PATH, entry=ENTRY)
    bare = "".join(line for line in written.splitlines(keepends=True) if not line.startswith("#"))
    assert toml.drop(bare, PATH) == 'model = "x"\n'


PUT_REFUSED = {
    "no TOML": "= 1",
    "an inline table": 'mcp_servers = {git = {command = "git"}}\n',
    "no table": "mcp_servers = 1\n",
    "ours inline": 'mcp_servers.remit = {command = "x"}\n',
    "ours by keys": '[mcp_servers]\nremit.command = "x"\n',
    "ours with a table inside": toml.put("", PATH, entry=OTHER) + '[mcp_servers.remit.env]\nA = "b"\n',
    "ours with an array over lines": "[mcp_servers.remit]\nargs = [\n\n# a\n'b']\n",
    "ours in a string too": 's = """\n[mcp_servers.remit]\n"""\n[mcp_servers."remit"]\ncommand = "x"\n',
}


@pytest.mark.parametrize("text", PUT_REFUSED.values(), ids=PUT_REFUSED)
def test_what_cannot_be_edited_is_refused(text: str) -> None:
    with pytest.raises(CallerFault):
        toml.put(text, PATH, entry=ENTRY)


@pytest.mark.parametrize("name", ["ours inline", "ours by keys", "ours with a table inside", "ours in a string too"])
def test_what_cannot_be_taken_out_alone_is_refused(name: str) -> None:
    with pytest.raises(CallerFault):
        toml.drop(PUT_REFUSED[name], PATH)


WORDS = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=12)
KEYS = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
LINES = st.one_of(
    st.just(""),
    WORDS.map(lambda words: f"# {words}"),
    st.tuples(KEYS, WORDS).map(lambda pair: f"{pair[0]} = '''{pair[1].replace(chr(39), '')}'''"),
    KEYS.map(lambda key: f"[{key}]"),
    KEYS.map(lambda key: f"[mcp_servers.{key}]"),
)


@given(st.lists(LINES, max_size=12), st.lists(WORDS, max_size=4))
def test_whatever_stood_there_survives_byte_for_byte(lines: list[str], words: list[str]) -> None:
    text = "".join(line + "\n" for line in lines)
    try:
        before = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    entry = {"command": "remit", "args": words}
    if "remit" in before.get("mcp_servers", {}):
        return
    after = toml.put(text, PATH, entry=entry)

    assert tomllib.loads(after)["mcp_servers"]["remit"] == entry
    assert after.startswith(text)
    assert toml.drop(after, PATH) == text
