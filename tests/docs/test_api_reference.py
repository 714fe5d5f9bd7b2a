"""The page on the people's door: every route, its input, its output and who may, both ways."""

import re
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from remit import errors
from remit.edge.acts.contracts import Difference, Listed, Pinned
from remit.edge.acts.gateway import Status
from remit.edge.acts.inventory import AgentListed, Changed
from remit.edge.acts.ledger import Erased
from remit.edge.acts.policies import Checked, Current
from remit.edge.acts.standing import StandingIssued
from remit.edge.acts.who import MAY
from remit.edge.api import door
from remit.edge.api.routes import Acts, routes
from remit.edge.cli.home import Home
from remit.edge.cli.init import make
from remit.edge.cli.offline import ask
from remit.task import Task
from remit.task.model import History

PAGE = (Path(__file__).parents[2] / "docs/reference/api.md").read_text()
SHAPES = {
    shape.__name__: shape
    for shape in (
        AgentListed,
        Changed,
        Checked,
        Current,
        Difference,
        Erased,
        History,
        Listed,
        Pinned,
        StandingIssued,
        Status,
        Task,
    )
}
SERVED = {f"{method} {path}": shape for (method, path), (_, shape) in routes(cast("Acts", None)).items()}
EXAMPLES = re.findall(r"^```json ([A-Z]\w+)\n(.+?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_route_is_documented_and_every_documented_route_exists() -> None:
    assert re.findall(r"^## `(\w+ /.+)`$", PAGE, re.MULTILINE) == list(SERVED)


@pytest.mark.parametrize("route", SERVED)
def test_every_member_of_the_input_is_documented(route: str) -> None:
    shape = SERVED[route]
    listed = re.findall(r"^\| `(\w+)` \|", section(f"`{route}`"), re.MULTILINE)
    expected = list(shape.__struct_fields__) if shape else []
    if "The same input" in section(f"`{route}`"):
        assert listed == []
    else:
        assert sorted(listed) == sorted(expected)


def test_who_may_is_the_table_of_acts() -> None:
    rows = re.findall(r"^\| `(\w+\.\w+)` \| (.+?) \|$", section("Who may"), re.MULTILINE)
    assert {act: set(re.findall(r"`(\w+)`", roles)) for act, roles in rows} == MAY
    named = [re.findall(r"^May: `(\w+\.\w+)`", section(f"`{route}`"), re.MULTILINE) for route in SERVED]
    assert all(len(acts) == 1 for acts in named)
    assert {act for acts in named for act in acts} == set(MAY)


@pytest.mark.parametrize("shape, text", EXAMPLES, ids=lambda text: text[:12])
def test_every_answer_shown_is_of_its_type_and_complete(shape: str, text: str) -> None:
    made = msgspec.json.decode(text, type=SHAPES[shape])
    assert msgspec.json.decode(text).keys() == msgspec.to_builtins(made).keys()


def test_every_type_of_answer_is_shown() -> None:
    assert {shape for shape, _ in EXAMPLES} == set(SHAPES)


def test_faults_have_their_status_and_exit_code() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (\d+) \|", section("Errors"), re.MULTILINE)
    told = {(int(status), name, int(code)) for status, name, code in rows}
    assert told == {(status, fault.__name__, fault.exit_code) for fault, status in door._STATUS.items()}
    assert all(issubclass(getattr(errors, name), errors.RemitError) for _, name, _ in told)


CATALOGUE = """
agents:
  scout:
    owner: {person}
    model: {{provider: example, name: model, version: "1"}}
    version: "1"
    environment: dev
connectors:
  git: {{owner: {person}, environment: dev, url: "http://127.0.0.1:9/mcp"}}
purposes:
  tidy-up: {{owner: {person}, tools: ["git/*"], environments: [dev], data_classes: [internal]}}
"""


def members(text: str) -> set[str]:
    """What an `Output:` sentence names."""
    [sentence] = re.findall(r"Output: ([^.:]+)", text)
    return set(re.findall(r"`(\w+)`", sentence))


def test_answers_hold_what_the_page_says(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    make(home)
    text = home.catalogue.read_text()
    [person] = re.findall(r"^people:\n  (\S+):", text, re.MULTILINE)
    home.catalogue.write_text(text + CATALOGUE.format(person=person))

    def got(method: str, path: str, body: Any = None) -> dict[str, Any]:
        status, answer = ask(home, method, path=path, body=msgspec.json.encode(body) if body else None)
        assert status == 200, answer
        return cast("dict[str, Any]", msgspec.json.decode(answer))

    opened = got("POST", "/v1/tasks", {"agent": "scout", "purpose": "tidy-up", "token": True})
    task = opened["task"]["id"]
    assert opened.keys() == members(section("`POST /v1/tasks`"))
    assert got("GET", "/v1/tasks").keys() == members(section("`GET /v1/tasks`"))
    assert got("GET", f"/v1/tasks/{task}").keys() == {"task", "used"}
    assert got("POST", f"/v1/tasks/{task}/suspend", {"reason": "why"}).keys() == {"task"}
    assert got("GET", "/v1/contracts").keys() == members(section("`GET /v1/contracts`"))
    assert got("GET", "/v1/agents").keys() == members(section("`GET /v1/agents`"))
    assert got("GET", "/v1/status")["connectors"][0]["state"] == "not looked at"
