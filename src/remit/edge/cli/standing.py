"""Revoking something and letting it act again: the same for agents, their keys, tool servers and services; and what
stands for days, told with its age.
"""

from argparse import Namespace
from typing import Any

from remit.edge.cli.door import Door
from remit.edge.cli.home import existing
from remit.edge.cli.output import Screen, distance, now_ms, visible
from remit.edge.cli.parser import Parser


def add_reason(parser: Parser, *, required: bool) -> None:
    """`--reason`: whoever revokes has to give one."""
    parser.add_argument("--reason", required=required, default="", metavar="TEXT", help="why; kept in the receipt")


def revoke(options: Namespace, screen: Screen, *, what: str, name: str) -> None:
    """Stop it. `what` is `agent`, `key`, `token`, `connector` or `service`; when this returns, it is in force."""
    _change(options, screen, path="/v1/revocations", about={"what": what, "name": name}, told="is revoked")


def restore(options: Namespace, screen: Screen, *, what: str, name: str) -> None:
    """Let it act again."""
    _change(options, screen, path="/v1/restorations", about={"what": what, "name": name}, told="is restored")


def told(token: dict[str, Any]) -> str:
    """A standing token in a sentence: whose privilege, where, how old, until when, by whom and why."""
    now = now_ms()
    return (
        f"standing privilege: token {visible(token['jti'])} of {visible(token['agent'])} for {visible(token['url'])}, "
        f"issued {distance(token['issued'], now)} by {visible(token['actor'])}, "
        f"expires {distance(token['expires'], now)}: {visible(token['reason'])}"
    )


def _change(options: Namespace, screen: Screen, *, path: str, about: dict[str, str], told: str) -> None:
    answer = Door(existing(options.home)).post(path, {**about, "reason": options.reason})
    shown = f"{about['what']} {visible(about['name'])} {told}"
    screen.answer(answer, (f"{shown}, epoch {answer['epoch']}, receipt {answer['receipt']}",))
