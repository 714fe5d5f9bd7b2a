"""The command line is quick because it imports nothing heavy before a command asks for it."""

import subprocess
import sys

import pytest

HEAVY = [
    "aiohttp",
    "asyncio",
    "cedarpy",
    "cryptography",
    "joserfc",
    "jsonschema_rs",
    "mcp",
    "pydantic",
    "rich",
    "ssl",
    "starlette",
    "uvicorn",
    "yaml",
]


@pytest.mark.parametrize("heavy", HEAVY)
def test_the_command_line_starts_without(heavy, imported):
    assert heavy not in imported


@pytest.fixture(scope="module")
def imported() -> set[str]:
    program = "import sys, remit.edge.cli; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(run.stdout.split())
