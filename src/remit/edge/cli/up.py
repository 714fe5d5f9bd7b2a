"""`remit up`: serve both doors of a home until told to stop."""

from argparse import ArgumentTypeError, Namespace
from typing import Final

from remit.edge.cli.home import existing
from remit.edge.cli.output import Screen
from remit.edge.cli.parser import Parser

_WORKERS_MAX: Final = 64


def declare(parser: Parser) -> None:
    """Add what the command takes."""
    parser.leaf(
        _run,
        "Start the gateway: the agents' door over HTTP, the people's door on a unix socket. It looks at every tool "
        "server and says what is quarantined. SIGTERM or ctrl-C ends it in order: calls that run may end, sessions and "
        "stdio tool servers are closed, the stop is on record. With --develop it applies policy files as they change, "
        "under the name of the person who runs it: whoever can write to policy/ decides what passes, so it is for "
        "development only. With --workers N as many processes serve agents, and this one keeps the record and the "
        "people's door; an agent's calls all go to one of them.",
        examples=("remit up", "remit up --home /srv/remit", "remit up --workers 4", "remit up --develop"),
    )
    parser.add_argument(
        "--develop",
        action="store_true",
        help="put policy files in force as they change, in your name; for development only",
    )
    parser.add_argument(
        "--workers",
        type=_number,
        default=1,
        metavar="N",
        help=f"how many processes serve agents, 1 to {_WORKERS_MAX}; 1, the default, is this one alone",
    )


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _WORKERS_MAX:
        raise ArgumentTypeError(f"`{text}` is no number from 1 to {_WORKERS_MAX}")
    return int(text)


def _run(options: Namespace, screen: Screen) -> None:
    from remit.edge.cli.serving import serve

    serve(existing(options.home), screen, develop=options.develop, workers=options.workers)
