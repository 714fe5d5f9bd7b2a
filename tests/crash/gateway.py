"""The victim: a small gateway over a real store, that is killed again and again.

Run as a program it reads jobs from stdin, one JSON object a line, and forks a child for each: the child opens the
store, records what an earlier crash left open, and then calls without end, several calls at once. A job says where it
dies: at the `count`-th time the group commit passes `point`, or after `after_s` seconds wherever that is. How the child
ended is answered on stdout.
"""

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from remit.canonical import digest
from remit.commit.model import Reserve, Write
from remit.edge.store import sqlite
from remit.edge.store.sequencer import Sequencer
from remit.ledger.receipt import Asked, Draft, Intent, Outcome
from tests.ledger.story import signer

AT_ONCE = 8
# No victim lives this long; one that does has hung, and dies of another signal.
LIFE_S = 30


class Upstream:
    """The tool server. It trusts nobody's memory: what reaches it is in its own file, fsynced, before it answers."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, what: str, call_digest: str) -> None:
        os.write(self._file, f"{what} {call_digest}\n".encode())
        os.fsync(self._file)


async def live(job: dict) -> None:
    sqlite.SWEEP_BYTES = 256 * 1024  # so that copying the log back is killed too
    store = await sqlite.open_sqlite(
        Path(job["path"]),
        signer=signer(),
        now=lambda: int(time.time() * 1000),
        salts=lambda: os.urandom(16),
        fault=dying_at(job["point"], job["count"]),
    )
    for seq, intent, task in store.open_intents():
        body = Outcome(call=intent.asked.call, intent=seq, outcome="unknown")
        await store.write(Write(drafts=(Draft(body=body, task=task),)))
    upstream = Upstream(Path(job["upstream"]))
    await asyncio.gather(*(agent(store, upstream, f"t{n}") for n in range(AT_ONCE)))


async def agent(store: Sequencer, upstream: Upstream, task: str) -> None:
    """Call for ever: intent, send, outcome; every other outcome is only enqueued, as for reads."""
    for n in count():
        arguments = os.urandom(random.choice([20, 2000, 20_000]))
        asked = Asked(call=os.urandom(8).hex(), door="test", name=digest(arguments))
        intent = Draft(body=Intent(asked=asked, epoch=0), task=task, values={"arguments": arguments})
        reserve = Reserve(counter=f"task/{task}/calls")
        written = await store.write(Write(drafts=(intent,), reserves=(reserve,), expect_epoch=0))
        upstream.note("got", asked.name)
        outcome = Outcome(call=asked.call, intent=written.seqs[0], outcome="completed")
        ended = Write(drafts=(Draft(body=outcome, task=task, values={"result": arguments[:50]}),))
        if n % 2:
            await store.enqueue(ended)
        else:
            await store.write(ended)
            upstream.note("answered", asked.name)


def dying_at(point: str, left: int) -> Callable[[str], None]:
    def fault(passed: str) -> None:
        nonlocal left
        left -= passed == point
        if passed == point and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return fault


def victim(job: dict) -> int:
    """Fork one, see it die; the signal that ended it."""
    child = os.fork()
    if child == 0:
        signal.alarm(LIFE_S)
        try:
            asyncio.run(live(job))
        finally:
            os._exit(1)
    if job["after_s"]:
        time.sleep(job["after_s"])
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


if __name__ == "__main__":
    for line in sys.stdin:
        print(victim(json.loads(line)), flush=True)
