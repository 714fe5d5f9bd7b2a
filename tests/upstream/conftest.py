"""Gateways that leave no process behind, under either event loop where the loop matters."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.upstream.simulated import Gateway, kill

_BOTH_LOOPS = {"test_stdio.py", "test_http1.py", "test_http1_flow.py", "test_http1_tls.py"}


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], Any]]:
    """Processes, pipes and connections are the loop's own business, and the gateway's loop is uvloop."""
    loops = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return loops if item.path.name in _BOTH_LOOPS else {"asyncio": loops["asyncio"]}


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
