"""No module stands outside the rules: the import contracts and the coverage list name every one there is."""

import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "remit"

SHELL = {"case", "facts", "flow", "listing", "operations", "records", "world"}
WORLD = {"app", "config", "edge"}
DRIVERS = {"keys", "store", "upstream", "workers"}


@pytest.fixture(scope="module")
def contracts() -> ConfigParser:
    parser = ConfigParser()
    parser.read(ROOT / ".importlinter")
    return parser


def named(contracts: ConfigParser, contract: str, key: str = "source_modules") -> set[str]:
    return {line.removeprefix("remit.") for line in contracts[f"importlinter:contract:{contract}"][key].split()}


def modules(package: Path = PACKAGE) -> set[str]:
    """What is directly in a package. A directory without sources is a leftover, not a package."""
    files = {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}
    return files | {path.parent.name for path in package.glob("*/__init__.py")}


def test_every_module_is_pure_or_shell_or_in_touch_with_the_world(contracts):
    pure = named(contracts, "pure")
    assert modules() - SHELL - WORLD == pure


def test_every_module_of_the_shell_is_held_to_ports(contracts):
    assert named(contracts, "shell") == SHELL & modules()


def test_everything_at_the_edge_is_a_driver_or_names_none(contracts):
    without = {source.removeprefix("edge.") for source in named(contracts, "drivers")}
    assert modules(PACKAGE / "edge") - DRIVERS == without


def test_every_contract_means_the_same_stages(contracts):
    stages = named(contracts, "stages", "modules")
    assert stages == named(contracts, "receipts") == named(contracts, "shared", "forbidden_modules")
    assert stages | named(contracts, "shared") == named(contracts, "pure")


def test_of_the_ledger_a_stage_may_know_receipts_only(contracts):
    forbidden = {name.removeprefix("ledger.") for name in named(contracts, "receipts", "forbidden_modules")}
    assert modules(PACKAGE / "ledger") - {"receipt"} == forbidden


def test_every_pure_package_is_covered_branch_by_branch(contracts):
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]
    covered = {name.removeprefix("remit.") for name in settings["run"]["source_pkgs"]}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert covered == named(contracts, "pure") & packages
    assert settings["run"]["branch"]
    assert settings["report"]["fail_under"] == 100
