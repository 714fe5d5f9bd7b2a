"""The closed world against independent statements of it."""

from typing import Any

import jsonschema_rs
from hypothesis import given, settings, strategies as st

from remit.errors import CallerFault
from remit.reasons import Denied
from remit.schema import conforming, open_places
from remit.schema.compiled import compiled
from remit.schema.shut import shut
from tests.schema.conftest import called, pinned

NAMES = st.sampled_from("abcd")
LEAVES: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{"type": "integer"}, {"type": "string"}, {"const": 1}, {"type": "null"}]
)
VALUES = st.one_of(st.integers(0, 2), st.just("s"), st.none())


def schemas(inside: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Object schemas whose members are drawn from `inside`, composed in every way there is."""
    plain = st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(NAMES, inside, max_size=3),
            "required": st.lists(NAMES, unique=True, max_size=1),
            "additionalProperties": st.one_of(st.booleans(), inside),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "[bc]"]), inside, max_size=1),
            "type": st.just("object"),
        },
    )

    def composed(branch: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
        branches = st.lists(branch, min_size=1, max_size=3)
        return st.tuples(
            branch,
            st.fixed_dictionaries(
                {},
                optional={
                    "allOf": branches,
                    "anyOf": branches,
                    "oneOf": branches,
                    "not": branch,
                    "if": branch,
                    "then": branch,
                    "dependentSchemas": st.dictionaries(NAMES, branch, max_size=1),
                    "unevaluatedProperties": st.one_of(st.booleans(), inside),
                },
            ),
        ).map(lambda pair: pair[0] | pair[1])

    return st.recursive(plain, composed, max_leaves=4)


def conforms(schema: dict[str, Any], arguments: dict[str, Any]) -> bool:
    try:
        conforming(called(arguments), pinned({"inputSchema": schema}))
    except Denied:
        return False
    return True


@given(schemas(LEAVES), st.dictionaries(NAMES, VALUES, max_size=4))
def test_on_one_level_it_is_unevaluated_properties_false(schema: dict[str, Any], arguments: dict[str, Any]) -> None:
    oracle = {"allOf": [schema], "unevaluatedProperties": False}
    assert conforms(schema, arguments) == jsonschema_rs.is_valid(oracle, arguments)


NESTED = schemas(schemas(LEAVES))
TREES = st.dictionaries(NAMES, st.one_of(VALUES, st.dictionaries(NAMES, VALUES, max_size=3)), max_size=3)


@given(NESTED, TREES)
def test_it_never_admits_what_the_schema_refuses(schema: dict[str, Any], arguments: dict[str, Any]) -> None:
    assert not conforms(schema, arguments) or jsonschema_rs.is_valid(schema, arguments)


@given(NESTED, TREES, st.data())
def test_a_name_that_stands_nowhere_is_refused_unless_a_place_is_listed_as_open(
    schema: dict[str, Any], arguments: dict[str, Any], data: st.DataObject
) -> None:
    objects = [arguments, *(value for value in arguments.values() if isinstance(value, dict))]
    data.draw(st.sampled_from(range(len(objects))).map(lambda at: objects[at])).update(stranger=1)
    assert not conforms(schema, arguments) or open_places(schema)


@given(NESTED)
def test_reading_a_schema_leaves_it_as_it_was(schema: dict[str, Any]) -> None:
    before = repr(schema)
    try:
        open_places(schema)
    except CallerFault:
        raise AssertionError("a valid schema was refused") from None
    assert repr(schema) == before


USUAL = st.recursive(
    LEAVES
    | st.just({"anyOf": [{"type": "string"}, {"type": "null"}]})
    | st.just({"type": "array", "items": {"type": "integer"}})
    | st.just({"type": "object"}),
    lambda inside: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "string", ["object", "null"]]),
            "properties": st.dictionaries(NAMES, inside, max_size=3),
            "required": st.lists(NAMES, unique=True, max_size=1),
            "additionalProperties": st.one_of(st.booleans(), inside),
            "items": inside,
        },
    ),
    max_leaves=5,
)


@settings(max_examples=500)
@given(st.one_of(USUAL, NESTED), TREES)
def test_the_quick_way_says_yes_to_exactly_what_the_long_way_has_nothing_against(
    schema: dict[str, Any], arguments: dict[str, Any]
) -> None:
    ready = compiled(schema)
    against = [*ready.failures(arguments)] or [*ready.unnamed(arguments)]
    if ready.quick is not None:
        assert ready.fits(arguments) == (not against)


def test_schemas_as_servers_write_them_have_the_quick_way_and_composed_ones_do_not() -> None:
    usual = {"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}}}
    assert compiled(usual).quick is not None
    for keyword in ("allOf", "oneOf", "anyOf"):
        assert compiled({keyword: [{"properties": {"a": {}}}]}).quick is None
    assert compiled({"properties": {"a": {"$ref": "#"}}}).quick is None
    assert compiled({"patternProperties": {"^a": {}}}).quick is None


def test_a_schema_that_is_no_object_has_no_quick_way() -> None:
    assert [shut(schema) for schema in (True, False, [], "object", {"type": "object", "items": "x"})] == [None] * 5
