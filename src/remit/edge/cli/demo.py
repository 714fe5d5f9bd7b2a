"""`remit demo`: the whole story with real tool servers, and a check of every step of it."""

import asyncio
import shutil
import tempfile
import time
from argparse import Namespace
from pathlib import Path

from remit.edge.cli.output import Screen
from remit.edge.cli.parser import Parser


def declare(parser: Parser) -> None:
    """Add what the command takes."""
    parser.leaf(
        _run,
        "Play the whole story in a temporary home: the gateway with mcp-server-git and mcp-server-time, an agent that\n"
        "works through the official MCP client, calls that pass and calls that do not, and an auditor. Each step says\n"
        "what it expects; the exit code is 0 only if every one went that way. Nothing is left behind.",
        ("remit demo", "remit demo --keep"),
    )
    parser.add_argument("--keep", action="store_true", help="leave the home, and say how to look at it")


def _run(options: Namespace, screen: Screen) -> None:
    from remit.edge.demo.setting import check_installed

    check_installed()
    root = Path(tempfile.mkdtemp(prefix="remit-demo-"))
    try:
        started = time.monotonic()
        calls = asyncio.run(_play(root, screen))
        seconds = round(time.monotonic() - started, 1)
        told = screen.paint(f"every step went as told: {calls} calls, {seconds} s", "good")
        screen.answer({"calls": calls, "seconds": seconds, "home": str(root / "home")}, ("", told))
    finally:
        if options.keep:
            screen.note(f"kept; look at it with: remit --home {root / 'home'} ledger show")
        else:
            shutil.rmtree(root, ignore_errors=True)


async def _play(root: Path, screen: Screen) -> int:
    from remit.edge.demo.stage import Stage
    from remit.edge.demo.story import Story

    stage = Stage(root, screen)
    story = Story(stage, screen)
    try:
        await story.play()
    finally:
        await stage.down()
    return story.calls
