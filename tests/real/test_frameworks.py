"""Agents other people's frameworks run, with a model that is a script: what the gateway refuses reaches the model.

Nothing that is refused ends a run: the model reads the very words every other client is given, and goes on.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.real.clients import Place, finished, through

FRAMEWORKS = os.environ.get("REMIT_FRAMEWORKS", "")
AGENTS = Path(__file__).with_name("frameworks")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real,
    pytest.mark.skipif(not FRAMEWORKS, reason="REMIT_FRAMEWORKS names no Python with the frameworks (`make real`)"),
]

NAMES = ("langchain", "openai_agents", "pydantic_ai")


async def _run(framework: str, how: dict[str, Any], calls: list[dict[str, Any]], **options: Any) -> list[str]:
    """What the model of a run that ended as it should was told, call by call."""
    given = json.dumps({"how": how, "calls": calls, "options": options})
    status, output, errors = await finished((FRAMEWORKS, str(AGENTS / f"with_{framework}.py")), given)
    assert status == 0, errors
    ended = json.loads(output)
    assert ended["answer"] == f"I was told {len(calls)} things."
    seen: list[str] = ended["seen"]
    return seen


def _call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"kind": "tool", "name": name, "arguments": arguments}


def _calls(repo: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A call that passes, and calls that do not: not allowed, ill-formed, out of reach."""
    refused = [
        _call("git_create_branch", repo_path=repo, branch_name="release"),
        _call("git_log", repo_path=repo, max_count="one"),
        _call("git_add", repo_path=repo, files=["note.txt"]),
    ]
    return _call("git_log", repo_path=repo, max_count=1), refused


async def _words(place: Place, task: str, calls: list[dict[str, Any]]) -> list[str]:
    """The refusals as the SDK's own client is given them."""
    heard = await through(place, "git", "http-auto", task=task, steps=calls)
    texts = [answer["content"][0]["text"] for answer in heard.answers]
    assert all(text.startswith("Refused: ") for text in texts)
    return texts


def _head(place: Place) -> str:
    command = ("git", "-C", str(place.via.here), "rev-parse", "HEAD")
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.holds("WIRE-REAL", "WIRE-REFUSAL")
@pytest.mark.parametrize("framework", NAMES)
async def test_the_model_of_an_agent_reads_every_refusal_and_goes_on(place: Place, framework: str) -> None:
    wide = place.house.open(purpose="work", tools=["git/*"])
    narrow = place.house.open(purpose="work", tools=["git/git_log", "git/git_create_branch"])
    passing, refused = _calls(str(place.via.here))
    url, calling = place.given("git", task=narrow)
    how = {"url": url, "listing": place.given("git", task=wide)[1], "calling": calling}
    log, *told, again = await _run(framework, how, [passing, *refused, passing])
    assert _head(place) in log
    assert _head(place) in again
    for words, text in zip(await _words(place, narrow, refused), told, strict=True):
        assert words in text


@pytest.mark.holds("WIRE-REAL", "WIRE-REFUSAL")
@pytest.mark.parametrize("framework", NAMES)
async def test_an_agent_over_stdio_that_repeats_a_refused_call_reads_the_same_again(
    place: Place, framework: str
) -> None:
    task = place.house.open(purpose="work", tools=["git/*"])
    passing, (refused, *_) = _calls(str(place.via.here))
    how = {"command": place.bridge("git", task=task), "env": dict(os.environ)}
    # By default Pydantic AI gives up a run once a tool has failed twice in a row, whatever it said.
    options = {"tool_error_behavior": "failed"} if framework == "pydantic_ai" else {}
    log, *told = await _run(framework, how, [passing, refused, refused], **options)
    assert _head(place) in log
    (words,) = await _words(place, task, [refused])
    assert all(words in text for text in told)
