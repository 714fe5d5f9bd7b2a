"""A home with a simulated people's door, and `remit` called in this process."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from remit.edge.cli import main
from remit.edge.cli.home import Home
from remit.edge.cli.init import catalogue_text, make
from tests.cli.simulated import SimulatedDoor

AGENT = """\
agents:
  scout:
    owner: {owner}
    model: {{provider: x, name: y, version: "1"}}
    version: "1"
    environment: dev
purposes:
  triage: {{owner: {owner}, tools: ["git/*"], data_classes: [internal], environments: [dev]}}
services:
  pipeline: {{owner: {owner}, identity: {{issuer: ci, subject: pipeline}}, roles: [requester]}}
issuers:
  ci: {{kind: oidc, issuer: "https://ci.example", owner: {owner}, audiences: [remit], jwks_file: ci.json}}
connectors:
  git: {{owner: {owner}, environment: dev, command: [git], tools: {{git_log: {{tier: read, data: {{internal: []}}}}}}}}
"""


class Ran(NamedTuple):
    """What one command left: exit code, standard output and error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Remit = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _no_home_of_the_person(monkeypatch):
    monkeypatch.delenv("REMIT_HOME", raising=False)
    monkeypatch.delenv("REMIT_TRACEBACK", raising=False)


@pytest.fixture
def home(tmp_path) -> Path:
    root = tmp_path / "home"
    root.mkdir()
    (root / "remit.yaml").write_text(catalogue_text("ana"))
    return root


@pytest.fixture(scope="session")
def _fresh(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("fresh") / "home"
    make(Home(root))
    return root


@pytest.fixture
def made(_fresh, home) -> Path:
    """The home as `remit init` makes it."""
    shutil.rmtree(home)
    return shutil.copytree(_fresh, home)


@pytest.fixture
def staffed(made):
    """A home that was made and knows an agent, with no gateway running."""
    text = (made / "remit.yaml").read_text()
    owner = text.split("people:\n")[1].split(":")[0].strip()
    (made / "remit.yaml").write_text(text + AGENT.format(owner=owner))
    return made


@pytest.fixture
def door(home) -> Iterator[SimulatedDoor]:
    made = SimulatedDoor(home / "door.sock")
    yield made
    made.close()


@pytest.fixture
def remit(home, capsys) -> Remit:
    """`remit("task", "list")` runs the command in `home`."""

    def run(*arguments: object) -> Ran:
        code = main(["--home", str(home), *map(str, arguments)])
        caught = capsys.readouterr()
        return Ran(code, caught.out, caught.err)

    return run
