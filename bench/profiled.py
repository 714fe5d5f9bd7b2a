"""The gateway under cProfile. `HOME FILE`: serves as `remit up` does, writes the statistics of its event loop to FILE
when it is told to stop. cProfile sees one thread: what the store's writer thread costs is not in it.
"""

import asyncio
import cProfile
import sys
from pathlib import Path

from remit.app import run


def main(home: Path, file: Path) -> None:
    profile = cProfile.Profile()
    try:
        profile.runcall(asyncio.run, run(home, ready=lambda _: None))
    finally:
        profile.dump_stats(file)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
