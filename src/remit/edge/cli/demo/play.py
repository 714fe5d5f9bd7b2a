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
    started = time.monotonic()
    asked: list[int] = []
    try:
        calls, home = asyncio.run(_played(screen, asked, keep=keep))
    except (Exception, asyncio.CancelledError):
        # What goes wrong while it is being interrupted goes wrong because of that.
        if asked:
            raise KeyboardInterrupt from None
        raise
    seconds = round(time.monotonic() - started, 1)
    told = screen.paint(f"every step went as told: {calls} calls, {seconds} s", "good")
    screen.answer({"calls": calls, "seconds": seconds, "home": str(home)}, ("", told))


async def _played(screen: Screen, asked: list[int], *, keep: bool) -> tuple[int, Path]:
    root = Path(tempfile.mkdtemp(prefix="remit-demo-"))
    stage = Stage(root, screen)
    story = Story(stage, screen)
    playing = asyncio.create_task(story.play())
    _end_once(playing, asked)
    try:
        await playing
    finally:
        await stage.down()
        if keep:
            screen.note(f"kept; look at it with: remit --home {stage.home.root} ledger show")
        else:
            await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)
    return story.calls, stage.home.root


def _end_once(playing: asyncio.Task[None], asked: list[int]) -> None:
    """However it is asked to end, and however often: the story stops once, and cleaning up after it is left alone.
    `asked` gets the signals.
    """
    loop = asyncio.get_running_loop()

    def end(number: int) -> None:
        if not asked:
            playing.cancel()
        asked.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end, number)
