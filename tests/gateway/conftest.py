"""One gateway and one tool server for all tests of a file that leave them as they were; or one of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.running import House, Upstream, a_house


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Upstream]]:
    """A gateway shared by the tests of a file."""
    with a_house(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[House, Upstream]]:
    """A gateway for one test, which may do with it what it likes."""
    with a_house(tmp_path) as made:
        yield made
