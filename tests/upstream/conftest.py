"""Gateways that leave no process behind."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.upstream.simulated import Gateway, kill


@pytest.fixture
async def gateways(tmp_path: Path) -> AsyncIterator[Callable[..., Gateway]]:
    """Makes gateways; after the test each is closed, and none of the processes it caused may be left."""
    made: list[Gateway] = []

    def make(**options: Any) -> Gateway:
        made.append(Gateway(tmp_path / f"logs{len(made)}", **options))
        return made[-1]

    yield make
    for gateway in made:
        await gateway.sessions.close()
    left = [pid for gateway in made for pid in gateway.left_over()]
    for pid in left:
        kill(pid)
    assert left == []


@pytest.fixture
def gateway(gateways: Callable[..., Gateway]) -> Gateway:
    return gateways()
