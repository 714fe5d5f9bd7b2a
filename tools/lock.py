"""Pin what pyproject.toml asks for into requirements/*.txt, and requirements/*/package.json beside it: `make lock`.

Each lock holds for every platform and Python from 3.11 on, names every package by version and hash, and names no
registry: where packages come from is the installing machine's business. `dev` is pinned on top of `demo`, so that the
tests run what the demo runs; the others are for environments of their own and pinned by themselves.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"
UV = Path(sys.executable).with_name("uv")
OPTIONS = (
    "--universal",
    "--generate-hashes",
    "--no-annotate",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-header",
    "--no-progress",
    "--quiet",
)
NPM_OPTIONS = ("--package-lock-only", "--omit-lockfile-registry-resolved", "--ignore-scripts", "--silent")
HEADER = "# Pinned by `make lock`; do not edit.\n"


def pin(name: str, *sources: str, options: tuple[str, ...] = ()) -> None:
    """Write requirements/NAME.txt from what `sources` (arguments of uv pip compile) ask for."""
    lock = LOCKS / f"{name}.txt"
    subprocess.run([UV, "pip", "compile", *OPTIONS, *options, *sources, "--output-file", lock], cwd=ROOT, check=True)
    pins = lock.read_text()
    for line in pins.splitlines():
        if "://" in line:
            sys.exit(f"{lock.name} names a place: {line}")
    lock.write_text(HEADER + pins.removeprefix(HEADER))


def pin_npm(package: Path, *, upgrade: bool) -> None:
    """Write the package-lock.json beside a package.json."""
    lock = package.with_name("package-lock.json")
    if upgrade:
        lock.unlink(missing_ok=True)
    subprocess.run(["npm", "install", *NPM_OPTIONS], cwd=package.parent, check=True)
    if '"resolved"' in lock.read_text():
        sys.exit(f"{package.parent.name}/{lock.name} names a place")


def main() -> None:
    upgrade = "--upgrade" in sys.argv[1:]
    options = ("--upgrade",) if upgrade else ()
    pin("uv", "--group", "installer", options=options)
    pin("demo", "pyproject.toml", "--extra", "demo", "--group", "build", options=options)
    pin("dev", "--group", "dev", "--constraint", "requirements/demo.txt", options=options)
    pin("legacy", "--group", "legacy", options=options)
    pin("frameworks", "--group", "frameworks", options=options)
    pin("fuzz", "--group", "fuzz", options=options)
    for package in LOCKS.glob("*/package.json"):
        pin_npm(package, upgrade=upgrade)
    pin("sdist", "--group", "sdist", options=options)


if __name__ == "__main__":
    main()
