"""How long a stream that a server let go of is left alone: as it asks, within bounds."""

import asyncio

import pytest

from remit.edge.upstream.http1_response import Response
from remit.edge.upstream.stream import Stream, pause_ms
from remit.errors import UpstreamFault


@pytest.mark.parametrize(
    "asked, pause", [(None, 1000), (0, 100), (99, 100), (100, 100), (5000, 5000), (30_000, 30_000), (9**9, 30_000)]
)
def test_a_server_says_how_long_within_bounds(asked: int | None, pause: int) -> None:
    assert pause_ms(asked) == pause


async def test_a_server_that_asks_for_no_pause_is_given_one(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    class Line:
        def drained(self) -> None:
            pass

        def abort(self) -> None:
            pass

    def ended() -> Response:
        """A stream that ends at once, with an id to go on from."""
        response = Response(Line())
        response.take(b"id: 1\nretry: 0\ndata:\n\n")
        response.end(None)
        return response

    async def reopened(last_id: str) -> Response:
        if len(slept) == 5:
            raise UpstreamFault("enough", sent=True)
        return ended()

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(UpstreamFault, match="enough"):
        await Stream(ended(), reopened).next()
    assert slept == [0.1] * 5
