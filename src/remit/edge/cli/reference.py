"""The reference of all commands, written from the same declarations `--help` reads.

`make docs` rewrites what follows the marker in docs/reference/cli.md; a test holds that file and the commands to each
other.
"""

import argparse
from collections.abc import Iterator
from typing import Final

from remit.edge.cli.parser import Parser, root

MARKER: Final = "<!-- From here on written by `make docs`. -->\n"


def rewritten(page: str) -> str:
    """The page with everything after the marker written anew."""
    return f"{page.partition(MARKER)[0]}{MARKER}\n{reference()}"


def reference() -> str:
    """Every command in Markdown: what it does, what it takes, how it is used."""
    return "\n".join(line for prog, parser in commands(root()) for line in _section(prog, parser))


def commands(parser: Parser) -> Iterator[tuple[str, Parser]]:
    """Every command that does something, in order, with what is typed to reach it."""
    parser.declare()
    for made in parser.commands.values():
        made.declare()
        if made.commands:
            yield from commands(made)
        else:
            yield made.prog, made


def _section(prog: str, parser: Parser) -> Iterator[str]:
    yield f"## `{prog}`\n"
    yield f"{' '.join((parser.description or '').split())}\n"
    rows = [_row(action) for action in parser.arguments() if _own(action)]
    if rows:
        yield "| argument | meaning |\n|---|---|"
        yield from rows
        yield ""
    yield "```sh"
    yield from parser.examples
    yield "```\n"


def _own(action: argparse.Action) -> bool:
    return action.dest not in {"help", "home", "json"}


def _row(action: argparse.Action) -> str:
    names = " or ".join(action.option_strings) or str(action.metavar or action.dest)
    value = action.metavar or (f"{{{','.join(map(str, action.choices))}}}" if action.choices else "")
    shown = f"{names} {value}" if action.option_strings and action.nargs != 0 and value else names
    optional = "" if action.required else " (optional)"
    meaning = (action.help or "").replace("|", "\\|")
    return f"| `{shown}`{optional} | {meaning} |"
