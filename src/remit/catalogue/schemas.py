"""JSON Schemas operators and requesters write: tier rules and argument constraints.

They decide what may pass, so they are read more strictly than the specification asks: an unknown keyword, which JSON
Schema would ignore, is refused, because a misspelt constraint constrains nothing; so are `$id` and `$anchor`, because
a request's schema, standing beside a purpose's, could redefine what that refers to by name. Dialect 2020-12, no network
references, regular expressions in linear time, formats checked.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

import msgspec
from jsonschema_rs import Validator

from remit import json_schema
from remit.errors import CallerFault

_ONE: Final = frozenset(
    {"additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"}
    | {"unevaluatedItems", "unevaluatedProperties"}
)
_LIST: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED: Final = frozenset({"$defs", "dependentSchemas", "patternProperties", "properties"})
_PLAIN: Final = frozenset(
    {"$comment", "$ref", "$schema", "const", "default", "dependentRequired", "deprecated"}
    | {"description", "enum", "examples", "exclusiveMaximum", "exclusiveMinimum", "format", "maxContains", "maxItems"}
    | {"maxLength", "maxProperties", "maximum", "minContains", "minItems", "minLength", "minProperties", "minimum"}
    | {"multipleOf", "pattern", "readOnly", "required", "title", "type", "uniqueItems", "writeOnly"}
)
# What is checked of a string; any other format would be ignored, and constrain nothing.
_FORMATS: Final = frozenset(
    {"date", "date-time", "duration", "email", "hostname", "idn-email", "idn-hostname", "ipv4", "ipv6", "iri"}
    | {"iri-reference", "json-pointer", "regex", "relative-json-pointer", "time", "uri", "uri-reference"}
    | {"uri-template", "uuid"}
)
_KEYWORDS: Final = _ONE | _LIST | _NAMED | _PLAIN
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def validator(schema: Mapping[str, Any]) -> Validator:
    """The compiled schema. Raises `CallerFault` when it is none."""
    return json_schema.validator(schema, msgspec.json.encode(schema).decode())


def checked(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema, if it compiles and holds known keywords only; else `CallerFault`."""
    validator(schema)
    for keyword, value in _keywords(schema):
        if keyword == "format" and value not in _FORMATS:
            raise CallerFault(f"`{value}` is no format that is checked", f"only {', '.join(sorted(_FORMATS))}")
        if keyword not in _KEYWORDS:
            near = get_close_matches(keyword, _KEYWORDS, 1)
            raise CallerFault(f"`{keyword}` is not a JSON Schema keyword", f"did you mean `{near[0]}`?" if near else "")
    if schema.get("$schema", _DIALECT) != _DIALECT:
        raise CallerFault("the schema is of another dialect", f"only `{_DIALECT}` is read")
    return schema


def _keywords(schema: object) -> Iterator[tuple[str, Any]]:
    if not isinstance(schema, Mapping):
        return
    for keyword, value in schema.items():
        yield keyword, value
        for inner in _inner(keyword, value):
            yield from _keywords(inner)


def _inner(keyword: str, value: Any) -> list[Any]:
    if keyword in _ONE:
        return [value]
    if keyword in _LIST:
        return list(value)
    return list(value.values()) if keyword in _NAMED else []
