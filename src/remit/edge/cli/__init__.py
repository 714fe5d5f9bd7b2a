"""The command line: one file per command, imported when it is used and not before.

`main` parses, runs one command and turns whatever went wrong into one line, one line of advice and an exit code
(`errors.py`; docs/reference/cli.md has the table). Nothing here decides anything: commands speak to the people's door
or read files. Only `REMIT_TRACEBACK=1` shows a traceback.
"""

import contextlib
import os
import sys
from collections.abc import Sequence

from remit.edge.cli.output import Screen
from remit.edge.cli.parser import root
from remit.errors import RemitError

INTERRUPTED = 130
_PIPE_CLOSED = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. `arguments` are those of the process unless given."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    screen = Screen(json="--json" in given)
    try:
        options = root().parse_args(given)
        code = options.run(options, screen)
        if not sys.stdout.closed:  # `connect` closes it as the last thing it says
            sys.stdout.flush()
        return int(code or 0)
    except SystemExit as e:  # argparse has shown help or the version
        return int(e.code or 0)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return _PIPE_CLOSED
    except RemitError as e:
        return _failed(screen, e)
    except Exception as e:
        if os.environ.get("REMIT_TRACEBACK") == "1":
            raise
        unexpected = RemitError(f"unexpected: {type(e).__name__}: {e}", "REMIT_TRACEBACK=1 shows where")
        return _failed(screen, unexpected)


def _failed(screen: Screen, fault: RemitError) -> int:
    with contextlib.suppress(BrokenPipeError):
        screen.fault(fault)
    return fault.exit_code


def _forget_stdout() -> None:
    """The reader is gone: keep the interpreter from complaining about it when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
