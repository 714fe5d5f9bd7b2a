"""`remit up` on a clock a test can move: `shifted.py FILE HOME`. FILE holds by how many milliseconds it is off, now."""

import sys
import time
from pathlib import Path

_true_ns = time.time_ns


def shift(file: Path) -> None:
    """From now on `time.time_ns` tells the time by the file."""
    time.time_ns = lambda: _true_ns() + int(file.read_text() or 0) * 1_000_000


if __name__ == "__main__":
    file, home = sys.argv[1:]
    shift(Path(file))
    from remit.edge.cli import main

    sys.exit(main(["up", "--home", home]))
