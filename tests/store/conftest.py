"""Every test that asks for `world` runs against every driver."""

from pathlib import Path

import pytest

from tests.store.world import World


@pytest.fixture(params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(request.param, tmp_path)
