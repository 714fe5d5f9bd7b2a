"""JSON Schema with the doors shut: every schema here may come from a stranger.

No network or file `$ref` is followed, regular expressions run in linear time (so there is no look-around), formats are
checked. Compiled validators are kept by the caller's key, which must determine the schema (a contract's digest, say).
"""

from typing import Any, Final

import jsonschema_rs

from remit.errors import CallerFault
from remit.limits import SCHEMAS_COMPILED_MAX

_ADVICE: Final = "correct the schema, or ask the owner of the tool server to; patterns have no look-around"
_kept: dict[str, jsonschema_rs.Validator] = {}


def validator(schema: Any, key: str) -> jsonschema_rs.Validator:
    """The compiled validator of `schema`, kept under `key`. Raises `CallerFault` when it is not a usable schema."""
    found = _kept.get(key)
    if found is None:
        found = compiled(schema)
        while len(_kept) >= SCHEMAS_COMPILED_MAX:
            del _kept[next(iter(_kept))]
        _kept[key] = found
    return found


def compiled(schema: Any) -> jsonschema_rs.Validator:
    """Compile one schema (2020-12 unless `$schema` says otherwise). Raises `CallerFault` naming where it is wrong."""
    if not isinstance(schema, dict | bool):
        raise CallerFault("a JSON Schema has to be an object", _ADVICE)
    try:
        return jsonschema_rs.validator_for(
            schema, validate_formats=True, pattern_options=jsonschema_rs.RegexOptions(), offline=True
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as e:
        if isinstance(getattr(e, "kind", None), jsonschema_rs.ValidationErrorKind.Referencing):
            raise CallerFault("a `$ref` of the schema leads out of it or nowhere", _ADVICE) from e
        where = "".join(f"/{pointer_step(step)}" for step in getattr(e, "instance_path", ())) or "/"
        raise CallerFault(f"`{where[:200]}` of the schema is not valid JSON Schema", _ADVICE) from e


def pointer_step(step: str | int) -> str:
    """One step of a JSON Pointer, escaped (RFC 6901 section 3)."""
    return str(step).replace("~", "~0").replace("/", "~1")
