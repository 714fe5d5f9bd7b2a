"""Arguments reach Cedar by type, in full, or are listed as untyped."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from remit.decision import Verdict
from remit.policy.model import ActionShape, Known
from remit.policy.typed import cedar_type, projected, typed
from tests.policy.world import in_force, request

TEXT, WHOLE, REAL = {"type": "string"}, {"type": "integer"}, {"type": "number"}
NULL = {"type": "null"}


def decimal(text: str) -> dict[str, Any]:
    return {"__extn": {"fn": "decimal", "arg": text}}


# schema of the argument `a`, its value, its Cedar value (None: untyped), the untyped paths
VALUES: list[tuple[Any, Any, Any, list[str]]] = [
    (TEXT, "x", "x", []),
    (TEXT, 5, None, ["a"]),
    (WHOLE, 5, 5, []),
    (WHOLE, -(2**53) + 1, -(2**53) + 1, []),
    (WHOLE, 1e300, None, ["a"]),
    (WHOLE, True, None, ["a"]),
    ({"type": "boolean"}, True, True, []),
    ({"type": "boolean"}, 1, None, ["a"]),
    (REAL, 1.5, decimal("1.5000"), []),
    (REAL, 3, decimal("3.0000"), []),
    (REAL, -0.0001, decimal("-0.0001"), []),
    (REAL, 0.00001, None, ["a"]),
    (REAL, 1e-300, None, ["a"]),
    (REAL, 922337203685477.5, decimal("922337203685477.5000"), []),
    (REAL, 922337203685478, None, ["a"]),
    (REAL, 1e300, None, ["a"]),
    (REAL, "1.5", None, ["a"]),
    (REAL, True, None, ["a"]),
    ({"enum": ["x", "y"]}, "x", "x", []),
    ({"const": "x"}, "x", "x", []),
    ({"enum": ["x", 1]}, "x", None, ["a"]),
    ({"enum": []}, "x", None, ["a"]),
    ({"anyOf": [TEXT, NULL]}, "x", "x", []),
    ({"anyOf": [TEXT, NULL]}, None, None, ["a"]),
    ({"oneOf": [NULL, WHOLE]}, 3, 3, []),
    ({"type": ["string", "null"]}, "x", "x", []),
    ({"type": ["string", "integer"]}, "x", None, ["a"]),
    ({"anyOf": [TEXT, WHOLE]}, 3, None, ["a"]),
    ({"allOf": [TEXT]}, "x", "x", []),
    ({"allOf": [TEXT, {"minLength": 1}]}, "x", None, ["a"]),
    ({"type": "array", "items": TEXT}, ["x", "y"], ["x", "y"], []),
    ({"type": "array", "items": TEXT}, [], [], []),
    ({"type": "array", "items": TEXT}, ["x", 1], None, ["a"]),
    ({"type": "array", "items": TEXT}, "x", None, ["a"]),
    ({"type": "array", "items": REAL}, [1, 0.5], [decimal("1.0000"), decimal("0.5000")], []),
    ({"type": "array", "items": REAL}, [1, 0.00001], None, ["a"]),
    ({"type": "array"}, ["x"], None, ["a"]),
    ({"type": "array", "items": False, "prefixItems": [TEXT]}, ["x"], None, ["a"]),
    ({"type": "array", "items": [TEXT]}, ["x"], None, ["a"]),
    ({"type": "object", "properties": {"b": TEXT}}, {"b": "x"}, {"b": "x"}, []),
    ({"type": "object", "properties": {"b": TEXT}}, {"b": 1, "c": 2}, {}, ["a.b", "a.c"]),
    ({"type": "object", "properties": {"b": TEXT}}, "x", None, ["a"]),
    ({"type": "object"}, {"b": "x"}, None, ["a"]),
    ({"type": "object", "properties": {}}, {}, None, ["a"]),
    ({"properties": {"b": TEXT}}, {"b": "x"}, None, ["a"]),
    ({"type": "array", "items": {"type": "object", "properties": {"b": TEXT}}}, [{"b": "x"}], [{"b": "x"}], []),
    ({"type": "array", "items": {"type": "object", "properties": {"b": TEXT}}}, [{"c": "x"}], None, ["a"]),
    ({"type": "array", "items": {"type": "object", "properties": {"b": TEXT}}}, ["x"], None, ["a"]),
    ({}, "x", None, ["a"]),
    (True, "x", None, ["a"]),
    ({"type": "null"}, None, None, ["a"]),
    ({"$ref": "#/$defs/t"}, "x", "x", []),
    ({"$ref": "#/$defs/a~1b"}, 5, 5, []),
    ({"$ref": "#/$defs/none"}, 5, None, ["a"]),
    ({"$ref": "#/$defs/t/type/x"}, 5, None, ["a"]),
    ({"$ref": "https://tools.example/t"}, 5, None, ["a"]),
    ({"$ref": "#/$defs/loop"}, {"v": 1, "next": {"v": 2}}, {"v": 1}, ["a.next"]),
]


@pytest.mark.parametrize("schema,value,cedar,untyped", VALUES)
def test_a_value_is_typed_in_full_or_listed(schema: Any, value: Any, cedar: Any, untyped: list[str]) -> None:
    loop = {"type": "object", "properties": {"v": WHOLE, "next": {"$ref": "#/$defs/loop"}}}
    defs = {"t": TEXT, "a/b": WHOLE, "loop": loop}
    record = typed({"type": "object", "properties": {"a": schema}, "$defs": defs})
    assert projected(record, {"a": value}) == ({} if cedar is None else {"a": cedar}, untyped)


@pytest.mark.parametrize("name", ["a b", "", "__extn", "__entity", "a.b", "naïve", 'a"b', "x" * 129])
def test_a_name_that_is_not_plain_is_untyped(name: str) -> None:
    assert projected(typed({"type": "object", "properties": {name: TEXT}}), {name: "x"}) == ({}, [name])


@pytest.mark.parametrize("name", ["a", "A1", "$filter", "start-date", "_x"])
def test_a_plain_name_is_typed(name: str) -> None:
    known = Known(actions=(ActionShape(name="desk/read", tiers=("read",), schema={"properties": {name: TEXT}}),))
    condition = f'context.args has "{name}" && context.args["{name}"] == "x"'
    text = f'permit(principal, action == Action::"desk/read", resource) when {{ {condition} }};'
    assert in_force(text, known=known).decide(request(args={name: "x"})).verdict is Verdict.ALLOW


def test_only_what_always_has_its_type_is_required() -> None:
    properties = {
        "a": TEXT,
        "b": REAL,
        "c": {"type": ["string", "null"]},
        "d": {"type": "array", "items": WHOLE},
        "e": {"type": "array", "items": REAL},
        "f": {"type": "array", "items": {"type": "object", "properties": {"x": TEXT}}},
        "g": {"type": "object", "properties": {"x": TEXT}, "required": "x"},
        "h": TEXT,
    }
    found = cedar_type(typed({"type": "object", "properties": properties, "required": list("abcdefg")}))["attributes"]
    assert [name for name, member in found.items() if member["required"]] == ["a", "d", "g"]
    assert found["b"] == {"type": "Extension", "name": "decimal", "required": False}
    assert found["g"]["attributes"]["x"]["required"] is False


@pytest.mark.parametrize("schema", [{}, {"type": "string"}, {"properties": 5}, {"type": "object"}])
def test_a_schema_without_members_leaves_everything_untyped(schema: dict[str, Any]) -> None:
    assert projected(typed(schema), {"a": 1}) == ({}, ["a"])


def test_types_are_bounded_in_depth() -> None:
    schema: dict[str, Any] = {"type": "string"}
    value: Any = "x"
    for _ in range(12):
        schema, value = {"type": "object", "properties": {"a": schema}}, {"a": value}
    found, untyped = projected(typed(schema), value)
    assert found == {}
    assert untyped == ["a"]


def test_types_are_bounded_in_number() -> None:
    properties = {f"p{n}": {"type": "object", "properties": {"q": {"$ref": "#/$defs/d"}}} for n in range(50)}
    wide = {"type": "object", "properties": {f"q{n}": TEXT for n in range(100)}}
    record = typed({"type": "object", "properties": properties, "$defs": {"d": wide}})
    found, untyped = projected(record, {"p0": {"q": {"q0": "x"}}, "p49": {"q": {"q0": "x"}}})
    assert found == {"p0": {"q": {"q0": "x"}}}
    assert untyped == ["p49"]


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["path", "x", "name"]), inner)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["path", "size", "price", "force", "tags", "owner", "any", "other"]), JSON))
def test_the_engine_takes_every_projection(args: dict[str, Any]) -> None:
    """Whatever the arguments are, evaluation gives a decision: nothing reaches Cedar that it cannot read."""
    everything = in_force(
        "permit(principal, action, resource)"
        " when { context.args == context.args && context.untyped == context.untyped };"
    )
    assert everything.decide(request(args=args)).verdict is Verdict.ALLOW


@given(st.dictionaries(st.sampled_from(["path", "size", "price", "tags", "owner", "any"]), JSON))
def test_every_argument_is_typed_or_listed(args: dict[str, Any]) -> None:
    found, untyped = projected(typed(request_schema()), args)
    assert found.keys() | {path.split(".")[0] for path in untyped} == args.keys()


def request_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "path": TEXT,
            "size": WHOLE,
            "price": REAL,
            "owner": {"type": "object", "properties": {"name": TEXT}},
        },
    }
