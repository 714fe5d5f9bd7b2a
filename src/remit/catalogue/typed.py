"""From a tree of text to the catalogue's structs, by the type each field declares.

A text field takes a scalar as it stands (`version: 1.10` is `1.10`, `name: no` is `no`), a number only plain decimal
digits, a flag only `true` or `false`. Where any JSON may stand (schemas) a plain scalar that YAML versions read
differently is refused. Unknown keys are errors, with the nearest known one. Everything wrong is collected.
"""

import re
from difflib import get_close_matches
from typing import Any, Final

import yaml
from msgspec import inspect

from remit.catalogue.document import Fault, Node, Scalar, Sequence, Table
from remit.limits import INTEGER_MAX

Path = tuple[str | int, ...]

_WHOLE: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,15})")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}
_NOTHING: Final = frozenset({"", "~", "null", "Null", "NULL"})
_YAML: Final = yaml.resolver.Resolver()


class Reader:
    """Reads one document. `faults` is what was wrong, `lines` where each field stands, by its path from the root."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.lines: dict[Path, int] = {}

    def read(self, kind: inspect.Type, node: Node, *, path: Path = ()) -> Any:
        """The value of a node, of the type asked for; None, with a fault noted, when it is not one."""
        self.lines.setdefault(path, node.line)
        try:
            return self._read(kind, node, path=path)
        except Fault as fault:
            self.faults.append(fault)
            return None

    def _read(self, kind: inspect.Type, node: Node, *, path: Path) -> Any:
        match kind:
            case inspect.StructType():
                return self._struct(kind, _table(node, "keys and values"), path=path)
            case inspect.DictType():
                table = _table(node, "names and rows")
                return {key: self._entry(kind.value_type, table, path=(*path, key)) for key in table.entries}
            case inspect.VarTupleType():
                items = _sequence(node).items
                return tuple(self.read(kind.item_type, item, path=(*path, i)) for i, item in enumerate(items))
            case inspect.UnionType():
                if isinstance(node, Scalar) and node.plain and node.text in _NOTHING:
                    return None
                return self._read(next(t for t in kind.types if not isinstance(t, inspect.NoneType)), node, path=path)
            case inspect.AnyType():
                return _json(node)
        return _scalar(kind, node)

    def _struct(self, kind: inspect.StructType, table: Table, *, path: Path) -> Any:
        fields = {field.encode_name: field for field in kind.fields}
        before = len(self.faults)
        for key in table.entries.keys() - fields.keys():
            near = nearest(key, fields)
            self.faults.append(Fault(table.lines[key], f"unknown key `{key}`{near}"))
        for name, field in fields.items():
            if field.required and name not in table.entries:
                self.faults.append(Fault(table.line, f"the key `{name}` is missing"))
        given = {
            name: self._entry(field.type, table, path=(*path, name))
            for name, field in fields.items()
            if name in table.entries
        }
        return None if len(self.faults) > before else kind.cls(**given)

    def _entry(self, kind: inspect.Type, table: Table, *, path: Path) -> Any:
        key = str(path[-1])
        self.lines[path] = table.lines[key]
        return self.read(kind, table.entries[key], path=path)


def nearest(word: str, known: Any) -> str:
    """`, did you mean …?`, when a known word is near."""
    near = get_close_matches(word, list(known), 1)
    return f", did you mean `{near[0]}`?" if near else ""


def _scalar(kind: inspect.Type, node: Node) -> Any:
    if not isinstance(node, Scalar):
        raise Fault(node.line, f"expected {_expected(kind)}, found {_found(node)}")
    match kind:
        case inspect.IntType() if node.plain and _WHOLE.fullmatch(node.text):
            return _bounded(kind, int(node.text), node=node)
        case inspect.BoolType() if node.plain and node.text in ("true", "false"):
            return node.text == "true"
        case inspect.LiteralType():
            known = {str(value): value for value in kind.values}
            if node.text in known:
                return known[node.text]
            near = nearest(node.text, known)
            raise Fault(node.line, f"expected {_expected(kind)}, found {_found(node)}{near}")
        case inspect.StrType() if not (node.plain and node.text in _NOTHING):
            return node.text
    raise Fault(node.line, f"expected {_expected(kind)}, found {_found(node)}")


def _bounded(kind: inspect.IntType, number: int, *, node: Node) -> int:
    least, most = kind.ge or 0, kind.le or INTEGER_MAX
    if not least <= number <= most:
        raise Fault(node.line, f"expected a number from {least} to {most}, found `{number}`")
    return number


def _expected(kind: inspect.Type) -> str:
    match kind:
        case inspect.IntType():
            return "a whole number in decimal digits"
        case inspect.BoolType():
            return "`true` or `false`"
        case inspect.LiteralType():
            return " or ".join(f"`{value}`" for value in sorted(map(str, kind.values)))
    return "text"


def _found(node: Node) -> str:
    match node:
        case Sequence():
            return "a list"
        case Table():
            return "a table"
    return f"`{node.text[:80]}`" if node.text else "nothing"


def _table(node: Node, what: str) -> Table:
    if not isinstance(node, Table):
        raise Fault(node.line, f"expected {what}, found {_found(node)}")
    return node


def _sequence(node: Node) -> Sequence:
    if not isinstance(node, Sequence):
        raise Fault(node.line, f"expected a list, found {_found(node)}")
    return node


def _json(node: Node) -> Any:
    match node:
        case Table():
            return {key: _json(value) for key, value in node.entries.items()}
        case Sequence():
            return [_json(item) for item in node.items]
        case Scalar() if not node.plain:
            return node.text
    return _plain(node)


def _plain(node: Scalar) -> Any:
    if node.text in _WORDS:
        return _WORDS[node.text]
    if _NUMBER.fullmatch(node.text):
        return _number(node)
    tag = _YAML.resolve(yaml.ScalarNode, node.text, (True, False))  # type: ignore[no-untyped-call]
    if tag != "tag:yaml.org,2002:str":
        raise Fault(
            node.line, f"{_found(node)} can be read in more than one way; put it in quotes, or write it as JSON"
        )
    return node.text


def _number(node: Scalar) -> int | float:
    number = int(node.text) if _WHOLE.fullmatch(node.text) else float(node.text)
    if abs(number) > INTEGER_MAX:
        raise Fault(node.line, f"{_found(node)} is beyond what JSON holds exactly")
    return number
