"""A worker that serves whatever arrives, as if each request were its own: `unrouted.py HOME LINE PASSAGE LISTENING`.

`unrouted.py up …` is `remit up` with such workers.
"""

import sys

from remit import app
from remit.edge.cli import main, worker


class Everyone(dict[str, int]):
    """Every subject is this worker's."""

    def __init__(self, own: int) -> None:
        self._own = own

    def get(self, key: str, default: object = None) -> int:  # type: ignore[override]
        return self._own


if __name__ == "__main__":
    if sys.argv[1] == "up":
        app.WORKER = (sys.executable, __file__)
        sys.exit(main(sys.argv[1:]))
    router, owned = app.Router, app.Owned
    app.Router = lambda owner, *, own, send: router(Everyone(own), own=own, send=send)
    app.Owned = lambda anyone, owner, *, own: owned(anyone, Everyone(own), own=own)
    sys.exit(worker.main(sys.argv[1:]))
