"""What can be typed. The table names every command; a command's own file says the rest when it is the one typed.

`--help` of the whole therefore imports no command, and a command imports only its own needs. Wrong usage is a
`CallerFault` like any other, so it reads and exits like one.
"""

import argparse
import importlib
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from remit import __version__
from remit.edge.cli.output import Screen
from remit.errors import CallerFault
from remit.limits import LABEL_CHARS_MAX

_WIDTH: Final = 96
_LABEL: Final = re.compile(rf"[A-Za-z0-9._:@-]{{1,{LABEL_CHARS_MAX}}}")

Run = Callable[[argparse.Namespace, Screen], int | None]

# Command → the sentence `remit --help` shows. The file of the same name in this directory declares the rest.
COMMANDS: Final[Mapping[str, str]] = {
    "init": "make a new home: catalogue, keys, starter policy, empty ledger",
    "up": "start the gateway of this home",
    "demo": "tell the whole story with real tool servers, and check every step of it",
    "doctor": "check that this home is in order",
    "agent": "see, enrol, revoke and restore agents",
    "tool": "see what tool servers advertise, pin what was reviewed, revoke and restore tool servers",
    "service": "revoke and restore the services that open tasks",
    "task": "open tasks, see them, end them",
    "policy": "check, apply and show policies, and explain what one decided",
    "ledger": "read, export, verify and prove the record",
    "connect": "be an agent's stdio server, or configure a client that starts one",
}


class Parser(argparse.ArgumentParser):
    """A parser that is declared when it is first used, and that raises instead of exiting on wrong usage."""

    def __init__(self, *arguments: Any, fill: Callable[["Parser"], None] | None = None, **named: Any) -> None:
        named.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        named.setdefault("allow_abbrev", False)
        super().__init__(*arguments, **named)
        self.commands: dict[str, Parser] = {}
        self.examples: tuple[str, ...] = ()
        self._fill = fill
        self._subcommands: argparse._SubParsersAction[Parser] | None = None

    def declare(self) -> None:
        """Let the command's file add what it takes, once."""
        if self._fill is not None:
            fill, self._fill = self._fill, None
            fill(self)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self.declare()
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        raise CallerFault(message, f"`{self.prog} --help` shows what it takes")

    def arguments(self) -> Sequence[argparse.Action]:
        """Everything it takes, in the order it was declared."""
        return self._actions

    def leaf(self, run: Run, description: str, *, examples: Sequence[str]) -> None:
        """Make this parser a command: what it runs, what it does in a paragraph, how it is used."""
        self.set_defaults(run=run)
        self.description = textwrap.fill(description, _WIDTH)
        self.examples = tuple(examples)
        self.epilog = "examples:\n" + "\n".join(f"  {example}" for example in examples)
        add_globals(self, default=argparse.SUPPRESS)

    def command(self, name: str, summary: str, *, fill: Callable[["Parser"], None] | None = None) -> "Parser":
        """A command under this one."""
        if self._subcommands is None:
            # Naming `prog` spares argparse from making a formatter, which would import shutil and all it imports.
            self._subcommands = self.add_subparsers(
                title="commands", metavar="COMMAND", required=True, parser_class=Parser, prog=self.prog
            )
        made = self._subcommands.add_parser(name, help=summary, fill=fill, description=_sentence(summary))
        self.commands[name] = made
        return made


def label(text: str) -> str:
    """A client's label, as the agents' door takes it in `Remit-Client`; for `type=`."""
    if not _LABEL.fullmatch(text):
        raise argparse.ArgumentTypeError(f"`{text}` is no label: 1 to {LABEL_CHARS_MAX} of letters, digits, `._:@-`")
    return text


def root() -> Parser:
    """The whole command line, with no command imported yet."""
    made = Parser(
        prog="remit",
        description="Authorise every tool call an AI agent makes, one call at a time, and keep signed proof of it.",
        epilog="`remit COMMAND --help` says more and gives examples.",
    )
    made.add_argument("--version", action="version", version=f"remit {__version__}")
    add_globals(made, default=None)
    for name, summary in COMMANDS.items():
        made.command(name, summary, fill=_declared_in(name))
    return made


def add_globals(parser: argparse.ArgumentParser, *, default: Any) -> None:
    """`--home` and `--json` stand before or after the command."""
    wide = parser.add_argument_group("everywhere")
    wide.add_argument(
        "--home",
        type=Path,
        metavar="DIR",
        default=default,
        help="the home to use; else $REMIT_HOME, else the nearest directory upwards that holds remit.yaml",
    )
    wide.add_argument(
        "--json", action="store_true", default=default or False, help="one JSON value on standard output, no colour"
    )


def _declared_in(name: str) -> Callable[[Parser], None]:
    def fill(parser: Parser) -> None:
        importlib.import_module(f"remit.edge.cli.{name}").declare(parser)

    return fill


def _sentence(summary: str) -> str:
    return summary[0].upper() + summary[1:] + "."
