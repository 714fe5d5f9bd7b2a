"""Secrets in files: written for their owner only, never over another, and refused where they are not one user's own."""

import os
import stat

import pytest

from remit.edge.cli import profile
from remit.edge.cli.files import write_secret
from remit.edge.keys.files import load_key, make_key
from remit.edge.keys.signing import load_signer, make_signer
from remit.errors import CallerFault, ConfigFault


def test_a_secret_is_its_owner_s_from_the_first_byte(tmp_path):
    file = write_secret(tmp_path / "new" / "secret", b"s")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("put", [lambda at: at.write_text("x"), lambda at: at.symlink_to("/nowhere")])
def test_a_secret_is_never_written_over_something(tmp_path, put):
    put(tmp_path / "secret")
    with pytest.raises(CallerFault, match="exists already"):
        write_secret(tmp_path / "secret", b"s")
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_what_was_put_there_meanwhile_is_not_overwritten(tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("x")
    monkeypatch.setattr("os.path.lexists", lambda _: False)
    with pytest.raises(ConfigFault, match="cannot be written"):
        write_secret(tmp_path / "secret", b"s")
    assert (tmp_path / "secret").read_text() == "x"


# Kind → how it is written, how it is read.
KINDS = {
    "key": (make_key, load_key),
    "ledger key": (lambda file: make_signer("t/remit").save(file), load_signer),
    "profile": (
        lambda file: profile.save(profile.make("scout", url="u", trust_domain="t"), file),
        lambda file: profile.load(file, "scout"),
    ),
}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def kept(request, tmp_path):
    """A secret of each kind, and what reads it."""
    write, read = request.param
    write(tmp_path / "secret")
    return tmp_path / "secret", read


@pytest.fixture
def another_user(monkeypatch):
    me = os.geteuid()
    monkeypatch.setattr("os.geteuid", lambda: me + 1)


@pytest.fixture
def closed(monkeypatch):
    """Opening fails as it does for a user the file is closed to; the tests may run as root, who is never."""

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)


def test_a_secret_that_is_one_s_own_is_read(kept):
    file, read = kept
    assert read(file) is not None


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_another_user_s_secret_is_said_to_be_that(kept, another_user, mode):
    file, read = kept
    file.chmod(mode)
    with pytest.raises(ConfigFault, match="is owned by another user"):
        read(file)


def test_another_user_s_secret_that_is_closed_is_said_to_be_that_too(kept, another_user, closed):
    file, read = kept
    with pytest.raises(ConfigFault, match="is owned by another user"):
        read(file)


def test_one_s_own_secret_that_is_closed_is_said_to_be_closed(kept, closed):
    file, read = kept
    with pytest.raises(ConfigFault, match="is closed to you"):
        read(file)


def test_a_secret_in_a_closed_directory_is_said_to_be_closed(kept, closed, monkeypatch):
    file, read = kept
    monkeypatch.setattr("pathlib.Path.lstat", os.open)
    with pytest.raises(ConfigFault, match="is closed to you"):
        read(file)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o622])
def test_a_secret_others_could_read_is_refused(kept, mode):
    file, read = kept
    file.chmod(mode)
    with pytest.raises(ConfigFault, match="is open to others") as caught:
        read(file)
    assert caught.value.advice == f"run `chmod 600 {file}`"
