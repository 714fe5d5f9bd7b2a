"""JSON Schema with the doors shut: every schema here may come from a stranger.

No network or file `$ref` is followed, regular expressions run in linear time, formats are checked. Compiled
validators are kept by the caller's key, which must determine the schema (a contract's digest, say).
"""

from typing import Any, Final

import jsonschema_rs

from remit.errors import CallerFault

_KEPT: Final = 8192
_compiled: dict[str, jsonschema_rs.Validator] = {}


def validator(schema: Any, key: str) -> jsonschema_rs.Validator:
    """The compiled validator of `schema`, kept under `key`. Raises `CallerFault` when it is not a usable schema."""
    found = _compiled.get(key)
    if found is None:
        if len(_compiled) >= _KEPT:
            _compiled.clear()
        found = _compiled[key] = compiled(schema)
    return found


def compiled(schema: Any) -> jsonschema_rs.Validator:
    """Compile one schema (2020-12 unless `$schema` says otherwise)."""
    if not isinstance(schema, dict | bool):
        raise CallerFault("a JSON Schema has to be an object", "look at what the tool server advertises")
    try:
        return jsonschema_rs.validator_for(
            schema,
            validate_formats=True,
            retriever=_no_network,
            pattern_options=jsonschema_rs.RegexOptions(),
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as e:
        first = str(e).strip().splitlines()[0] if str(e).strip() else "unknown fault"
        raise CallerFault(f"not a usable JSON Schema: {first[:200]}", "look at what the tool server advertises") from e


def _no_network(uri: str) -> Any:
    raise ValueError(f"the reference `{uri[:200]}` leaves the schema")
