"""Watching whether a client leaves holds nothing once the call is over."""

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from remit.edge.mcp.exchange import Cancelled, Leaving


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Only what nobody refers to goes; cycles stay."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def _stays() -> Any:
    await asyncio.Event().wait()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.holds("LIMIT-STEADY")
async def test_a_call_that_took_its_time_leaves_nothing_to_the_garbage_collector() -> None:
    cancelled = Cancelled()
    leaving = Leaving(_stays, cancelled)
    with leaving:
        await asyncio.sleep(0.05)  # past the time from which on it is watched
    held = weakref.ref(leaving)
    del leaving
    await asyncio.sleep(0)
    assert held() is None
