"""No module stands outside the rules: the import contracts and the coverage list name every one there is."""

import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "remit"

SHELL = {"case", "flow", "listing", "records", "world"}
WORLD = {"app", "config", "edge"}
DRIVERS = {"keys", "store", "upstream"}


@pytest.fixture(scope="module")
def contracts() -> ConfigParser:
    parser = ConfigParser()
    parser.read(ROOT / ".importlinter")
    return parser


def sources(contracts: ConfigParser, contract: str) -> set[str]:
    lines = contracts[f"importlinter:contract:{contract}"]["source_modules"].split()
    return {line.removeprefix("remit.") for line in lines}


def modules(package: Path = PACKAGE) -> set[str]:
    """What is directly in a package. A directory without sources is a leftover, not a package."""
    files = {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}
    return files | {path.parent.name for path in package.glob("*/__init__.py")}


def test_every_module_is_pure_or_shell_or_in_touch_with_the_world(contracts):
    pure = sources(contracts, "pure")
    assert modules() - SHELL - WORLD == pure


def test_every_module_of_the_shell_is_held_to_ports(contracts):
    assert sources(contracts, "shell") == SHELL & modules()


def test_everything_at_the_edge_is_a_driver_or_names_none(contracts):
    named = {source.removeprefix("edge.") for source in sources(contracts, "drivers")}
    assert modules(PACKAGE / "edge") - DRIVERS == named


def test_every_pure_package_is_covered_branch_by_branch(contracts):
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]
    covered = {name.removeprefix("remit.") for name in settings["run"]["source_pkgs"]}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert covered == sources(contracts, "pure") & packages
    assert settings["run"]["branch"]
    assert settings["report"]["fail_under"] == 100
