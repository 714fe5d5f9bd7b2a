"""A client's file is replaced whole or not at all, and never what somebody else just wrote."""

import os
import stat
from pathlib import Path

import pytest

from remit.edge.cli.clients import place
from remit.errors import CallerFault, ConfigFault, Conflict


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "c.json"
    made.write_bytes(b"before")
    return made


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_what_is_replaced_keeps_its_mode(file: Path, mode: int) -> None:
    file.chmod(mode)
    place.replace(place.find(file), b"after")
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"after", mode)
    assert names(file.parent) == {"c.json"}


def test_what_is_new_is_its_owner_s_alone(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "er" / "c.json"
    place.replace(place.find(file), b"after")
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"after", 0o600)
    assert names(file.parent) == {"c.json"}


def _written(file: Path) -> None:
    file.write_bytes(b"a client's")


def _same_length(file: Path) -> None:
    file.write_bytes(b"BEFORE")


def _replaced(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"before")
    other.replace(file)


@pytest.mark.parametrize("meanwhile", [_written, _same_length, _replaced, Path.unlink])
@pytest.mark.parametrize("act", [lambda found: place.replace(found, b"after"), place.remove])
def test_what_changed_meanwhile_is_left_as_it_is(file: Path, meanwhile, act) -> None:
    found = place.find(file)
    meanwhile(file)
    now = file.read_bytes() if file.exists() else None
    with pytest.raises(Conflict, match="changed meanwhile"):
        act(found)
    assert (file.read_bytes() if file.exists() else None) == now
    assert names(file.parent) == ({"c.json"} if now is not None else set())


def test_what_was_made_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    found = place.find(tmp_path / "c.json")
    (tmp_path / "c.json").write_bytes(b"a client's")
    with pytest.raises(Conflict):
        place.replace(found, b"after")
    assert (tmp_path / "c.json").read_bytes() == b"a client's"


def test_a_write_that_fails_leaves_what_was_there(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    found = place.find(file)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ConfigFault, match="No space left"):
        place.replace(found, b"after")
    assert (file.read_bytes(), names(file.parent)) == (b"before", {"c.json"})


def test_copies_are_never_written_over(file: Path) -> None:
    first = place.keep(place.find(file))
    assert place.keep(place.find(file)) == first
    file.write_bytes(b"later")
    second = place.keep(place.find(file))
    file.write_bytes(b"latest")
    third = place.keep(place.find(file))

    assert [copy.read_bytes() for copy in (first, second, third) if copy] == [b"before", b"later", b"latest"]
    assert names(file.parent) == {"c.json", "c.json.remit-backup", "c.json.remit-backup.1", "c.json.remit-backup.2"}
    assert place.find(file).backups() == [third, second, first]


def test_a_copy_has_the_mode_of_what_it_is_of(file: Path) -> None:
    file.chmod(0o640)
    copy = place.keep(place.find(file))
    assert copy is not None
    assert stat.S_IMODE(copy.stat().st_mode) == 0o640


def test_of_nothing_there_is_no_copy(tmp_path: Path) -> None:
    assert place.keep(place.find(tmp_path / "none")) is None


def test_a_link_is_followed_and_stays_one(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    place.replace(place.find(link), b"after")
    assert (link.is_symlink(), file.read_bytes()) == (True, b"after")


def test_a_link_that_leads_nowhere_makes_what_it_means(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "dotfiles" / "c.json")
    place.replace(place.find(link), b"after")
    assert (tmp_path / "dotfiles" / "c.json").read_bytes() == b"after"


@pytest.mark.parametrize("at", ["c.json", "sub/c.json"])
def test_a_project_s_link_does_not_lead_out_of_it(file: Path, tmp_path: Path, at: str) -> None:
    project = tmp_path / "project"
    project.mkdir()
    if "/" in at:
        (project / "sub").symlink_to(tmp_path)
    else:
        (project / at).symlink_to(file)
    with pytest.raises(CallerFault, match="leads out of the project"):
        place.find(project / at, within=project)


def test_a_project_that_is_itself_a_link_is_no_way_out(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "project").symlink_to(tmp_path / "real")
    found = place.find(tmp_path / "project" / ".mcp.json", within=tmp_path / "project")
    assert found.file == tmp_path / "real" / ".mcp.json"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigFault, match="cannot be read"):
        place.find(tmp_path)


def test_what_blocks_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CallerFault, match="is no file"):
        place.find(tmp_path / "pipe")


def test_what_is_no_text_is_refused(file: Path) -> None:
    file.write_bytes(b"\xff")
    with pytest.raises(CallerFault, match="not UTF-8"):
        _ = place.find(file).text
