"""Run the README's commands as a newcomer would: `python tools/readme_commands.py [FILE]`.

A block fenced as `sh` or `console` that follows the line `<!-- executed -->` is run, in order, in a fresh clone of this
repository; each block is one shell that stops at the first failure. In `console` blocks the lines after `$ ` are
commands (`> ` continues one) and the others are what they print, which is not compared. Exit 1 if a block fails, takes
longer than `BLOCK_SECONDS_MAX`, or none is marked: a README that promises commands shows at least one that works.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BLOCK_SECONDS_MAX = 600
MARK = "<!-- executed -->"
FENCED = re.compile(rf"^{MARK}\n+```(?P<kind>\w*)[^\n]*\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """Commands of one block, and the line of the document they stand at."""

    line: int
    commands: str


class Unrunnable(Exception):
    """A mark that no `sh` or `console` block follows."""


def blocks(document: str) -> Iterator[Block]:
    """The marked blocks in order. Raises `Unrunnable`."""
    found = list(FENCED.finditer(document))
    if len(found) != document.count(MARK):
        raise Unrunnable(f"{document.count(MARK)} marks, {len(found)} blocks: a fenced block follows each mark")
    for match in found:
        line = document.count("\n", 0, match.start("body")) + 1
        yield Block(line, commands(match["kind"], match["body"], line))


def commands(kind: str, body: str, line: int) -> str:
    if kind == "sh":
        return body
    if kind == "console":
        return "".join(shown[2:] + "\n" for shown in body.splitlines() if shown.startswith(("$ ", "> ")))
    raise Unrunnable(f"line {line}: a `{kind}` block is not run: use sh or console")


def run(block: Block, clone: Path) -> bool:
    """Whether the block succeeded. What it starts and leaves running ends with it."""
    foreign = ("REMIT_", "MAKE", "MFLAGS", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    shell = ["timeout", "--kill-after=10", str(BLOCK_SECONDS_MAX), "bash", "-euo", "pipefail", "-c", block.commands]
    return subprocess.run(shell, cwd=clone, env=environment, stdin=subprocess.DEVNULL, check=False).returncode == 0


def main() -> int:
    document = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "README.md"
    marked = list(blocks(document.read_text()))
    if not marked:
        print(f"{document.name}: no block is marked {MARK}")
        return 1
    with tempfile.TemporaryDirectory(prefix="remit-readme-") as place:
        clone = Path(place) / "remit"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        for block in marked:
            print(f"-- {document.name}:{block.line}\n{block.commands}", flush=True)
            if not run(block, clone):
                print(f"-- {document.name}:{block.line}: failed")
                return 1
    print(f"-- {document.name}: {len(marked)} blocks run as written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
