"""The ledger's key: one file nobody else can read, and nothing of it shown."""

from pathlib import Path

import pytest

from remit.edge.keys.signing import load_signer, make_signer, rotation
from remit.errors import ConfigFault
from remit.ledger.checkpoint import parse_key
from remit.ledger.rotation import rotated
from tests.ledger.story import OPERATOR, ORIGIN, signer


def test_a_saved_key_is_the_same_key(tmp_path: Path) -> None:
    made = make_signer(ORIGIN)
    made.save(tmp_path / "key")
    found = load_signer(tmp_path / "key")
    assert (found.name, found.key_id, found.verifier_key()) == (made.name, made.key_id, made.verifier_key())
    parse_key(made.verifier_key()).check(b"data", found.sign(b"data"))
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_two_keys_are_never_the_same() -> None:
    assert make_signer(ORIGIN).key_id != make_signer(ORIGIN).key_id


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    signer().save(tmp_path / "key")
    with pytest.raises(ConfigFault, match="exists already"):
        make_signer(ORIGIN).save(tmp_path / "key")
    assert load_signer(tmp_path / "key").key_id == signer().key_id


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    signer().save(tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(ConfigFault, match="open to others"):
        load_signer(tmp_path / "key")


def test_a_key_behind_a_symlink_or_not_there_is_refused(tmp_path: Path) -> None:
    signer().save(tmp_path / "key")
    (tmp_path / "link").symlink_to(tmp_path / "key")
    for name in ("link", "nothing"):
        with pytest.raises(ConfigFault, match="cannot be read"):
            load_signer(tmp_path / name)


def damages(text: str) -> list[str]:
    prefix, key, name, key_id, data = text.strip().split("+", 4)
    return [
        "",
        "PRIVATE",
        f"PUBLIC+{key}+{name}+{key_id}+{data}",
        f"{prefix}+{key}+{name}x+{key_id}+{data}",
        f"{prefix}+{key}+{name}+00000000+{data}",
        f"{prefix}+{key}+{name}+{key_id}+{data[:-4]}",
        f"{prefix}+{key}+{name}+{key_id}+B{data[1:]}",
        f"{prefix}+{key}+{name}+{key_id}+?",
    ]


@pytest.mark.parametrize("at", range(8))
def test_a_damaged_key_is_refused_without_being_shown(tmp_path: Path, at: int) -> None:
    signer().save(tmp_path / "key")
    secret = (tmp_path / "key").read_text().strip().rpartition("+")[2]
    (tmp_path / "key").write_text(damages((tmp_path / "key").read_text())[at])
    with pytest.raises(ConfigFault, match="is not a ledger key") as refused:
        load_signer(tmp_path / "key")
    assert secret[:8] not in str(refused.value)


def test_neither_repr_nor_attributes_show_the_secret(tmp_path: Path) -> None:
    made = signer()
    made.save(tmp_path / "key")
    secret = (tmp_path / "key").read_text().strip().rpartition("+")[2]
    assert repr(made) == f"<LedgerSigner {ORIGIN}+{made.key_id.hex()}>"
    assert secret not in f"{made!r}{made.verifier_key()}"
    assert not hasattr(made, "__dict__")


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
def test_a_log_has_a_name_a_note_can_carry(name: str) -> None:
    with pytest.raises(ConfigFault, match="cannot name a log"):
        make_signer(name)


def test_a_rotation_is_signed_by_both() -> None:
    old, new = signer("old"), signer("new")
    found = rotated(rotation(old, new, actor=OPERATOR))
    assert [key.text for key in found] == [old.verifier_key(), new.verifier_key()]
