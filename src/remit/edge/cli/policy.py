"""`remit policy`: what the rules are, what a change would mean, and why one call was decided as it was."""

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from remit.edge.cli.door import Door
from remit.edge.cli.files import read_text
from remit.edge.cli.home import existing
from remit.edge.cli.output import Screen, visible
from remit.edge.cli.parser import Parser
from remit.errors import CallerFault


def declare(parser: Parser) -> None:
    """Add the command's own commands."""
    parser.command("check", "validate policy files and show what applying them would change", fill=_declare_check)
    parser.command("apply", "put policy files in force, all of them or none", fill=_declare_apply)
    parser.command("show", "show the policies in force", fill=_declare_show)
    parser.command("explain", "show why one call was decided as it was, and decide it again", fill=_declare_explain)


def _declare_check(parser: Parser) -> None:
    parser.leaf(
        _check,
        "Validate policy files against the catalogue and the pinned contracts, and show how they differ from the set "
        "in force. Nothing changes.",
        examples=("remit policy check", "remit policy check ../review/policy"),
    )
    _directory(parser)


def _declare_apply(parser: Parser) -> None:
    parser.leaf(
        _apply,
        "Validate policy files and put them in force at once, under your name. The difference is in the receipt.",
        examples=("remit policy apply",),
    )
    _directory(parser)


def _declare_show(parser: Parser) -> None:
    parser.leaf(_show, "Show the text of the policy set in force and its digest.", examples=("remit policy show",))


def _declare_explain(parser: Parser) -> None:
    parser.leaf(
        _explain,
        "Show which policies and facts decided a call, and derive the decision again from the record alone: from this "
        "home's store, or from an exported bundle on a machine that has no gateway. Of a call that was refused before "
        "policy was asked it says just that.",
        examples=("remit policy explain 17", "remit policy explain 17 --bundle ./incident"),
    )
    parser.add_argument("receipt", type=int, metavar="RECEIPT", help="the receipt's number: a denial or an intent")
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="read this exported bundle instead of the store")


def _directory(parser: Parser) -> None:
    parser.add_argument(
        "directory", nargs="?", type=Path, metavar="DIR", help="where the *.cedar files are; else policy/"
    )


def _check(options: Namespace, screen: Screen) -> None:
    answer = Door(existing(options.home)).post("/v1/policy/check", _files(options))
    screen.answer(
        answer, (*_changes(answer, screen), *_warnings(answer, screen), "the set is valid; nothing was changed")
    )


def _apply(options: Namespace, screen: Screen) -> None:
    answer = Door(existing(options.home)).post("/v1/policy/apply", _files(options))
    told = f"in force: {answer['digest']}, receipt {answer['receipt']}"
    screen.answer(answer, (*_changes(answer, screen), *_warnings(answer, screen), told))


def _show(options: Namespace, screen: Screen) -> None:
    answer = Door(existing(options.home)).get("/v1/policy")
    text = [visible(line, most=None) for line in answer["text"].splitlines()]
    screen.answer(answer, (f"// {answer['digest'] or 'no policy is in force: every call is denied'}", *text))


def _files(options: Namespace) -> dict[str, Any]:
    directory = options.directory or existing(options.home).policy
    files = {file.name: read_text(file) for file in sorted(directory.glob("*.cedar"))}
    if not files:
        raise CallerFault(f"there are no *.cedar files in `{directory}`", "name the directory that holds them")
    return {"files": files}


def _changes(answer: dict[str, Any], screen: Screen) -> Iterator[str]:
    for what, sign, style in (("added", "+", "good"), ("removed", "-", "bad"), ("changed", "~", "wait")):
        for name in answer[what]:
            yield screen.paint(f"{sign} {visible(name)}", style)


def _warnings(answer: dict[str, Any], screen: Screen) -> Iterator[str]:
    for warning in answer["warnings"]:
        yield screen.paint(f"warning: {visible(warning)}", "wait")


def _explain(options: Namespace, screen: Screen) -> None:
    from remit.edge.cli.explanation import explain

    explain(options, screen)
