"""Virtual environments of others' programs, beside the project's own and none of its dependencies.

Each lies under `.peers/`, from PyPI, with the exact version asked for; made once, and again when the version differs.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.machine import ROOT

_PEERS: Final = ROOT / ".peers"
_DONE: Final = ".installed"


def environment(name: str, requirements: Sequence[str]) -> Path:
    """The `bin` directory of an environment that holds exactly these. Raises `CalledProcessError`."""
    at = _PEERS / f"bench-{name}"
    done, wanted = at / _DONE, "\n".join(requirements)
    if not done.is_file() or done.read_text(encoding="utf-8") != wanted:
        print(f"installing {', '.join(requirements)} into {at.relative_to(ROOT)}", flush=True)
        _run(sys.executable, "-m", "venv", "--clear", "--without-pip", str(at))
        uv = Path(sys.executable).with_name("uv")
        _run(str(uv), "pip", "install", "--quiet", "--python", str(at / "bin" / "python"), *requirements)
        done.write_text(wanted, encoding="utf-8")
    return at / "bin"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
