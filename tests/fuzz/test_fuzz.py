"""No input breaks a parser: not the committed ones, not any bytes, not what coverage-guided fuzzing finds in a while.

The last needs atheris, which `make peers` installs; `make fuzz` lasts REMIT_FUZZ_MINUTES (60).
"""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")
SEEDS = sorted(CORPUS.glob("*/*"))
ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("REMIT_FUZZ_PYTHON", "")
MINUTES = float(os.environ.get("REMIT_FUZZ_MINUTES") or 1.5)
# What grammars are made of, so that random bytes get past the first character.
PIECES = st.sampled_from(
    [
        *(
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{',
            b'"arguments":{',
            b'"name":"echo"',
            b"}",
            b"]",
            b"[",
        ),
        *(
            b'"_meta":{',
            b",",
            b":",
            b'"\\ud800"',
            b"1e400",
            b"9007199254740993",
            b"-0.0",
            b'"__entity"',
            b"data: ",
            b"\n\n",
        ),
        *(
            b"\r\n",
            b"\r",
            b"event: x\n",
            b"mcp-name: echo\n",
            b"=?base64?ZWNobw==?=",
            b"~",
            b"eyJhbGciOiJub25lIn0.",
            b"\xff",
        ),
    ]
)


def test_every_target_has_a_corpus_and_every_seed_its_reason() -> None:
    assert {seed.parent.name for seed in SEEDS} == set(TARGETS)
    told = (CORPUS / "README.md").read_text()
    assert [str(seed.relative_to(CORPUS)) for seed in SEEDS if f"`{seed.relative_to(CORPUS)}`" not in told] == []


@pytest.mark.holds("INPUT-ANY")
@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: str(seed.relative_to(CORPUS)))
def test_a_committed_input_breaks_nothing(seed: Path) -> None:
    TARGETS[seed.parent.name](seed.read_bytes())


@pytest.mark.holds("INPUT-ANY", "INPUT-HEADER")
@pytest.mark.parametrize("target", TARGETS)
def test_no_bytes_break_a_parser(target: str) -> None:
    @settings(max_examples=150)
    @given(st.lists(PIECES | st.binary(max_size=8), max_size=12).map(b"".join))
    def holds(data: bytes) -> None:
        TARGETS[target](data)

    holds()


@pytest.mark.slow
@pytest.mark.fuzz
@pytest.mark.holds("INPUT-ANY", "INPUT-HEADER")
@pytest.mark.skipif(not PYTHON, reason="atheris is not installed: `make peers`")
def test_coverage_guided_fuzzing_finds_nothing() -> None:
    command = [PYTHON, "-m", "tests.fuzz.guided", "--minutes", str(MINUTES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-1000:]}\n{done.stderr[-6000:]}"
