"""`remit connect`: an agent's stdio server, which speaks to the gateway in its place, and the client's entry for it.

The agent's key stays in its profile and in this process. The client's configuration names the agent, nothing else.
"""

from argparse import Namespace
from pathlib import Path
from typing import Final

from remit.edge.cli.home import profile_of
from remit.edge.cli.output import Screen
from remit.edge.cli.parser import Parser, label
from remit.errors import CallerFault

# Those of `clients.known`, here so that starting the bridge need not import them.
_CLIENTS: Final = ("claude-code", "codex", "cursor", "vscode")
# What only an entry has.
_OF_ENTRIES: Final = ("write", "undo", "http", "name", "project", "user")


def declare(parser: Parser) -> None:
    """Add what the command takes."""
    parser.leaf(
        _run,
        "Be the stdio MCP server of a desktop client, and pass what it asks on to the gateway in the agent's name. "
        "For each request a token of minutes is signed with the key of the agent's profile; no secret stands in the "
        "client's configuration, in arguments, in the environment or in any output. With a CLIENT named, show the "
        "entry its configuration needs for that; `--write` puts it there beside all others and keeps a copy of what "
        "was there, `--undo` takes it out again.",
        examples=(
            "remit connect --agent scout",
            "remit connect --agent scout --task TASK --connector git",
            "remit connect claude-code --agent scout --write",
            "remit connect vscode --agent scout --connector git --project ~/shop --write",
            "remit connect codex --undo",
        ),
    )
    parser.add_argument(
        "client",
        nargs="?",
        choices=_CLIENTS,
        metavar="CLIENT",
        help="`claude-code`, `codex`, `cursor` or `vscode`: configure it; none: be the bridge",
    )
    parser.add_argument("--agent", metavar="NAME", help="the agent to be; an entry may leave it to the profile")
    parser.add_argument("--task", metavar="ID", help="the task to work under; else the agent's default one")
    parser.add_argument("--connector", metavar="NAME", help="only this tool server; else all within reach")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="the agent's profile; else agents/NAME.json")
    parser.add_argument(
        "--client", dest="label", type=label, metavar="LABEL", help="what tells this client from others; else made up"
    )
    acts = parser.add_mutually_exclusive_group()
    acts.add_argument("--write", action="store_true", help="write the entry; else it is only shown")
    acts.add_argument("--undo", action="store_true", help="take the entry out again")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--user", action="store_true", help="in the person's own configuration; so it is if not said")
    where.add_argument("--project", type=Path, metavar="DIR", help="in the configuration of this project")
    parser.add_argument("--name", metavar="NAME", help="the entry's name; else `remit` or `remit-CONNECTOR`")
    parser.add_argument(
        "--http", action="store_true", help="an entry without the bridge: HTTP, with headers a command prints"
    )


def _run(options: Namespace, screen: Screen) -> None:
    if options.client is not None:
        from remit.edge.cli.configuring import configure

        configure(options, screen)
        return
    stray = next((name for name in _OF_ENTRIES if getattr(options, name)), None)
    if stray is not None:
        raise CallerFault(f"`--{stray}` is of a client's entry", f"name the client: {', '.join(_CLIENTS)}")
    if options.agent is None:
        raise CallerFault("no agent is named", "`--agent NAME` names the one to be")

    from remit.edge.cli.bridging import bridge

    bridge(options.profile or profile_of(options.home, options.agent), options)
