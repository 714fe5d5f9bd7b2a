"""docs/reference/cli.md and the commands say the same, both ways."""

import re
import shlex
from pathlib import Path

import pytest

from remit.edge.cli.parser import root
from remit.edge.cli.reference import MARKER, commands, rewritten

FILE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
COMMANDS = dict(commands(root()))


@pytest.mark.holds("CLI-REFERENCE")
def test_the_reference_is_what_the_commands_say():
    assert MARKER in FILE.read_text()
    assert FILE.read_text() == rewritten(FILE.read_text()), "run `make docs`"


@pytest.mark.holds("CLI-REFERENCE")
def test_every_command_has_a_section_and_every_section_a_command():
    assert re.findall(r"^## `(.+)`$", FILE.read_text(), re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    parser = COMMANDS[name]
    assert parser.description
    assert parser.examples
    for example in parser.examples:
        assert example.startswith(name)
    helped = parser.format_help()
    assert all(action.help for action in parser.arguments()), helped


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_can_be_typed(name):
    for example in COMMANDS[name].examples:
        typed = shlex.split(example.partition(" < ")[0].partition(" > ")[0])
        options = root().parse_args(typed[1:])
        assert callable(options.run)
