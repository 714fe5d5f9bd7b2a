"""`remit init` makes a home that works at once, or leaves nothing."""

import getpass
import re
import stat
from pathlib import Path

import pytest

from remit.catalogue import load
from remit.edge.cli import init, main
from remit.edge.cli.init import catalogue_text, person_name
from remit.errors import RemitError


@pytest.fixture
def made(tmp_path, capsys) -> Path:
    assert main(["init", str(tmp_path / "made")]) == 0
    capsys.readouterr()
    return tmp_path / "made"


def test_a_new_home_has_everything_and_says_so(made, capsys):
    assert main(["--home", str(made), "doctor"]) == 0
    told = capsys.readouterr().out
    assert "✗" not in told
    assert "in force, as in policy/" in told


def test_who_made_it_may_do_everything(made):
    declared = load((made / "remit.yaml").read_text(), "remit.yaml")
    [person] = declared.people.values()
    assert person.os_user == getpass.getuser()
    assert set(person.roles) == {"requester", "operator", "auditor"}


def test_applying_the_starter_policy_is_on_record(made, capsys):
    assert main(["--home", str(made), "--json", "ledger", "show"]) == 0
    assert '"kind": "policy"' in capsys.readouterr().out


def test_secrets_are_their_owner_s(made):
    for path in (made / "keys", made / "state", *(made / "keys").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_it_offers_the_key_others_verify_with(tmp_path, capsys):
    assert main(["--json", "init", str(tmp_path / "made")]) == 0
    assert re.search(r'"ledger_key": "remit\.local/remit\+[0-9a-f]{8}\+', capsys.readouterr().out)


@pytest.mark.holds("CLI-WHOLE")
@pytest.mark.parametrize("name", ["remit.yaml", "policy", "keys", "state"])
@pytest.mark.parametrize("kind", ["file", "directory", "dangling link"])
def test_nothing_is_overwritten(tmp_path, capsys, name, kind):
    if kind == "file":
        (tmp_path / name).write_text("mine")
    elif kind == "directory":
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).symlink_to("nowhere")
    assert main(["init", str(tmp_path)]) == 2
    assert f"{name}` exists already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_directory_with_other_things_keeps_them(tmp_path):
    (tmp_path / "README").write_text("mine")
    assert main(["init", str(tmp_path)]) == 0
    assert (tmp_path / "README").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"README", "remit.yaml", "policy", "keys", "state"}


@pytest.mark.holds("CLI-WHOLE")
@pytest.mark.parametrize("at", ["make_key", "checked", "rename of policy"])
@pytest.mark.parametrize("existed", [True, False])
def test_a_failure_half_way_leaves_nothing(tmp_path, monkeypatch, capsys, at, existed):
    root = tmp_path / "made"
    if existed:
        root.mkdir()

    def fails(*_, **__):
        raise RemitError("out of luck")

    if at == "make_key":
        monkeypatch.setattr("remit.edge.keys.files.make_key", fails)
    elif at == "checked":
        monkeypatch.setattr(init, "checked", fails)
    else:
        rename = Path.rename
        monkeypatch.setattr(Path, "rename", lambda a, b: _full(b) if a.name == "policy" else rename(a, b))
    assert main(["init", str(root)]) == 1
    assert root.exists() is existed
    assert not existed or list(root.iterdir()) == []


def _full(path: Path) -> None:
    raise OSError(28, "No space left on device", str(path))


def test_a_place_nobody_can_write_to_is_said_to_be_one(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["init", str(tmp_path / "file" / "below")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_commented_example_is_a_valid_catalogue():
    text = re.sub(r"(?m)^# ?(?=connectors|agents|purposes|  )", "", catalogue_text("ana"))
    declared = load(text, "remit.yaml")
    assert (set(declared.connectors), set(declared.agents), set(declared.purposes)) == ({"git"}, {"scout"}, {"triage"})


@pytest.mark.parametrize(
    "os_user, name",
    [("ana", "ana"), ("Ana.Lee", "ana-lee"), ("svc_x$", "svc-x"), ("__", "operator"), ("李", "operator")],
)
def test_a_user_of_this_machine_becomes_a_catalogue_name(os_user, name):
    assert person_name(os_user) == name
    assert name in load(catalogue_text(os_user), "remit.yaml").people
