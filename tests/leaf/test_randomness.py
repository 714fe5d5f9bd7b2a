"""Randomness drawn ahead is handed out once."""

from remit.edge.randomness import Randomness


def test_nothing_is_handed_out_twice_across_many_draws() -> None:
    random = Randomness()
    salts, ids = [random.salt() for _ in range(2000)], [random.new_id() for _ in range(2000)]
    assert len(set(salts)) == len(set(ids)) == 2000
    assert {len(salt) for salt in salts} == {16}
    assert {len(name) for name in ids} == {20}


def test_two_processes_draw_apart() -> None:
    assert Randomness().salt() != Randomness().salt()
