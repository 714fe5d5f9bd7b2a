"""Which home is meant, in this order: named, from the environment, the nearest upwards, here."""

from pathlib import Path

import pytest

from remit.edge.cli import main
from remit.edge.cli.files import read_json, read_text, write
from remit.edge.cli.home import Home, existing, find
from remit.errors import CallerFault


@pytest.fixture
def tree(tmp_path, monkeypatch):
    inner = tmp_path / "project" / "src"
    inner.mkdir(parents=True)
    (tmp_path / "project" / "remit.yaml").touch()
    monkeypatch.chdir(inner)
    return tmp_path


def test_the_nearest_catalogue_upwards_is_home(tree):
    assert find(None) == Home(tree / "project")


def test_the_environment_comes_before_the_nearest(tree, monkeypatch):
    monkeypatch.setenv("REMIT_HOME", str(tree / "elsewhere"))
    assert find(None) == Home(tree / "elsewhere")


def test_what_is_named_comes_before_all(tree, monkeypatch):
    monkeypatch.setenv("REMIT_HOME", str(tree / "elsewhere"))
    assert find(Path("..")) == Home(tree / "project")


def test_without_any_it_is_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find(None) == Home(tmp_path)
    with pytest.raises(CallerFault, match="there is no remit"):
        existing(None)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(CallerFault, match="cannot be written"):
        write(tmp_path / "taken", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_reading_says_which_file_it_was(tmp_path):
    (tmp_path / "x").write_text("{")
    with pytest.raises(CallerFault, match="is not JSON"):
        read_json(tmp_path / "x")
    with pytest.raises(CallerFault, match="cannot be read"):
        read_text(tmp_path / "none")


def test_a_dash_is_standard_input(monkeypatch, tmp_path):
    with (tmp_path / "in").open("w+") as given:
        given.write('{"a": 1}')
        given.seek(0)
        monkeypatch.setattr("sys.stdin", given)
        assert read_json(Path("-")) == {"a": 1}


@pytest.mark.parametrize("command", [("connect", "--agent", "scout"), ("agent", "token", "scout")])
def test_an_agent_far_from_its_home_is_told_to_name_it(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    assert main(command) == 2
    told = capsys.readouterr().err
    assert told == "remit: no home here\n  pass `--home DIR` (MCP clients start in a directory of their own)\n"
