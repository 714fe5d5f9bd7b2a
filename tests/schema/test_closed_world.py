"""What a schema does not name cannot be sent, at any depth and however the schema is composed."""

import json
from typing import Any

import pytest

from remit.errors import CallerFault
from remit.reasons import Denied, Reason
from remit.schema import conforming, open_places
from tests.schema.conftest import Refused, called, pinned

DRAFTS = [
    None,
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
]

TEXT, WHOLE = {"type": "string"}, {"type": "integer"}


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


POINT = obj(x=WHOLE, y=WHOLE)
TWO_HALVES = {"allOf": [obj(at=obj(x=WHOLE)), obj(at=obj(y=WHOLE))]}
NESTED = {"type": "object", "properties": {"at": {"$ref": "#/definitions/p"}}, "definitions": {"p": POINT}}
CHOICE = {"oneOf": [obj(kind={"enum": ["a"]}, a=WHOLE), obj(kind={"enum": ["b"]}, b=WHOLE)], "required": ["kind"]}
LOOP = {"type": "object", "properties": {"v": WHOLE, "next": {"$ref": "#"}}}

# schema, arguments, None when they conform or else what the denial says
ANY_DRAFT: list[tuple[str, dict[str, Any], Any, str | None]] = [
    ("nothing declared, nothing sent", {"type": "object"}, {}, None),
    ("omitted arguments are an empty object", {"type": "object"}, None, None),
    ("nothing declared, something sent", {"type": "object"}, {"a": 1}, "`/a` (not in the schema)"),
    ("an unnamed member", obj(a=TEXT), {"a": "x", "b": 1}, "`/b` (not in the schema)"),
    ("a case variant", obj(path=TEXT), {"Path": "x"}, "`/Path` (not in the schema)"),
    ("an unnamed member inside", obj(at=POINT), {"at": {"x": 1, "z": 1}}, "`/at/z` (not in the schema)"),
    ("in an array", obj(l={"type": "array", "items": POINT}), {"l": [{}, {"z": 1}]}, "`/l/1/z` (not in the schema)"),
    ("behind a reference", NESTED, {"at": {"x": 1, "z": 1}}, "`/at/z` (not in the schema)"),
    ("behind a reference, named", NESTED, {"at": {"x": 1, "y": 2}}, None),
    ("siblings of allOf add up", TWO_HALVES, {"at": {"x": 1, "y": 2}}, None),
    ("siblings of allOf and a stranger", TWO_HALVES, {"at": {"x": 1, "z": 2}}, "`/at/z` (not in the schema)"),
    ("the branch that matched", CHOICE, {"kind": "a", "a": 1}, None),
    ("the branch that did not match", CHOICE, {"kind": "a", "b": 1}, "`/b` (not in the schema)"),
    ("recursion", LOOP, {"v": 1, "next": {"next": {"v": 1}}}, None),
    ("recursion and a stranger", LOOP, {"next": {"next": {"w": 1}}}, "`/next/next/w` (not in the schema)"),
    ("explicitly closed", {**POINT, "additionalProperties": False}, {"z": 1}, "`/` (additionalProperties)"),
    ("explicitly open", obj(at={**POINT, "additionalProperties": True}), {"at": {"x": 1, "z": 2}}, None),
    ("open for strings", obj(at={"additionalProperties": TEXT}), {"at": {"z": "s"}}, None),
    ("open for strings only", obj(at={"additionalProperties": TEXT}), {"at": {"z": 2}}, "`/at/z` (type: string)"),
    ("opened by a sibling", {"allOf": [POINT, {"additionalProperties": True}]}, {"z": 2}, None),
    ("inside an open one", {"additionalProperties": POINT}, {"p": {"z": 2}}, "`/p/z` (not in the schema)"),
    ("a free-form object", obj(labels={"type": "object"}), {"labels": {"a": {"b": 1}}}, None),
    ("a free-form branch does not open", obj(a={"anyOf": [POINT, {"type": "object"}]}), {"a": {"z": 1}}, "`/a/z`"),
    ("names by pattern", {"patternProperties": {"^x-": TEXT}}, {"x-a": "s"}, None),
    ("names by pattern, another", {"patternProperties": {"^x-": TEXT}}, {"y-a": "s"}, "`/y-a` (not in the schema)"),
    ("what is under not names nothing", {**POINT, "not": obj(z={"enum": [5]}, x={"enum": [5]})}, {"z": 1}, "`/z`"),
    ("awkward names", obj(**{"a/b~c": POINT}), {"a/b~c": {"q": 1}}, "`/a~1b~0c/q` (not in the schema)"),
    ("a member called properties", obj(properties=obj(a=WHOLE)), {"properties": {"b": 1}}, "`/properties/b`"),
    ("a forged annotation", obj(at={**POINT, "remit:world": "settled"}), {"at": {"z": 1}}, "`/at/z`"),
    ("several at once", obj(a=TEXT), {"b": 1, "c": 1}, "`/b` (not in the schema); `/c` (not in the schema)"),
    ("required", {**POINT, "required": ["x"]}, {}, "`/` (required: `x`)"),
    ("a type", obj(a=TEXT), {"a": 7}, "`/a` (type: string)"),
]


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("schema,arguments,says", [row[1:] for row in ANY_DRAFT], ids=[row[0] for row in ANY_DRAFT])
def test_a_schema_of_any_draft_is_closed(
    refused: Refused, draft: str | None, schema: dict[str, Any], arguments: Any, says: str | None
) -> None:
    detail = refused({"$schema": draft, **schema} if draft else schema, arguments)
    assert detail == says if says is None or says.endswith(")") else detail is not None and says in detail


NEWER: list[tuple[str, dict[str, Any], Any, str | None]] = [
    ("unevaluatedProperties false", {**POINT, "unevaluatedProperties": False}, {"z": 1}, "`/` (unevaluatedProperties)"),
    ("unevaluatedProperties open", obj(a={**POINT, "unevaluatedProperties": {}}), {"a": {"z": 1}}, None),
    ("prefixItems", obj(l={"prefixItems": [POINT]}), {"l": [{"z": 1}]}, "`/l/0/z` (not in the schema)"),
    ("if and then", {"if": obj(a={"const": 1}), "then": obj(b=WHOLE), "else": obj(c=WHOLE)}, {"a": 1, "b": 2}, None),
    ("if and else", {"if": obj(a={"const": 1}), "then": obj(b=WHOLE)}, {"a": 2}, "`/a` (not in the schema)"),
    ("if alone", {"if": obj(a={"const": 1})}, {"a": 1}, None),
    ("if alone, not so", {"if": obj(a={"const": 1})}, {"a": 2}, "`/a` (not in the schema)"),
    ("dependentSchemas", {**POINT, "dependentSchemas": {"x": obj(z=WHOLE)}}, {"x": 1, "z": 2}, None),
    (
        "dependentSchemas, not met",
        {**POINT, "dependentSchemas": {"x": obj(z=WHOLE)}},
        {"z": 2},
        "`/z` (not in the schema)",
    ),
    ("beside a reference", {"$ref": "#/$defs/p", **obj(z=WHOLE), "$defs": {"p": POINT}}, {"x": 1, "z": 2}, None),
    ("a format", obj(at={"type": "string", "format": "date"}), {"at": "yesterday"}, "`/at` (format)"),
    ("a pattern", obj(at={"pattern": "^[a-z]+$"}), {"at": "sk_live_51H"}, "`/at` (pattern)"),
    ("an enum", obj(at={"enum": ["a", "b"]}), {"at": "sk_live_51H"}, "`/at` (enum)"),
    ("a pointer through a list", {"allOf": [POINT], **obj(q={"$ref": "#/allOf/0"})}, {"q": {"z": 1}}, "`/q/z`"),
    ("an array inside an array", obj(l={"items": {"items": POINT}}), {"l": [[{"z": 1}]]}, "`/l/0/0/z`"),
]


@pytest.mark.parametrize("schema,arguments,says", [row[1:] for row in NEWER], ids=[row[0] for row in NEWER])
def test_a_schema_of_2020_12_is_closed(
    refused: Refused, schema: dict[str, Any], arguments: Any, says: str | None
) -> None:
    detail = refused(schema, arguments)
    assert (detail is None) if says is None else (detail is not None and says in detail)


def test_up_to_draft_7_what_stands_beside_a_reference_is_ignored(refused: Refused) -> None:
    schema = {"$schema": DRAFTS[3], **obj(p={"$ref": "#/definitions/p", **obj(z=WHOLE)}), "definitions": {"p": POINT}}
    assert refused(schema, {"p": {"x": 1, "z": 1}}) == "`/p/z` (not in the schema)"


def test_dependencies_may_be_lists_of_names(refused: Refused) -> None:
    schema = {"$schema": DRAFTS[3], **POINT, "dependencies": {"x": ["y"], "y": obj(z=WHOLE)}}
    assert refused(schema, {"x": 1, "y": 1, "z": 1}) is None
    assert refused(schema, {"x": 1, "z": 1}) is not None


def test_a_denial_never_repeats_a_value(refused: Refused) -> None:
    secret = "sk_live_51HsecretSECRET"
    schema = obj(
        a=WHOLE, b={"enum": ["x"]}, c={"pattern": "^$"}, d={"maxLength": 1}, e={"format": "uuid"}, f={"const": 1}
    )
    for name in "abcdef":
        detail = refused(schema, {name: secret})
        assert detail is not None
        assert detail.startswith(f"`/{name}`")
        assert secret not in detail


OPEN: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("closed", obj(a=TEXT, at=POINT), ()),
    ("an empty schema of arguments", {}, ()),
    ("said at the root", {**POINT, "additionalProperties": True}, ("/additionalProperties",)),
    ("closed by word", {**POINT, "additionalProperties": False}, ()),
    ("said inside", obj(a={"type": "object", "additionalProperties": TEXT}), ("/properties/a/additionalProperties",)),
    ("said for the rest", obj(a={**POINT, "unevaluatedProperties": {}}), ("/properties/a/unevaluatedProperties",)),
    ("names by pattern", {"patternProperties": {"^x": TEXT}}, ("/patternProperties",)),
    ("no pattern at all", {"patternProperties": {}}, ()),
    ("a free-form object", obj(a={"type": "object"}), ("/properties/a",)),
    ("anything", obj(a={}), ("/properties/a",)),
    ("true", obj(a=True), ("/properties/a",)),
    ("false", obj(a=False), ()),
    ("a list of anything", obj(a={"type": "array"}), ("/properties/a",)),
    ("a list of text", obj(a={"type": "array", "items": TEXT}), ()),
    ("a tuple with a tail", obj(a={"type": "array", "prefixItems": [TEXT]}), ("/properties/a",)),
    ("a branch that is silent", obj(a={"type": "object", "anyOf": [{"additionalProperties": False}, {}]}), ()),
    ("a word without effect", obj(a={"type": "array", "additionalItems": False}), ("/properties/a",)),
    ("a tuple without", obj(a={"type": "array", "prefixItems": [TEXT], "items": False}), ()),
    ("text or nothing", obj(a={"anyOf": [TEXT, {"type": "null"}]}), ()),
    ("text or anything", obj(a={"oneOf": [TEXT, {"type": "object"}]}), ("/properties/a",)),
    ("fixed values", obj(a={"enum": [{"a": 1}]}, b={"const": [1]}), ()),
    ("narrowed by allOf", obj(a={"allOf": [TEXT, {"minLength": 1}]}), ()),
    ("behind a reference", {**obj(a={"$ref": "#/$defs/f"}), "$defs": {"f": {"type": "object"}}}, ("/properties/a",)),
    ("never referred to", {**obj(a=TEXT), "$defs": {"f": {"type": "object"}}}, ()),
    ("recursion", LOOP, ()),
    ("several types", obj(a={"type": ["object", "null"]}), ("/properties/a",)),
]


@pytest.mark.parametrize("schema,places", [row[1:] for row in OPEN], ids=[row[0] for row in OPEN])
def test_open_places_are_listed(schema: dict[str, Any], places: tuple[str, ...]) -> None:
    assert open_places(schema) == places


def test_a_tuple_of_draft_7_is_closed_by_additional_items() -> None:
    schema = {"$schema": DRAFTS[3], **obj(a={"type": "array", "items": [TEXT]})}
    assert open_places(schema) == ("/properties/a",)
    schema = {"$schema": DRAFTS[3], **obj(a={"type": "array", "items": [TEXT], "additionalItems": False})}
    assert open_places(schema) == ()


def test_draft_7_knows_no_unevaluated_properties(refused: Refused) -> None:
    schema = {"$schema": DRAFTS[3], **obj(a={**POINT, "unevaluatedProperties": True})}
    assert open_places(schema) == ()
    assert refused(schema, {"a": {"z": 1}}) == "`/a/z` (not in the schema)"


DOUBLING = {"allOf": [obj(a={"$ref": "#"}), obj(a={"$ref": "#"})]}
FAN = {"anyOf": [{"type": "string"}] * 50}
EXPLODING = {"$defs": {"y": {"anyOf": [FAN] * 50}}, **obj(a={"$ref": "#/$defs/y"})}

MANY = {"anyOf": [{"type": "string"}] * 1_900}
MANY_TIMES_MANY = {"$defs": {"m": MANY}, **obj(**{f"p{n}": {"$ref": "#/$defs/m"} for n in range(1_000)})}

UNREADABLE: list[tuple[str, Any, str]] = [
    ("no schema", None, "not a JSON object"),
    ("true", True, "not a JSON object"),
    ("an unknown type", {"type": "text"}, "`/type` of the schema is not valid JSON Schema"),
    ("a wrong keyword", obj(a={"minLength": -1}), "`/properties/a/minLength` of the schema is not valid"),
    ("look-around", {"pattern": "(?=a)b"}, "`/pattern` of the schema is not valid"),
    ("an unknown dialect", {"$schema": "https://tools.example/dialect"}, "not a known draft"),
    (
        "a reference elsewhere",
        obj(a={"$ref": "https://tools.example/a.json"}),
        "which is not a JSON Pointer into itself",
    ),
    ("a reference to a file", obj(a={"$ref": "other.json"}), "which is not a JSON Pointer into itself"),
    ("a reference to an anchor", obj(a={"$ref": "#a"}), "which is not a JSON Pointer into itself"),
    ("a reference to nothing", obj(a={"$ref": "#/$defs/a"}), "where it holds no schema"),
    ("a reference past a list", {"allOf": [], **obj(a={"$ref": "#/allOf/1"})}, "where it holds no schema"),
    ("a reference through text", {"title": "t", **obj(a={"$ref": "#/title/0"})}, "where it holds no schema"),
    ("a schema with its own base", obj(a={"$id": "https://tools.example/a"}), "uses `$id` at `/properties/a`"),
    ("dynamic references", obj(a={"$dynamicRef": "#a"}), "uses `$dynamicRef`"),
    ("itself, in place", {"$ref": "#"}, "refers to itself"),
    ("itself, in a branch", {"allOf": [{"$ref": "#"}]}, "refers to itself"),
    ("its own opposite", {"not": {"$ref": "#"}}, "refers to itself"),
    ("too many branches", EXPLODING, "over 2000 branches"),
    ("too much to read", MANY_TIMES_MANY, "steps to read"),
    ("too deep", json.loads('{"items":' * 200 + "{}" + "}" * 200), "nested deeper than"),
    ("too large", {"description": "x" * 300_000}, "bytes, at most"),
]


@pytest.mark.parametrize("schema,says", [row[1:] for row in UNREADABLE], ids=[row[0] for row in UNREADABLE])
def test_a_schema_that_cannot_be_read_is_refused(schema: Any, says: str) -> None:
    with pytest.raises(CallerFault, match=says.replace("(", r"\(").replace("$", r"\$")):
        open_places(schema)


def test_a_schema_may_say_who_it_is(refused: Refused) -> None:
    assert refused({"$id": "https://tools.example/a", **NESTED}, {"at": {"z": 1}}) == "`/at/z` (not in the schema)"


def test_branches_that_check_the_same_member_again_bound_the_depth(refused: Refused) -> None:
    assert refused(DOUBLING, json.loads('{"a":' * 8 + "{}" + "}" * 8)) is None
    assert refused(DOUBLING, json.loads('{"a":' * 60 + "{}" + "}" * 60)) == "`/` (nested deeper than 11 levels)"


def test_elements_and_patterns_count_as_work_too(refused: Refused) -> None:
    lists = {"type": "object", "properties": {"l": {"$ref": "#/$defs/l"}}}
    twice = {"$ref": "#/$defs/l"}
    lists["$defs"] = {"l": {"allOf": [{"items": twice}, {"contains": twice}], "patternProperties": {"^a": twice}}}
    assert "nested deeper" in (refused(lists, {"l": json.loads("[" * 50 + "]" * 50)}) or "")


@pytest.mark.holds("INPUT-SIZE")
@pytest.mark.parametrize(
    "items, count",
    [
        ({"anyOf": [{"properties": {f"k{n}": {}}} for n in range(40)]}, 1000),
        ({"type": "object", "properties": {}}, 30_000),
    ],
    ids=["many branches", "many objects, one of them with an unnamed member"],
)
def test_arguments_that_would_take_long_to_look_into_are_refused(items: dict[str, Any], count: int) -> None:
    tool = pinned({"inputSchema": {"type": "object", "properties": {"a": {"type": "array", "items": items}}}})
    with pytest.raises(Denied, match="too much to check") as no:
        conforming(called({"a": [{}] * count + [{"x": 1}]}), tool)
    assert no.value.reason is Reason.SCHEMA_ARGUMENTS
