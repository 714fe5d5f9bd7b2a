"""Coverage-guided fuzzing of one target, or of all in turn: `python -m tests.fuzz.guided [--minutes M] [TARGET …]`.

Runs where atheris is installed (`make fuzz`). What was found interesting is kept in `.peers/fuzz-corpus/TARGET`, the
committed corpus is only read. Ends at the first input that breaks a property: it is written beside what is kept, and
belongs into the committed corpus under a name that says what it broke.
"""

import argparse
import os
import random
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SEEDS = Path(__file__).with_name("corpus")
KEPT = ROOT / ".peers" / "fuzz-corpus"
INPUT_BYTES_MAX = 4096
# One input that takes longer than this, or needs more memory, is a finding as well.
INPUT_S_MAX = 10
MEMORY_MB_MAX = 1024


def fuzz(name: str, options: list[str]) -> None:
    """Fuzz one target in this process until libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["remit", "json", "rfc8785", "mcp.shared.inbound"]):
        from tests.fuzz.targets import TARGETS

    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()


def each(names: list[str], minutes: float) -> int:
    """Fuzz targets one after the other, each in a process of its own; the first failure's exit status."""
    seconds = max(1, round(minutes * 60 / len(names)))
    for name in names:
        kept = KEPT / name
        kept.mkdir(parents=True, exist_ok=True)
        seed = random.randrange(1, 2**31)
        print(f"fuzzing {name} for {seconds} s, seed {seed}", flush=True)
        command = [sys.executable, "-m", "tests.fuzz.guided", "--one", name, "--"]
        command += [
            str(kept),
            str(SEEDS / name),
            f"-max_total_time={seconds}",
            f"-max_len={INPUT_BYTES_MAX}",
            f"-seed={seed}",
        ]
        command += [f"-timeout={INPUT_S_MAX}", f"-rss_limit_mb={MEMORY_MB_MAX}", "-verbosity=0", "-print_final_stats=1"]
        command += [f"-artifact_prefix={KEPT}/{name}-"]
        status = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": f"src{os.pathsep}."}, check=False)
        if status.returncode:
            print(f"{name}: an input breaks it, see {KEPT}/{name}-*", flush=True)
            return status.returncode
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="coverage-guided fuzzing of Remit's parsers")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="which; else all")
    parser.add_argument("--minutes", type=float, default=60, help="for all targets together (60)")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    own, options = sys.argv[1:], []
    if "--" in own:
        at = own.index("--")
        own, options = own[:at], own[at + 1 :]
    given = parser.parse_args(own)
    if given.one:
        fuzz(given.one, options)
        return 0
    return each(given.targets or sorted(entry.name for entry in SEEDS.iterdir() if entry.is_dir()), given.minutes)


if __name__ == "__main__":
    sys.exit(main())
