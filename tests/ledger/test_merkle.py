"""The tree against RFC 6962's vectors, a recursion written from the RFC's text, and generated trees."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from remit.errors import Unverified
from remit.ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    Tree,
    check_consistency,
    check_inclusion,
    leaf_hash,
    split,
)

LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
# The roots of the first one, two, … eight leaves, as published with Certificate Transparency's reference code.
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def mth(leaves: list[bytes]) -> bytes:
    """MTH, RFC 6962 section 2.1, word for word."""
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return sha(b"\0" + leaves[0])
    k = largest_power_below(len(leaves))
    return sha(b"\1" + mth(leaves[:k]) + mth(leaves[k:]))


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH, section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = largest_power_below(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF, section 2.1.2."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = largest_power_below(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def largest_power_below(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def included(hashed: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    check_inclusion(hashed, index, size=size, proof=proof, root=root)


def tree_of(leaves: list[bytes]) -> Tree:
    return Tree([leaf_hash(leaf) for leaf in leaves])


trees = st.lists(st.binary(max_size=8), min_size=1, max_size=70)


@pytest.mark.holds("LEDGER-TREE")
@pytest.mark.parametrize("size", range(9))
def test_the_published_roots_come_out(size: int) -> None:
    expected = bytes.fromhex(ROOTS[size - 1]) if size else EMPTY_ROOT
    frontier = Frontier()
    for leaf in LEAVES[:size]:
        frontier.append(leaf_hash(leaf))
    assert frontier.root() == expected
    assert tree_of(LEAVES).root(size) == expected
    assert tree_of(LEAVES[:size]).root() == expected


@pytest.mark.holds("LEDGER-TREE")
@given(trees)
def test_roots_and_proofs_equal_the_recursion_of_the_rfc(leaves: list[bytes]) -> None:
    tree, frontier = tree_of(leaves), Frontier()
    for size, leaf in enumerate(leaves, start=1):
        frontier.append(leaf_hash(leaf))
        assert frontier.root() == tree.root(size) == mth(leaves[:size])
        assert list(tree.consistency(size, len(leaves))) == subproof(size, leaves, True)
        assert list(tree.inclusion(size - 1, len(leaves))) == path(size - 1, leaves)


@given(trees, st.data())
def test_what_is_proven_verifies_and_what_is_not_does_not(leaves: list[bytes], data: st.DataObject) -> None:
    tree = tree_of(leaves)
    index = data.draw(st.integers(0, len(leaves) - 1))
    size = data.draw(st.integers(index + 1, len(leaves)))
    hashed, proof, root = leaf_hash(leaves[index]), tree.inclusion(index, size), tree.root(size)
    included(hashed, index, size, proof, root)
    for wrong in (
        (leaf_hash(leaves[index] + b"!"), index, size, proof, root),
        (hashed, index, size, (*proof, root), root),
        (hashed, index, size, proof, sha(root)),
        (hashed, size, size, proof, root),
        (hashed, -1, size, proof, root),
    ):
        with pytest.raises(Unverified):
            included(*wrong)
    if proof:
        with pytest.raises(Unverified):
            included(hashed, index, size, proof[:-1], root)
        with pytest.raises(Unverified):
            included(hashed, index, size, (sha(proof[0]), *proof[1:]), root)


@given(trees, st.data())
def test_a_tree_extends_its_beginnings_and_no_other(leaves: list[bytes], data: st.DataObject) -> None:
    tree = tree_of(leaves)
    second = data.draw(st.integers(0, len(leaves)))
    first = data.draw(st.integers(0, second))
    old, new, proof = (first, tree.root(first)), (second, tree.root(second)), tree.consistency(first, second)
    check_consistency(old, new, proof)
    for wrong in (
        ((first, sha(old[1])), new, proof),
        (old, new, (*proof, new[1])),
        ((second + 1, old[1]), new, proof),
    ):
        with pytest.raises(Unverified):
            check_consistency(*wrong)
    if proof:
        for broken in (proof[:-1], (*proof[:-1], sha(proof[-1])), ()):
            with pytest.raises(Unverified):
                check_consistency(old, new, broken)
        with pytest.raises(Unverified):
            check_consistency(old, (second, sha(new[1])), proof)


@pytest.mark.parametrize("second", range(1, 34))
def test_every_small_tree_extends_every_smaller_one(second: int) -> None:
    tree = tree_of([bytes([n]) for n in range(second)])
    for first in range(second + 1):
        check_consistency((first, tree.root(first)), (second, tree.root()), tree.consistency(first, second))
        with pytest.raises(Unverified):
            check_consistency((first, sha(b"")[::-1]), (second, tree.root()), tree.consistency(first, second))
        if 0 < first < second:
            with pytest.raises(Unverified):
                check_consistency((first, tree.root(first)), (second, tree.root()), ())
        if first < second:
            included(leaf_hash(bytes([first])), first, second, tree.inclusion(first, second), tree.root())


def test_a_list_of_hashes_is_whole_or_refused() -> None:
    assert split(bytes(64)) == [bytes(32), bytes(32)]
    with pytest.raises(Unverified, match="entry 1"):
        split(bytes(63))


def test_a_frontier_goes_on_from_its_peaks() -> None:
    half = Frontier()
    for leaf in LEAVES[:5]:
        half.append(leaf_hash(leaf))
    resumed = Frontier(half.size, half.peaks)
    for leaf in LEAVES[5:]:
        resumed.append(leaf_hash(leaf))
    assert resumed.root().hex() == ROOTS[7]
