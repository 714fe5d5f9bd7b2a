"""`python -m bench.flame`: where a governed call's time goes, as a picture. Writes bench/flame.svg.

A gateway as `remit up` starts it is driven by 16 callers and looked at from outside, some hundred times a second, by
py-spy (from PyPI, in an environment of its own), native code included. Only what runs is counted, so widths are shares
of CPU. The picture holds no script and loads nothing; what is narrower than a thousandth is left out.
"""

import argparse
import os
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Final

from bench import tools
from bench.cells import Governed, Ground, governed_cell
from bench.environments import environment
from bench.flames import folded, svg
from bench.home import made
from bench.load import Calls, Pace
from bench.machine import ROOT, Process, cpus, free_port, started

_PY_SPY: Final = "py-spy==0.4.3"
_PER_S: Final = 200
_CALLERS: Final = 16


def main() -> None:
    """Run it, as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.flame", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=15, help="how long to look")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "flame.svg", help="where the picture goes")
    options = parser.parse_args()
    spy = environment("py-spy", [_PY_SPY]) / "py-spy"
    with tempfile.TemporaryDirectory(prefix="remit-bench-") as directory:
        os.sched_setaffinity(0, {cpus().rest})
        stacks = sampled(Path(directory), spy, seconds=options.seconds)
    options.out.write_text(svg(folded(stacks), f"one governed read, {_CALLERS} callers"), encoding="utf-8")
    print(f"written to {options.out}")


def sampled(root: Path, spy: Path, *, seconds: int) -> str:
    """The stacks of a gateway under load, one a line: frames from the outside in, `;` between them, and a count."""
    upstream, out = free_port(), root / "stacks"
    with started(["-m", "bench.upstream", upstream], cpu=cpus().rest, log=root / "upstream.log", ports=[upstream]):
        desk = made(root, upstream)
        with desk.gateway() as process:
            looking = threading.Thread(target=_look, args=(spy, process, out, seconds))
            looking.start()
            pace = Pace(_CALLERS, warm_s=1.0, measure_s=seconds)
            governed_cell(
                Ground(upstream, iter(tools.SERIALS)), Governed(desk, process, []), Calls(tools.READ), pace=pace
            )
            looking.join()
    return out.read_text(encoding="utf-8")


def _look(spy: Path, process: Process, out: Path, seconds: int) -> None:
    look = (spy, "record", "--pid", process.popen.pid, "--duration", seconds, "--rate", _PER_S)
    form = ("--native", "--threads", "--function", "--format", "raw", "--output", out)
    subprocess.run([str(part) for part in (*look, *form)], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
