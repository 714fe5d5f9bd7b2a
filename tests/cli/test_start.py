"""Starting is quick because almost nothing is imported: a command pays for what it uses."""

import json
import subprocess
import sys

import pytest

HEAVY = {"aiohttp", "asyncio", "cedarpy", "cryptography", "joserfc", "jsonschema_rs", "mcp", "msgspec", "pydantic"}
HEAVY |= {"rfc8785", "sqlite3", "starlette", "uvicorn", "yaml"}
READS = HEAVY - {"msgspec", "sqlite3"}
LOOK = """
import contextlib, io, json, sys
from remit.edge.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    code = main(json.loads(sys.argv[1]))
print(json.dumps([code, sorted(sys.modules)]))
"""


def imported_by(*arguments: object) -> tuple[int, set[str]]:
    run = [sys.executable, "-c", LOOK, json.dumps([*map(str, arguments)])]
    ran = subprocess.run(run, capture_output=True, text=True, check=True, timeout=60)
    code, modules = json.loads(ran.stdout)
    return code, set(modules)


@pytest.mark.holds("CLI-START")
def test_help_imports_no_command_and_nothing_heavy():
    code, modules = imported_by("--help")
    assert code == 0
    assert not modules & HEAVY
    assert not {name for name in modules if name.startswith("remit.edge.cli.")} - {
        "remit.edge.cli.output",
        "remit.edge.cli.parser",
    }


@pytest.mark.holds("CLI-START")
@pytest.mark.parametrize(
    "command", ["init", "up", "demo", "doctor", "agent", "tool", "service", "task", "policy", "ledger", "connect"]
)
def test_help_of_a_command_imports_nothing_heavy(command):
    code, modules = imported_by(command, "--help")
    assert code == 0
    assert not modules & HEAVY


@pytest.mark.holds("CLI-START")
def test_a_question_to_a_running_gateway_imports_nothing_heavy(home, door):
    door.answers["GET", "/v1/tasks"] = {"tasks": []}
    code, modules = imported_by("--home", home, "task", "list")
    assert code == 0
    assert not modules & HEAVY


@pytest.mark.holds("CLI-START")
def test_reading_the_record_imports_what_reads_it_and_nothing_more(made):
    code, modules = imported_by("--home", made, "ledger", "show")
    assert code == 0
    assert not modules & READS
