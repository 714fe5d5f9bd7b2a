"""`remit demo`: the whole story in one run: a gateway, real tool servers, an agent, an auditor who believes nothing.

Every step is a command a person could type or a call an agent could make, through the same doors; each says what it
expects, and the first that goes otherwise ends the run. `story.py` is the story, the other files are its stage.
"""

from argparse import Namespace

from remit.edge.cli.output import Screen
from remit.edge.cli.parser import Parser


def declare(parser: Parser) -> None:
    """Add what the command takes."""
    parser.leaf(
        _run,
        "Play the whole story in a temporary home: the gateway with mcp-server-git and mcp-server-time, an agent that "
        "works through the official MCP client, calls that pass and calls that do not, and an auditor. Each step says "
        "what it expects; the exit code is 0 only if every one went that way. Nothing is left behind.",
        examples=("remit demo", "remit demo --keep"),
    )
    parser.add_argument("--keep", action="store_true", help="leave the home, and say how to look at it")


def _run(options: Namespace, screen: Screen) -> None:
    from remit.edge.cli.demo.setting import check_installed

    check_installed()
    from remit.edge.cli.demo.play import play

    play(screen, keep=options.keep)
