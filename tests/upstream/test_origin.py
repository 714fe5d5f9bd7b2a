"""What a stdio server is made of: told from files alone, the same while they are the same."""

import hashlib
import os
import sys
from pathlib import Path

import pytest

from remit.edge.upstream.origin import origin


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An environment with a console script, and an npm package with a linked executable."""
    script = tmp_path / "venv" / "bin" / "tool-server"
    script.parent.mkdir(parents=True)
    script.write_text("#!/usr/bin/python\n")
    metadata = tmp_path / "venv" / "lib" / "python3.11" / "site-packages" / "tool_server-1.2.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "entry_points.txt").write_text("[console_scripts]\ntool-server-x = a:b\ntool-server = a:b\n")
    package = tmp_path / "node_modules" / "tool"
    (package / "dist").mkdir(parents=True)
    (package / "package.json").write_text('{"name": "@scope/tool", "version": "3.4"}')
    (package / "dist" / "index.js").write_text("serve()")
    (tmp_path / "large").write_bytes(b"\x7fELF" + b"x" * 2_000_000)
    return tmp_path


def test_a_console_script_is_hashed_and_its_package_named(place: Path) -> None:
    script = place / "venv" / "bin" / "tool-server"
    assert origin(script, ("tool-server", "--flag")) == {
        "command": ["tool-server", "--flag"],
        "executable": str(script),
        "script": str(script),
        "sha256": hashlib.sha256(b"#!/usr/bin/python\n").hexdigest(),
        "package": "tool_server-1.2",
    }


def test_an_interpreters_script_is_hashed_and_its_package_named(place: Path) -> None:
    script = place / "node_modules" / "tool" / "dist" / "index.js"
    found = origin(place / "large", ("node", str(script), "stdio"))
    assert (found["script"], found["package"]) == (str(script), "@scope/tool-3.4")


def test_a_link_is_followed_to_what_is_run(place: Path) -> None:
    script = place / "node_modules" / "tool" / "dist" / "index.js"
    link = place / "tool"
    link.symlink_to(script)
    found = origin(link, ("tool",))
    assert (found["executable"], found["package"]) == (str(script), "@scope/tool-3.4")


@pytest.mark.parametrize("manifest", ["{", "[]", '{"name": "a"}', "x" * 2_000_000])
def test_a_manifest_that_tells_nothing_is_no_package(place: Path, manifest: str) -> None:
    (place / "node_modules" / "tool" / "package.json").write_text(manifest)
    script = place / "node_modules" / "tool" / "dist" / "index.js"
    assert "package" not in origin(place / "large", ("node", str(script)))


def test_a_large_executable_without_a_script_is_named_and_not_hashed(place: Path) -> None:
    assert origin(place / "large", ("large", "--data", str(place))) == {
        "command": ["large", "--data", str(place)],
        "executable": str(place / "large"),
    }


def test_a_replaced_script_shows(place: Path) -> None:
    script = place / "venv" / "bin" / "tool-server"
    before = origin(script, ("tool-server",))
    script.write_text("#!/usr/bin/python\nsteal()\n")
    after = origin(script, ("tool-server",))
    assert {key for key in before if before[key] != after[key]} == {"sha256"}


def test_this_interpreter_is_described_without_error() -> None:
    found = origin(Path(sys.executable), (sys.executable, __file__))
    assert found["executable"] == os.path.realpath(sys.executable)
    assert found["script"] == __file__
