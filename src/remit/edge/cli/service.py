"""`remit service`: the orchestrators that open tasks for others, and whether they may."""

from argparse import Namespace

from remit.edge.cli.output import Screen
from remit.edge.cli.parser import Parser
from remit.edge.cli.standing import add_reason, restore, revoke


def declare(parser: Parser) -> None:
    """Add the command's own commands."""
    parser.command("revoke", "refuse everything a service asks, from now on", fill=_declare_revoke)
    parser.command("restore", "let a revoked service ask again", fill=_declare_restore)


def _declare_revoke(parser: Parser) -> None:
    parser.leaf(
        _revoke,
        "Revoke a service: its tokens are refused at the people's door. The tasks it opened stay as they are; "
        "`remit task revoke` ends them.",
        examples=('remit service revoke pipeline --reason "its token leaked"',),
    )
    _named(parser)
    add_reason(parser, required=True)


def _declare_restore(parser: Parser) -> None:
    parser.leaf(
        _restore,
        "Let a revoked service ask again.",
        examples=('remit service restore pipeline --reason "it has a new token"',),
    )
    _named(parser)
    add_reason(parser, required=False)


def _named(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="the service's name in the catalogue")


def _revoke(options: Namespace, screen: Screen) -> None:
    revoke(options, screen, what="service", name=options.name)


def _restore(options: Namespace, screen: Screen) -> None:
    restore(options, screen, what="service", name=options.name)
