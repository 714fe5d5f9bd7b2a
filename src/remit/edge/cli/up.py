"""`remit up`: serve both doors of a home until told to stop."""

from argparse import Namespace

from remit.edge.cli.home import existing
from remit.edge.cli.output import Screen
from remit.edge.cli.parser import Parser


def declare(parser: Parser) -> None:
    """Add what the command takes."""
    parser.leaf(
        _run,
        "Start the gateway: the agents' door over HTTP, the people's door on a unix socket. It looks at every tool "
        "server and says what is quarantined. SIGTERM or ctrl-C ends it in order: calls that run may end, sessions and "
        "stdio tool servers are closed, the stop is on record. With --develop it applies policy files as they change, "
        "under the name of the person who runs it: whoever can write to policy/ decides what passes, so it is for "
        "development only.",
        examples=("remit up", "remit up --home /srv/remit", "remit up --develop"),
    )
    parser.add_argument(
        "--develop",
        action="store_true",
        help="put policy files in force as they change, in your name; for development only",
    )


def _run(options: Namespace, screen: Screen) -> None:
    from remit.edge.cli.serving import serve

    serve(existing(options.home), screen, develop=options.develop)
