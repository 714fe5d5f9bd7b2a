"""`remit connect`: an agent's stdio server, which speaks to the gateway in its place.

The agent's key stays in its profile and in this process. The client's configuration names the agent, nothing else.
"""

from argparse import Namespace
from pathlib import Path

from remit.edge.cli.home import profile_of
from remit.edge.cli.output import Screen
from remit.edge.cli.parser import Parser


def declare(parser: Parser) -> None:
    """Add what the command takes."""
    parser.leaf(
        _run,
        "Be the stdio MCP server of a desktop client, and pass what it asks on to the gateway in the agent's name. "
        "For each request a token of minutes is signed with the key of the agent's profile; no secret stands in the "
        "client's configuration, in arguments, in the environment or in any output.",
        examples=(
            "remit connect --agent scout",
            "remit connect --agent scout --task TASK --connector git",
            "remit connect --agent scout --profile ~/.config/remit/scout.json",
        ),
    )
    parser.add_argument("--agent", required=True, metavar="NAME", help="the agent to be")
    parser.add_argument("--task", metavar="ID", help="the task to work under; else the agent's default one")
    parser.add_argument("--connector", metavar="NAME", help="only this tool server; else all within reach")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="the agent's profile; else agents/NAME.json")


def _run(options: Namespace, screen: Screen) -> None:
    from remit.edge.cli.bridging import bridge

    bridge(options.profile or profile_of(options.home, options.agent), options)
