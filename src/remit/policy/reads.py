"""Which attributes a policy reads, so that a request need hold no others.

A path is how an expression begins at a variable and goes on by name: `context.task.purpose` is `("context", "task",
"purpose")`. An expression that uses a record as a value reads all of it: the path ends there. Leaving out what is on
no path can never change a decision, because Cedar evaluates nothing else.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeAlias

from cedarpy import pst
from msgspec import Struct, structs

Path: TypeAlias = tuple[str, ...]
Tree: TypeAlias = "dict[str, Tree] | None"


def reads(node: Any) -> frozenset[Path]:
    """Every path under a node, or a tuple of nodes, of the policy's tree."""
    return frozenset(_reads(node))


def tree(paths: Iterable[Path]) -> Tree:
    """Paths by their steps, in order of name; None where one ends, as all below it is read."""
    inner: dict[str, list[Path]] = {}
    for path in paths:
        if not path:
            return None
        inner.setdefault(path[0], []).append(path[1:])
    return {name: tree(inner[name]) for name in sorted(inner)}


def pruned(value: Any, reads: Tree) -> Any:
    """What of a record, a dict or a struct, is read; anything else as it is."""
    if reads is None:
        return value
    if isinstance(value, Struct):
        value = structs.asdict(value)
    if not isinstance(value, dict):
        return value
    return {name: pruned(value[name], inner) for name, inner in reads.items() if name in value}


def _reads(node: Any) -> Iterator[Path]:
    if isinstance(node, pst.HasAttr) and (path := _path(node.base)) is not None:
        yield (*path, *node.attrs)
    elif (path := _path(node)) is not None:
        yield path
    else:
        for inner in _inside(node):
            yield from _reads(inner)


def _inside(node: Any) -> Iterable[Any]:
    if isinstance(node, tuple):
        return node
    if isinstance(node, Mapping):
        return tuple(node.values())
    if isinstance(node, pst.Like):
        return (node.base,)
    return [getattr(node, field.name) for field in fields(node)] if is_dataclass(node) else ()


def _path(node: Any) -> Path | None:
    if isinstance(node, pst.Var):
        return (node.name,)
    if isinstance(node, pst.GetAttr):
        base = _path(node.base)
        return None if base is None else (*base, node.attr)
    return None


def overlap(path: Path, other: Path) -> bool:
    """Whether one of the paths leads through the other."""
    shorter = min(len(path), len(other))
    return path[:shorter] == other[:shorter]
