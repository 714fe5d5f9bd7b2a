"""One run of the demo, from an empty temporary directory to none."""

import asyncio
import shutil
import signal
import tempfile
import time
from pathlib import Path

from remit.edge.cli.demo.stage import Stage
from remit.edge.cli.demo.story import Story
from remit.edge.cli.output import Screen


def play(screen: Screen, *, keep: bool) -> None:
    """Play the story, then end every process and remove every file of it. Raises `Unexpected` where it went wrong."""
    root = Path(tempfile.mkdtemp(prefix="remit-demo-"))
    try:
        started = time.monotonic()
        calls = _run(root, screen)
        seconds = round(time.monotonic() - started, 1)
        told = screen.paint(f"every step went as told: {calls} calls, {seconds} s", "good")
        screen.answer({"calls": calls, "seconds": seconds, "home": str(root / "home")}, ("", told))
    finally:
        if keep:
            screen.note(f"kept; look at it with: remit --home {root / 'home'} ledger show")
        else:
            shutil.rmtree(root, ignore_errors=True)


def _run(root: Path, screen: Screen) -> int:
    try:
        return asyncio.run(_played(root, screen))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _played(root: Path, screen: Screen) -> int:
    stage = Stage(root, screen)
    story = Story(stage, screen)
    running = asyncio.current_task()
    if running is not None:
        # As ctrl-C does: nothing is left behind however it is asked to end.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    try:
        await story.play()
    finally:
        await stage.down()
    return story.calls
