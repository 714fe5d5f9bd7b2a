"""The last calls by digest, since the gateway started: what marks a repeat as `retry_of`."""

from collections import OrderedDict
from typing import Final

_KEPT: Final = 4096


class Recent:
    """Implements `World.recent`. A call that starts again before it is committed is not its own repeat."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, str] = OrderedDict()

    def __call__(self, digest: str, call: str) -> str:
        before = self._calls.pop(digest, "")
        self._calls[digest] = call
        if len(self._calls) > _KEPT:
            self._calls.popitem(last=False)
        return "" if before == call else before
