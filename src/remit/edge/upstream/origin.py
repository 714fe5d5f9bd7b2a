"""What a stdio server is made of, as far as the machine can tell: part of its server contract, so that a changed
command, a replaced script or another package version needs a person's eyes before it is called again.

The hash covers a script, not what the script imports or the interpreter that runs it; the package version stands in for
those, where a package manager wrote one down.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

_SCRIPT_BYTES_MAX: Final = 1024 * 1024
_SCRIPTS: Final = frozenset({".py", ".pyz", ".js", ".mjs", ".cjs", ".ts", ".sh", ".rb", ".pl"})


def origin(executable: Path, command: Sequence[str]) -> dict[str, Any]:
    """`command`, resolved `executable`, and where they can be told `script`, `sha256`, `package`. Reads files."""
    found: dict[str, Any] = {"command": list(command), "executable": str(executable.resolve())}
    script = _script(executable.resolve(), command)
    if script is not None:
        found["script"] = str(script)
        found["sha256"] = hashlib.sha256(script.read_bytes()).hexdigest()
        if (package := _python_package(executable) or _npm_package(script)) is not None:
            found["package"] = package
    return found


def _script(executable: Path, command: Sequence[str]) -> Path | None:
    """The executable if it is a script itself, else the first argument that names one, else a small executable."""
    if _small(executable) and executable.read_bytes().startswith(b"#!"):
        return executable
    named = (Path(part).resolve() for part in command[1:] if Path(part).suffix in _SCRIPTS)
    return next((path for path in (*named, executable) if _small(path)), None)


def _small(path: Path) -> bool:
    return path.is_file() and path.stat().st_size <= _SCRIPT_BYTES_MAX


def _python_package(executable: Path) -> str | None:
    """Name and version of the installed distribution that owns a console script, by its environment's metadata."""
    wanted = re.compile(rf"^{re.escape(executable.name)}\s*=", re.MULTILINE)
    for path in (executable, executable.resolve()):
        for entry in sorted(path.parent.parent.glob("lib/python*/site-packages/*.dist-info/entry_points.txt")):
            if wanted.search(entry.read_text("utf-8", "replace")):
                return entry.parent.name.removesuffix(".dist-info")
    return None


def _npm_package(script: Path) -> str | None:
    """Name and version in the nearest `package.json` above the script."""
    manifest = next((up / "package.json" for up in script.parents if (up / "package.json").is_file()), None)
    if manifest is None or not _small(manifest):
        return None
    try:
        said = json.loads(manifest.read_bytes())
        return f"{said['name']}-{said['version']}"
    except (ValueError, KeyError, TypeError):
        return None
