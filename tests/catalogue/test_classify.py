"""How much a call could do: by row, by rule, and the most where nothing is said."""

import pytest
from hypothesis import given, strategies as st

from remit.catalogue import Touched, classify
from remit.catalogue.classify import possible_tiers
from remit.catalogue.model import TierRule, ToolRow
from remit.reasons import Denied, Reason
from tests.catalogue.given import CLASSES, call, connector

RULES = (
    TierRule(when={"properties": {"write": {"const": False}}, "required": ["write"]}, tier="read"),
    TierRule(
        when={"properties": {"path": {"type": "string", "pattern": "^/tmp/"}}, "required": ["path"]}, tier="write"
    ),
)
BY_RULES = connector(tools={"run": ToolRow(rules=RULES)})


@pytest.mark.holds("INV-12")
@pytest.mark.parametrize(
    "arguments, tier",
    [
        ({"write": False}, "read"),
        ({"write": False, "path": "/tmp/a"}, "read"),
        ({"write": True, "path": "/tmp/a"}, "write"),
        ({"write": 0}, "privileged"),
        ({"path": "/etc/passwd"}, "privileged"),
        ({"path": ["/tmp/a"]}, "privileged"),
        ({"path": None}, "privileged"),
        ({}, "privileged"),
    ],
)
def test_the_first_rule_that_fits_decides_and_none_means_privileged(arguments, tier):
    assert classify(BY_RULES, call("run", arguments), classes=CLASSES).tier == tier


@pytest.mark.holds("INV-12", "INPUT-NAME")
@pytest.mark.parametrize("name", ["unknown", "GIT_LOG", "git_log/", "./git_log", "git-log"])
def test_a_tool_without_a_row_is_privileged_and_of_the_highest_class(name):
    found = classify(connector(), call(name), classes=CLASSES)
    assert (found.tier, found.data_classes, found.row) == ("privileged", ("restricted",), ToolRow())


def test_prompts_and_resources_have_one_row_each():
    rows = connector(
        prompts=ToolRow(tier="read", data={"public": ()}), resources=ToolRow(tier="read", data={"internal": ("/uri",)})
    )
    prompt = classify(rows, call("git_log", method="prompts/get"), classes=CLASSES)
    resource = classify(rows, call("file:///a", method="resources/read"), classes=CLASSES)
    assert prompt.data_classes == ("public",)
    assert resource.touched == (Touched(data_class="internal", pointer="/uri", value="file:///a"),)


@pytest.mark.parametrize(
    "pointer, value",
    [
        ("/a", "x"),
        ("/list/1", "two"),
        ("/list/0", "1"),
        ("/o", '{"a~b":{"c/d":null},"n":1.5}'),
        ("/o/a~0b/c~1d", "null"),
        ("", '{"a":"x","list":[1,"two"],"o":{"a~b":{"c/d":null},"n":1.5}}'),
        ("/missing", None),
        ("/list/2", None),
        ("/list/01", None),
        ("/list/-", None),
        ("/a/b", None),
    ],
)
def test_touched_resources_are_what_pointers_point_at(pointer, value):
    arguments = {"a": "x", "list": [1, "two"], "o": {"a~b": {"c/d": None}, "n": 1.5}}
    row = connector(tools={"t": ToolRow(tier="read", data={"public": (pointer,)})})
    found = classify(row, call("t", arguments), classes=CLASSES).touched
    assert found == (() if value is None else (Touched(data_class="public", pointer=pointer, value=value),))


def test_data_classes_stand_in_the_catalogues_order():
    row = connector(tools={"t": ToolRow(tier="read", data={"restricted": (), "public": ()})})
    assert classify(row, call("t"), classes=CLASSES).data_classes == ("public", "restricted")


def test_without_any_class_of_data_nothing_is_classified():
    with pytest.raises(Denied) as no:
        classify(connector(), call("git_log"), classes=())
    assert no.value.reason is Reason.TASK_DATA_CLASS


@given(st.dictionaries(st.sampled_from(["write", "path", "other"]), st.booleans() | st.text() | st.none()))
def test_no_arguments_give_a_tier_the_row_does_not_have(arguments):
    found = classify(BY_RULES, call("run", arguments), classes=CLASSES)
    assert found.tier in possible_tiers(found.row)
    assert possible_tiers(ToolRow(tier="write")) == {"write"}
