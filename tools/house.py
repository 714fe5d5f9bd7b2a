"""The house budget: how large things may grow before they must part. `python tools/house.py [PACKAGE_DIR]`.

Each rule is one function that yields what breaks it: the line, and what to do. A rule is waived only by a row of
`WAIVED`, which gives the reason; a row nobody needs any more is itself a violation. Numbers that describe rather than
forbid (median file, median function, tests to code) are printed at the end. Exit 1 if anything is broken.

Complexity is McCabe's: one, plus one for each `if`, loop, `except`, `case` and comprehension; nested functions count
by themselves. A function's length runs from `def` to its last line, docstring included.
"""

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
FUNCTION_LINES_USUAL = 30
LONGER_THAN_USUAL_ONE_IN = 10
COMPLEXITY_MAX = 10
PARAMETERS_MAX = 5
POSITIONAL_MAX = 2
FAN_OUT_MAX = 12
PUBLIC_NAMES_MAX = 15

# (rule, file or file:function) → why it may.
WAIVED: dict[tuple[str, str], str] = {
    ("fan-out", "flow.py"): "it names every stage once; that is what it is for",
    ("fan-out", "app.py"): "the composition root names every driver",
    ("fan-out", "operations.py"): "it names every stage that what follows a call goes through again",
    ("fan-out", "edge/mcp/governed.py"): "the one way from the door to everything behind it",
    ("fan-out", "case.py"): "what one call gathers: a field for the finding of each stage",
    ("parameters", "catalogue/view.py:of"): "one mapping for each kind of row the store keeps of the catalogue",
    ("parameters", "edge/store/sqlite.py:open_sqlite"): "each is a port; only the crash test gives all",
    ("parameters", "edge/store/memory.py:open_memory"): "the same ports as the other driver's",
    ("positional", "ledger/merkle.py"): "two trees and the proof between them, in the order RFC 9162 gives them",
    ("positional", "ledger/verify.py"): "what is checked, by which keys, against what was saved: the auditor's order",
    ("names", "limits.py"): "the list of limits",
    ("names", "ledger/receipt.py"): "the record's whole wire format, read as one page",
    ("names", "edge/workers/wire.py"): "the conversation between two processes, read as one page",
    ("names", "catalogue/model.py"): "the catalogue's vocabulary, read as one page",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Found = Iterator[tuple[int, str]]


class Module(NamedTuple):
    """One source file: its path relative to the package (`call/check.py`), its lines and its tree."""

    path: str
    lines: int
    tree: ast.Module

    def functions(self) -> Iterator[Function]:
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))


class Violation(NamedTuple):
    """One broken rule; `waiver` is the key that would waive it."""

    path: str
    line: int
    rule: str
    message: str
    waiver: tuple[str, str]

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


def docstring(module: Module) -> Found:
    if not ast.get_docstring(module.tree):
        yield 1, "a module opens with its rules: what it decides, what it never does"


def length(module: Module) -> Found:
    if module.lines > FILE_LINES_MAX:
        yield module.lines, f"{module.lines} lines, at most {FILE_LINES_MAX}: split where the ideas part"


def fan_out(module: Module) -> Found:
    targets = {target for node in ast.walk(module.tree) for target in imported(node)}
    if len(targets) > FAN_OUT_MAX:
        yield 1, f"imports {len(targets)} modules of remit, at most {FAN_OUT_MAX}: it knows too much"


def names(module: Module) -> Found:
    count = len(public_names(module.tree))
    if count > PUBLIC_NAMES_MAX:
        yield 1, f"{count} public names, at most {PUBLIC_NAMES_MAX}: hide or move some"


def local_import(module: Module) -> Found:
    """Lazy commands are what keeps the command line quick, so `edge/cli` may; others need a waiver."""
    if module.path.startswith("edge/cli/"):
        return
    for function in module.functions():
        for node in own_nodes(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield node.lineno, f"`{function.name}` imports locally: import at the top of the module"


def broad_except(module: Module) -> Found:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and suppresses_all(node):
            yield node.lineno, "suppresses every exception: name the ones that are meant"
        elif isinstance(node, ast.ExceptHandler) and is_broad(node.type):
            if not module.path.startswith("edge/"):
                yield node.lineno, "catches every exception outside edge/: name the ones that are meant"
            elif not any(isinstance(inner, ast.Raise) for inner in ast.walk(node)):
                yield node.lineno, "catches every exception and does not raise it again as ours"


def positional(module: Module) -> Found:
    """Only what others call: inside its own file a private helper is read together with its calls.

    What an ASGI application takes, others chose.
    """
    for function in public_functions(module.tree.body):
        given = [arg.arg for arg in function.args.posonlyargs + function.args.args if arg.arg not in {"self", "cls"}]
        if len(given) > POSITIONAL_MAX and given != ["scope", "receive", "send"]:
            named = f"`{function.name}`: `{given[POSITIONAL_MAX]}` can be passed by position"
            yield function.lineno, f"{named}: keyword-only past parameter {POSITIONAL_MAX}"


def function_length(function: Function) -> Iterator[str]:
    if (lines := lines_of(function)) > FUNCTION_LINES_MAX:
        yield f"{lines} lines, at most {FUNCTION_LINES_MAX}"


def complexity(function: Function) -> Iterator[str]:
    if (paths := 1 + sum(map(branches, own_nodes(function)))) > COMPLEXITY_MAX:
        yield f"complexity {paths}, at most {COMPLEXITY_MAX}"


def parameters(function: Function) -> Iterator[str]:
    """`self` and `cls` do not count."""
    given = function.args
    named = [arg.arg for arg in given.posonlyargs + given.args + given.kwonlyargs if arg.arg not in {"self", "cls"}]
    count = len(named) + bool(given.vararg) + bool(given.kwarg)
    if count > PARAMETERS_MAX:
        yield f"{count} parameters, at most {PARAMETERS_MAX}"


OF_MODULES: dict[str, Callable[[Module], Found]] = {
    "docstring": docstring,
    "length": length,
    "fan-out": fan_out,
    "names": names,
    "local-import": local_import,
    "broad-except": broad_except,
    "positional": positional,
}
OF_FUNCTIONS: dict[str, Callable[[Function], Iterator[str]]] = {
    "function": function_length,
    "complexity": complexity,
    "parameters": parameters,
}


def public_functions(body: Iterable[ast.stmt]) -> Iterator[Function]:
    """Functions, and methods of classes, that do not begin with an underscore; constructors count."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body)
        elif isinstance(node, Function) and (node.name == "__init__" or not node.name.startswith("_")):
            yield node


def imported(node: ast.AST) -> Iterator[str]:
    """The modules of remit an import statement names."""
    match node:
        case ast.Import():
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "remit")
        case ast.ImportFrom(module="remit"):
            yield from (f"remit.{alias.name}" for alias in node.names)
        case ast.ImportFrom(module=str(module)) if module.startswith("remit."):
            yield module


def public_names(tree: ast.Module) -> set[str]:
    """What `__all__` lists, else what the module defines without a leading underscore."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, Function | ast.ClassDef):
            found.add(node.name)
        for target in assigned(node):
            if target == "__all__" and isinstance(value := getattr(node, "value", None), ast.List | ast.Tuple):
                return {str(ast.literal_eval(element)) for element in value.elts}
            found.add(target)
    return {name for name in found if not name.startswith("_")}


def assigned(node: ast.stmt) -> Iterator[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    for target in targets:
        yield from (name.id for name in ast.walk(target) if isinstance(name, ast.Name))


def is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(map(is_broad, caught.elts))
    return caught is None or (isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"})


def suppresses_all(call: ast.Call) -> bool:
    return ast.unparse(call.func).endswith("suppress") and any(map(is_broad, call.args))


def branches(node: ast.AST) -> int:
    match node:
        case ast.If() | ast.For() | ast.AsyncFor() | ast.While() | ast.ExceptHandler() | ast.comprehension():
            return 1
        case ast.match_case(pattern=pattern, guard=guard):
            catches_all = isinstance(pattern, ast.MatchAs) and pattern.pattern is None and guard is None
            return 0 if catches_all else 1
    return 0


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """What is in a function, without what is in functions inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))


def lines_of(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def broken_in(module: Module) -> Iterator[Violation]:
    """Everything in one module that breaks a rule, waived or not."""
    for rule, of_module in OF_MODULES.items():
        for line, message in of_module(module):
            yield Violation(module.path, line, rule, message, (rule, module.path))
    for function in module.functions():
        for rule, of_function in OF_FUNCTIONS.items():
            for message in of_function(function):
                waiver = (rule, f"{module.path}:{function.name}")
                yield Violation(module.path, function.lineno, rule, f"`{function.name}`: {message}", waiver)


def usual_length(modules: Iterable[Module]) -> Iterator[Violation]:
    functions = [(module.path, function) for module in modules for function in module.functions()]
    long = [(path, function) for path, function in functions if lines_of(function) > FUNCTION_LINES_USUAL]
    if len(long) * LONGER_THAN_USUAL_ONE_IN > len(functions):
        rest = f"one of {len(long)} functions above {FUNCTION_LINES_USUAL} lines; 1 in {LONGER_THAN_USUAL_ONE_IN} may"
        for path, function in long:
            yield Violation(
                path, function.lineno, "usual-length", f"`{function.name}` is {rest}", ("usual-length", path)
            )


def judge(modules: list[Module], waived: dict[tuple[str, str], str]) -> list[Violation]:
    """The violations that stand, then the waivers nobody needs; empty when the house is in order."""
    found = [*(violation for module in modules for violation in broken_in(module)), *usual_length(modules)]
    used = {violation.waiver for violation in found}
    paths = {module.path for module in modules}
    stale = [
        Violation(where, 1, rule, "is waived and need not be: delete the row of WAIVED", (rule, where))
        for rule, where in waived
        if (rule, where) not in used and where.partition(":")[0] in paths
    ]
    return [violation for violation in found if violation.waiver not in waived] + stale


def read(package: Path) -> list[Module]:
    return [
        Module(path.relative_to(package).as_posix(), text.count("\n"), ast.parse(text, path))
        for path in sorted(package.rglob("*.py"))
        for text in [path.read_text()]
    ]


def figures(modules: list[Module], tests: list[Module]) -> str:
    code, proof = (sum(module.lines for module in some) for some in (modules, tests))
    functions = [lines_of(function) for module in modules for function in module.functions()]
    files = [module.lines for module in modules if module.lines > 1]
    return (
        f"{len(files)} files, median {median(files or [0]):.0f} lines; {len(functions)} functions, "
        f"median {median(functions or [0]):.0f} lines; tests to code {proof / max(code, 1):.1f}"
    )


def main() -> int:
    root = Path(__file__).resolve().parent.parent
    package = Path(sys.argv[1]) if len(sys.argv) > 1 else root / "src" / "remit"
    modules = read(package)
    violations = judge(modules, WAIVED)
    for violation in violations:
        print(violation)
    print(f"house: {len(violations)} violations; {figures(modules, read(root / 'tests'))}")
    return 1 if violations or not modules else 0


if __name__ == "__main__":
    sys.exit(main())
