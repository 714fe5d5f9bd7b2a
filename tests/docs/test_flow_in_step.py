"""Code, pages and tests of the flow carry the same numbers, names and questions; every reason has one page."""

import ast
import inspect
import pkgutil
import re
from collections import Counter
from pathlib import Path

import msgspec
import pytest

import remit
from remit import limits
from remit.answer import Released, Withheld
from remit.call import Ask, Call, call_digest
from remit.canonical import canonical
from remit.catalogue.model import Tool
from remit.commit.model import Warrant
from remit.decision import Decision
from remit.forward.model import Fault, Outgoing, Reply
from remit.identity.model import Principal
from remit.ledger.receipt import Receipt
from remit.policy.model import Request
from remit.reasons import Reason
from remit.task import Task, diagram

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "flow"
DOOR = PAGES / "door.md"
STEPS = {page.stem: page for page in sorted(PAGES.glob("[0-9]*.md"))}

_COMMENT = re.compile(r"^    # (\d+) (\w+): (.+)$", re.MULTILINE)
SHAPES: dict[str, type[msgspec.Struct]] = {
    shape.__name__: shape
    for shape in (Ask, Call, Principal, Task, Tool, Request, Decision, Warrant, Outgoing, Reply, Fault)
} | {shape.__name__: shape for shape in (Released, Withheld, Receipt)}


def in_code() -> dict[str, str]:
    """`NN-name` to question, as the numbered comments of `flow.govern` have it."""
    source = (ROOT / "src/remit/flow.py").read_text()
    [govern] = [one for one in ast.parse(source).body if getattr(one, "name", "") == "govern"]
    found = _COMMENT.findall(ast.get_source_segment(source, govern) or "")
    return {f"{int(number):02}-{name}": question for number, name, question in found}


QUESTIONS = in_code()


def first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()[0]


def lowered(text: str) -> str:
    return text[0].lower() + text[1:]


def examples(page: Path) -> list[tuple[str, str]]:
    """Every JSON block of a page: the type it says it is, and its text."""
    return re.findall(r"^```json (\w+)\n(.+?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def test_pages_and_tests_carry_the_numbers_and_names_of_the_code() -> None:
    assert len(QUESTIONS) == 10
    assert list(STEPS) == list(QUESTIONS)
    tests = sorted(path.stem for path in (ROOT / "tests/flow").glob("test_*.py"))
    assert [name for name in tests if re.match(r"test_\d\d_", name)] == [
        f"test_{step.replace('-', '_')}" for step in QUESTIONS
    ]


@pytest.mark.parametrize("step", QUESTIONS)
def test_everyone_asks_the_same_question(step: str) -> None:
    number, name = step.split("-")
    question = QUESTIONS[step]
    page = STEPS[step].read_text()
    assert page.startswith(f"# {int(number)} {name}\n\n**{question[0].upper()}{question[1:]}**\n")
    assert lowered(first_line(Path(remit.__file__).parent / name / "__init__.py")) == question
    assert lowered(first_line(ROOT / f"tests/flow/test_{number}_{name}.py")) == f"step {int(number)}: {question}"


def test_the_overview_lists_every_step_with_its_question() -> None:
    listed = re.findall(r"^\| \[(\d+) (\w+)\]\((.+?)\) \| (.+) \|$", (PAGES / "README.md").read_text(), re.MULTILINE)
    steps = {f"{int(number):02}-{name}": question for number, name, _, question in listed}
    assert steps == QUESTIONS
    assert [link for _, _, link, _ in listed] == [f"{step}.md" for step in QUESTIONS]


def test_every_reason_is_on_exactly_one_page() -> None:
    pages = [*STEPS.values(), DOOR]
    explained = Counter(
        code for page in pages for code in re.findall(r"^\| `(\w+\.\w+)` \|", page.read_text(), re.MULTILINE)
    )
    assert set(explained) == {str(reason) for reason in Reason}
    assert set(explained.values()) == {1}


def test_a_reason_stands_on_the_page_of_its_step() -> None:
    elsewhere = {"clock.regressed": "commit", "upstream": "forward"}
    at_the_door = {"identity.origin", "call.mismatch", "gateway.fault"}
    for reason in map(str, Reason):
        stage = elsewhere.get(reason) or elsewhere.get(reason.partition(".")[0]) or reason.partition(".")[0]
        [page] = [DOOR] if reason in at_the_door else [page for step, page in STEPS.items() if step.endswith(stage)]
        assert f"| `{reason}` |" in page.read_text(), reason


@pytest.mark.parametrize("step", STEPS)
def test_a_page_has_the_shape_of_all_pages(step: str) -> None:
    text = STEPS[step].read_text()
    assert "\n## Rules, in order\n" in text
    assert "\n## Reasons\n" in text
    for part in ("**Facts fetched**", "**A crash here", "**Not here**"):
        assert text.count(part) == 1, part
    assert len(text.splitlines()) <= 75


@pytest.mark.parametrize(
    "shape, text", [found for page in STEPS.values() for found in examples(page)], ids=lambda text: text[:12]
)
def test_every_example_is_of_the_type_it_says(shape: str, text: str) -> None:
    fields = {field.encode_name: field.required for field in msgspec.structs.fields(SHAPES[shape])}
    given = msgspec.json.decode(text).keys()
    assert given <= fields.keys()
    assert {name for name, required in fields.items() if required} <= given
    if shape != "Reply":  # its result is raw JSON or nothing, which is never decoded from a text of its own
        msgspec.json.decode(text, type=SHAPES[shape])


def test_every_step_has_a_worked_example() -> None:
    assert [step for step, page in STEPS.items() if not examples(page)] == []


def test_the_digest_in_the_page_is_that_of_the_call_in_the_page() -> None:
    page = STEPS["01-call"].read_text()
    call = msgspec.json.decode(dict(examples(STEPS["01-call"]))["Call"], type=Call)
    [written] = re.findall(r"printf %s '(.+)' \| sha256sum", page)
    named = msgspec.json.decode(written)
    assert bytes(call.canonical) == canonical(call.arguments)
    assert written.encode() == canonical(named)
    found = call_digest(call, task=named["task"], contract=named["contract"])
    assert f"# {found.removeprefix('sha256:')}\n" in page
    assert msgspec.json.decode(dict(examples(STEPS["08-commit"]))["Warrant"], type=Warrant).digest == found


def test_the_lifecycle_in_the_page_is_that_of_the_table() -> None:
    assert f"```mermaid\n{diagram()}\n```" in STEPS["03-task"].read_text()


NAMED = [
    (step, path, given)
    for step, page in STEPS.items()
    for path, given in re.findall(r"`(remit(?:\.\w+)+)\(([^)`]*)\)", page.read_text())
]


@pytest.mark.parametrize("step, path, given", NAMED, ids=[path for _, path, _ in NAMED])
def test_a_function_the_page_names_exists_and_takes_what_it_says(step: str, path: str, given: str) -> None:
    function = pkgutil.resolve_name(path)
    named = [one.partition(":")[0].strip() for one in given.split(",") if one.strip() not in ("*", "…")]
    assert set(named) <= set(inspect.signature(function).parameters), step


def test_every_page_names_its_function() -> None:
    assert {step for step, _, _ in NAMED} == set(STEPS)


MIB = 1024 * 1024
SAID = {
    "a body's size": ("01-call.md", f"at most {limits.BODY_BYTES_MAX // MIB} MiB, {limits.DEPTH_MAX} levels"),
    "the arguments' size": ("01-call.md", f"at most {limits.ARGUMENTS_BYTES_MAX // MIB} MiB"),
    "a result's size": ("11-result.md", f"at most {limits.RESULT_BYTES_MAX // MIB} MiB"),
    "starting again": ("README.md", f"at most {limits.RESTARTS_MAX} times (`RESTARTS_MAX`)"),
    "the disk reserve": ("08-commit.md", f"({limits.DISK_RESERVE_BYTES // MIB} MiB;"),
    "the disk alarm": ("08-commit.md", f"begin at {limits.DISK_ALARM_BYTES // MIB} MiB"),
    "the clock": ("08-commit.md", f"more than {limits.CLOCK_REGRESSION_MS // 1000} s behind"),
    "the time a call may take": ("10-forward.md", f"`timeout_s` ({limits.UPSTREAM_TIMEOUT_S} s)"),
    "looking at contracts": ("04-schema.md", f"every {limits.CONTRACT_CHECK_S} s"),
    "asking for an issuer's keys": ("02-identity.md", f"at most once per {limits.JWKS_REFETCH_MIN_S} s"),
    "denials that repeat": ("door.md", f"within\n{limits.DENIAL_WINDOW_MS // 1000} s"),
    "the operator's disk alarm": ("../guides/operate.md", f"under {limits.DISK_ALARM_BYTES // MIB} MiB"),
    "the operator's disk reserve": ("../guides/operate.md", f"under {limits.DISK_RESERVE_BYTES // MIB} MiB"),
}


@pytest.mark.parametrize("page, phrase", SAID.values(), ids=SAID)
def test_a_bound_in_a_page_is_the_one_in_force(page: str, phrase: str) -> None:
    assert " ".join(phrase.split()) in " ".join((PAGES / page).read_text().split())
