"""`remit up` with a fuse: `gateway_fused.py POINT NTH HOME` kills itself when the store passes POINT for the NTH time.

The points are those of `remit/edge/store/driver.py`, inside and around the transaction that makes calls durable.
"""

import os
import signal
import sys
from functools import partial

from remit import app
from remit.edge.cli import main
from remit.edge.store.driver import POINTS
from remit.edge.store.sqlite import open_sqlite


class Fuse:
    def __init__(self, point: str, nth: int) -> None:
        assert point in POINTS
        self._point, self._left = point, nth

    def __call__(self, point: str) -> None:
        self._left -= point == self._point
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    point, nth, home = sys.argv[1:]
    app.open_sqlite = partial(open_sqlite, fault=Fuse(point, int(nth)))
    sys.exit(main(["up", "--home", home]))
