"""An entry in a JSON text: it is there, everything else is as it was byte for byte, and undone it is gone."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from remit.edge.cli.clients import jsonc
from remit.errors import CallerFault

PATH = ("servers", "remit")
ENTRY = {"command": "/opt/remit", "args": ["connect", "--agent", "scout"]}
OTHER = {"command": "/opt/remit", "args": ["connect", "--agent", "mole", "--connector", "git"]}

TEXTS = {
    "another server": '{\n  "servers": {\n    "git": {"command": "git"}\n  }\n}\n',
    "a comment behind the last": '{\n  "servers": {\n    "git": {} // mine\n    // more to come\n  }\n}\n',
    "a trailing comma": '{\n\t"servers": {\n\t\t"git": {},\n\t},\n}',
    "trailing commas and comments": '// top\n{\n  /* a */ "servers": { "git": {}, /* b */\n  }, // c\n}\n// end\n',
    "one line": '{"servers": {"git": {"x": [1, 2]}}}',
    "no blanks": '{"a":1,"servers":{"git":{}}}',
    "an inner line": '{\n  "servers": {"git": {}},\n  "inputs": []\n}\n',
    "no servers yet": '{\n    "inputs": [],\n    "more": {"a": [1.50, 1e3, -0]}\n}\n',
    "other ends of lines": '{\r\n  "servers": {\r\n    "git": {}\r\n  }\r\n}\r\n',
    "a byte order mark": '\ufeff{\n  "servers": {"git": {}}\n}\n',
    "signs in strings": '{\n  "s": "// no /* comment */ }, \\"",\n  "servers": {\n    "a b": {"u": "\\u2028{"}\n  }}\n',
    "the same name elsewhere": '{\n  "remit": 1,\n  "projects": {"servers": {"remit": 2}},\n  "servers": {"g": 1}\n}\n',
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_undone_nothing_of_the_file_has_changed(text: str) -> None:
    written = jsonc.put(text, PATH, entry=ENTRY)
    assert jsonc.value(written)["servers"]["remit"] == ENTRY
    undone = jsonc.drop(written, PATH)
    if "servers" in jsonc.value(text):
        assert undone == text
    else:
        assert jsonc.value(undone) == {**jsonc.value(text), "servers": {}}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_writing_it_twice_changes_nothing(text: str) -> None:
    written = jsonc.put(text, PATH, entry=ENTRY)
    assert jsonc.put(written, PATH, entry=ENTRY) == written


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_replaces_an_entry_stands_as_if_it_had_been_the_first(text: str) -> None:
    replaced = jsonc.put(jsonc.put(text, PATH, entry=OTHER), PATH, entry=ENTRY)
    assert replaced == jsonc.put(text, PATH, entry=ENTRY)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_two_entries_stand_side_by_side_and_go_one_by_one(text: str, first: bool) -> None:
    second = ("servers", "remit-git")
    both = jsonc.put(jsonc.put(text, PATH, entry=ENTRY), second, entry=OTHER)
    gone, stays = (PATH, second) if first else (second, PATH)
    left = jsonc.drop(both, gone)
    assert jsonc.value(left)["servers"][stays[1]] == (OTHER if first else ENTRY)
    assert jsonc.value(jsonc.drop(left, stays)) == {"servers": {}, **jsonc.value(text)}


def test_comments_stay_where_they_were() -> None:
    text = '{\n  "servers": {\n    "git": {} // mine\n    /* last */\n  }\n}\n'
    assert jsonc.put(text, PATH, entry={"a": 1}) == (
        '{\n  "servers": {\n    "git": {}, // mine\n    /* last */\n    "remit": {\n      "a": 1\n    }\n  }\n}\n'
    )


@pytest.mark.parametrize("text", ["", "\n", "  \n\t", "\ufeff"])
def test_an_empty_file_becomes_one_with_the_entry(text: str) -> None:
    assert jsonc.value(jsonc.put(text, PATH, entry=ENTRY)) == {"servers": {"remit": ENTRY}}


REFUSED = {
    "no JSON": "servers: {}",
    "cut off": '{"servers": {',
    "something behind": "{} {}",
    "a list": "[]",
    "a text": '"servers"',
    "no object for entries": '{"servers": []}',
    "nothing for entries": '{"servers": null}',
    "twice": '{"servers": {}, "servers": {}}',
    "twice the entry": '{"servers": {"remit": {}, "remit": {}}}',
    "twice by another spelling": '{"servers": {}, "serv\\u0065rs": {}}',
    "no comma": '{"a": 1 "servers": {}}',
    "no comma in a list": '{"a": [1 2]}',
    "a comma alone": '{"servers": {,}}',
    "a comment that does not end": '{"servers": {} /* }',
    "a string that does not end": '{"servers": {"a": "}}',
    "a line end in a string": '{"servers": {"a": "\n"}}',
    "not a number": '{"servers": {}, "a": NaN}',
    "a name without quotes": "{servers: {}}",
    "too deep": '{"a": ' + "[" * 200 + "]" * 200 + "}",
    "far too deep": "[" * 100_000,
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_edited_is_refused(text: str) -> None:
    with pytest.raises(CallerFault):
        jsonc.put(text, PATH, entry=ENTRY)


def test_a_fault_says_in_which_line_it_is() -> None:
    with pytest.raises(CallerFault, match="line 3"):
        jsonc.value('{\n  "a": 1,\n  b\n}')


NAMES = st.text(max_size=8).filter(lambda name: name not in PATH)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
TRIVIA = st.sampled_from(["", " ", "\n", "\n  ", " // x {\n", "/* , } */", "\t", "\r\n", " /* \n */ "])


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """A value as somebody might have typed it."""
    if not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=draw(st.booleans()))
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    parts = []
    for name, one in pairs:
        head = json.dumps(name) + draw(TRIVIA) + ":" + draw(TRIVIA) if isinstance(value, dict) else ""
        parts.append(draw(TRIVIA) + head + draw(written(one)) + draw(TRIVIA))
    end = draw(st.sampled_from(["", ","])) if parts else ""
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return opening + ",".join(parts) + end + draw(TRIVIA) + closing


@st.composite
def files(draw: st.DrawFn) -> str:
    """A file that holds other entries."""
    whole = draw(st.dictionaries(NAMES, VALUES, max_size=3))
    whole["servers"] = draw(st.dictionaries(NAMES, VALUES, min_size=1, max_size=3))
    return draw(TRIVIA) + draw(written(whole)) + draw(TRIVIA)


@given(files())
def test_whatever_stood_there_survives_byte_for_byte(text: str) -> None:
    before = jsonc.value(text)
    after = jsonc.put(text, PATH, entry=ENTRY)

    assert jsonc.value(after) == {**before, "servers": {**before["servers"], "remit": ENTRY}}
    assert jsonc.drop(after, PATH) == text
