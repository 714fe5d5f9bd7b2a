"""What a worker process runs: `python -m remit.edge.cli.worker HOME LINE PASSAGE LISTENING`, never typed by a person.

The last three are descriptors that `remit up --workers N` hands down; see `docs/adr/0009-workers.md`.
"""

import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from remit.app import work
from remit.edge.cli.serving import prepare
from remit.errors import RemitError


def main(arguments: Sequence[str]) -> int:
    """Serve until told to stop."""
    home, *numbers = arguments
    # ctrl-C reaches the whole process group; the main process says what is to be done about it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare()
    line, passage, listening = (_inherited(int(number)) for number in numbers)
    try:
        uvloop.run(work(Path(home), line, passage=passage, listening=listening))
    except RemitError as e:
        sys.stderr.write(f"worker {os.getpid()}: {e.message}\n")
        return e.exit_code
    return 0


def _inherited(number: int) -> socket.socket:
    """A descriptor handed down, which tool servers do not inherit in turn."""
    os.set_inheritable(number, False)
    return socket.socket(fileno=number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
