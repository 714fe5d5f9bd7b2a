"""The house budget finds what it is there to find, and nothing in code that keeps it."""

import ast
from pathlib import Path

import pytest

from tools import house

KEPT = '''
"""Decides one thing; never does another."""

__all__ = ["decide"]


def decide(call: str, task: str, *, now: int) -> str:
    return call if now else task
'''


def module(source: str, path: str = "call/check.py") -> house.Module:
    return house.Module(path, source.count("\n"), ast.parse(source))


def rules(source: str, path: str = "call/check.py") -> set[str]:
    return {violation.rule for violation in house.broken_in(module(source, path))}


def function(*body: str, head: str = "def f():") -> str:
    return '"""Rules."""\n' + "\n    ".join([head, *(body or ["pass"])]) + "\n"


def test_code_that_keeps_the_budget_is_left_alone():
    assert rules(KEPT) == set()


BROKEN = {
    "a module without its rules": ("docstring", "x = 1\n"),
    "an empty module": ("docstring", ""),
    "a file past its length": ("length", '"""Rules."""\n' + "#\n" * house.FILE_LINES_MAX),
    "a module that knows too many others": (
        "fan-out",
        '"""Rules."""\n' + "\n".join(f"from remit.m{n} import x{n}" for n in range(house.FAN_OUT_MAX + 1)),
    ),
    "fan-out through the package itself": (
        "fan-out",
        '"""Rules."""\nfrom remit import ' + ", ".join(f"m{n}" for n in range(house.FAN_OUT_MAX + 1)),
    ),
    "too many public names": (
        "names",
        '"""Rules."""\n' + "\n".join(f"N{n} = {n}" for n in range(house.PUBLIC_NAMES_MAX + 1)),
    ),
    "too many exported names": (
        "names",
        '"""Rules."""\n__all__ = [' + ", ".join(f"'n{n}'" for n in range(house.PUBLIC_NAMES_MAX + 1)) + "]",
    ),
    "an import inside a function": ("local-import", function("import json")),
    "an import inside a nested function": ("local-import", function("def g():", "    import json", "return g")),
    "a bare except": ("broad-except", function("try:", "    pass", "except:", "    raise")),
    "a broad except outside the edge": (
        "broad-except",
        function("try:", "    pass", "except Exception:", "    raise"),
    ),
    "a broad except in a tuple": (
        "broad-except",
        function("try:", "    pass", "except (ValueError, BaseException):", "    raise"),
    ),
    "suppressing everything": ("broad-except", function("with contextlib.suppress(Exception):", "    pass")),
    "a function past its length": ("function", function(*["x = 1"] * house.FUNCTION_LINES_MAX)),
    "an async function past its length": (
        "function",
        function(*["x = 1"] * house.FUNCTION_LINES_MAX, head="async def f():"),
    ),
    "too many branches": ("complexity", function(*["if x: pass"] * house.COMPLEXITY_MAX)),
    "too many comprehensions": ("complexity", function(*["[x for x in y]"] * house.COMPLEXITY_MAX)),
    "too many cases": (
        "complexity",
        function("match x:", *[f"    case {n}: pass" for n in range(house.COMPLEXITY_MAX)]),
    ),
    "too many parameters": ("parameters", function(head="def f(a, b, *, c, d, e, g):")),
    "a third parameter by position": ("positional", function(head="def f(a, b, c):")),
    "a third parameter of a constructor": ("positional", function(head="class C:\n  def __init__(self, a, b, c):")),
}


@pytest.mark.parametrize("rule, source", BROKEN.values(), ids=BROKEN)
def test_what_breaks_a_rule_is_found_under_its_name(rule, source):
    assert rules(source) == {rule}


KEEPING = {
    "the command line imports when a command runs": ("edge/cli/up.py", function("import json")),
    "the edge wraps what it catches": (
        "edge/store/sqlite.py",
        function("try:", "    pass", "except Exception as error:", "    raise Ours from error"),
    ),
    "what the language calls": ("call/check.py", function(head="def __exit__(self, kind, error, trace):")),
    "an ASGI application": ("call/check.py", function(head="async def f(self, scope, receive, send):")),
    "a method of two parameters": ("call/check.py", function(head="def f(self, a, b, *, c):")),
    "a case for everything else": (
        "call/check.py",
        function("match x:", *[f"    case {n}: pass" for n in range(9)], "    case _: pass"),
    ),
    "branches of a function inside": (
        "call/check.py",
        function(*["if x: pass"] * 5, "def g():", *["    if x: pass"] * 5),
    ),
}


@pytest.mark.parametrize("path, source", KEEPING.values(), ids=KEEPING)
def test_what_a_rule_allows_is_left_alone(path, source):
    assert rules(source, path) == set()


def test_the_edge_may_not_swallow_what_it_catches():
    source = function("try:", "    pass", "except Exception:", "    pass")
    assert rules(source, "edge/store/sqlite.py") == {"broad-except"}


def test_one_function_in_ten_may_be_long():
    long = "def long():\n" + "    x = 1\n" * house.FUNCTION_LINES_USUAL
    short = "".join(f"def f{n}(): pass\n" for n in range(9))
    assert not list(house.usual_length([module(long + short)]))
    assert [found.rule for found in house.usual_length([module(long)])] == ["usual-length"]


def test_a_waiver_silences_its_rule_in_its_place_only():
    broken = [module("x = 1\n", "a.py"), module("x = 1\n", "b.py")]
    assert [found.path for found in house.judge(broken, {("docstring", "a.py"): "why"})] == ["b.py"]


def test_a_waiver_nobody_needs_is_a_violation():
    (found,) = house.judge([module(KEPT, "a.py")], {("docstring", "a.py"): "why"})
    assert "need not be" in found.message


def test_every_waiver_gives_its_reason():
    assert all(reason.strip() for reason in house.WAIVED.values())


@pytest.mark.parametrize("source, status", [(KEPT, 0), ("x = 1\n", 1), (None, 1)], ids=["kept", "broken", "nothing"])
def test_the_command_says_by_its_status_whether_the_house_is_in_order(source, status, tmp_path: Path, monkeypatch):
    if source is not None:
        (tmp_path / "module.py").write_text(source)
    monkeypatch.setattr("sys.argv", ["house.py", str(tmp_path)])
    assert house.main() == status
