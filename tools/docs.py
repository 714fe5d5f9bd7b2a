"""Write the pages of docs/reference that say what the code says: `make docs`; with `--check`, only compare.

What is generated is committed, so that it can be read without running anything, and checked, so that it cannot differ.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from remit.edge.cli.reference import rewritten
from remit.reasons import WORDS

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"


def reasons() -> str:
    """Every reason with the words an agent gets; `like` is what the agent is shown in its place."""
    rows = "\n".join(
        f"| `{reason}` | {words.text} | {words.advice} | {'yes' if words.retry else 'no'} "
        f"| {f'`{words.like}`' if words.like else ''} |"
        for reason, words in WORDS.items()
    )
    return f"""# Reasons

Why a call did not pass: the closed list of `remit/reasons.py`, written by `make docs`. A code never changes meaning.
*Again* says whether the same call can pass later. *Shown as* names the reason an agent is told instead, so that what is
out of its reach and what does not exist look alike; the receipt holds the true one.

| code | what the agent is told | and advised | again | shown as |
|---|---|---|---|---|
{rows}
"""


def cli() -> str:
    """The page of the command line: what was written by hand, then every command."""
    return rewritten((REFERENCE / "cli.md").read_text())


PAGES: dict[str, Callable[[], str]] = {"cli.md": cli, "reasons.md": reasons}


def main() -> int:
    stale = {
        name: text
        for name, page in PAGES.items()
        for text in [page()]
        if not (REFERENCE / name).exists() or (REFERENCE / name).read_text() != text
    }
    if "--check" in sys.argv[1:]:
        for name in stale:
            print(f"docs/reference/{name} differs from the code: run make docs")
        return 1 if stale else 0
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for name, text in stale.items():
        (REFERENCE / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
