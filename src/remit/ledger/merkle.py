"""The tree: RFC 9162 section 2.1 (the same tree as RFC 6962).

`Frontier` appends in constant memory and knows the root; `Tree` holds every leaf hash and makes proofs; the two
`check_` functions need neither. All hashes are 32 bytes of SHA-256. Nothing here reads a leaf's meaning.

Example: the tree of three leaves has the root `node(node(a, b), c)`; its frontier holds `node(a, b)` and `c`.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from remit.errors import Unverified

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

_sha256 = hashlib.sha256


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 ‖ leaf)."""
    return _sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return _sha256(b"\x01" + left + right).digest()


class Frontier:
    """The roots of the perfect subtrees that make up a tree of `size` leaves, largest first."""

    __slots__ = ("peaks", "size")

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size = size
        self.peaks = list(peaks)

    def append(self, hashed: bytes) -> None:
        """Add one leaf hash."""
        rest = self.size
        while rest & 1:
            hashed = node_hash(self.peaks.pop(), hashed)
            rest >>= 1
        self.peaks.append(hashed)
        self.size += 1

    def root(self) -> bytes:
        """The root of the tree so far."""
        return root_of(self.peaks)


def root_of(peaks: Sequence[bytes]) -> bytes:
    """The root of the tree that has these peaks."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def split(hashes: bytes) -> list[bytes]:
    """Concatenated hashes as a list. Raises `Unverified` when one is cut off."""
    if len(hashes) % HASH_BYTES:
        raise Unverified(f"the list of leaf hashes ends in the middle of entry {len(hashes) // HASH_BYTES}")
    return [hashes[i : i + HASH_BYTES] for i in range(0, len(hashes), HASH_BYTES)]


class Tree:
    """Every perfect subtree over a list of leaf hashes; makes roots and proofs of any size up to its own."""

    def __init__(self, hashes: Sequence[bytes]) -> None:
        self.size = len(hashes)
        self._levels = [list(hashes)]
        while len(below := self._levels[-1]) > 1:
            self._levels.append([node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])

    def root(self, size: int | None = None) -> bytes:
        """The root of the first `size` leaves (all, if not said)."""
        size = self.size if size is None else size
        return self._range(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """PATH(index, D[size]): from the leaf's sibling up."""
        path, low, high = [], 0, size
        while high - low > 1:
            middle = low + _left_width(high - low)
            if index < middle:
                path.append(self._range(middle, high))
                high = middle
            else:
                path.append(self._range(low, middle))
                low = middle
        return tuple(reversed(path))

    def consistency(self, first: int, second: int) -> tuple[bytes, ...]:
        """PROOF(first, D[second]): that the tree of `first` leaves is the beginning of that of `second`."""
        if first in (0, second):
            return ()
        path, low, high = [], 0, second
        while first != high:
            middle = low + _left_width(high - low)
            if first <= middle:
                path.append(self._range(middle, high))
                high = middle
            else:
                path.append(self._range(low, middle))
                low = middle
        if low:  # at 0 the whole old tree is a node the verifier already has: its root
            path.append(self._range(low, high))
        return tuple(reversed(path))

    def _range(self, low: int, high: int) -> bytes:
        # `low` is a multiple of every power of two below the width, so a perfect range is a stored node.
        width = high - low
        if width & (width - 1) == 0:
            level = width.bit_length() - 1
            return self._levels[level][low >> level]
        middle = low + _left_width(width)
        return node_hash(self._range(low, middle), self._range(middle, high))


def check_inclusion(hashed: bytes, index: int, *, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """RFC 9162 section 2.1.3.2. Raises `Unverified` unless the leaf is at `index` of the tree with that root."""
    if not 0 <= index < size:
        raise Unverified(f"index {index} lies outside a tree of {size}")
    position, last, seen = index, size - 1, hashed
    for sibling in proof:
        if last == 0:
            raise Unverified("the inclusion proof is too long")
        if position & 1 or position == last:
            seen = node_hash(sibling, seen)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            seen = node_hash(seen, sibling)
        position, last = position >> 1, last >> 1
    if last or seen != root:
        raise Unverified("the inclusion proof does not lead to the root")


def check_consistency(old: tuple[int, bytes], new: tuple[int, bytes], proof: Sequence[bytes]) -> None:
    """RFC 9162 section 2.1.4.2, over (size, root) pairs. Raises `Unverified` unless `new` extends `old`."""
    (first, first_root), (second, second_root) = old, new
    if first > second:
        raise Unverified(f"a tree of {second} cannot extend one of {first}")
    if first in (0, second):
        if proof or first_root != (second_root if first else EMPTY_ROOT):
            raise Unverified("the consistency proof does not lead to the roots")
        return
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    if not path:
        raise Unverified("the consistency proof is empty")
    if _climb(path, (first - 1, second - 1)) != (first_root, second_root):
        raise Unverified("the consistency proof does not lead to the roots")


def _climb(path: list[bytes], ends: tuple[int, int]) -> tuple[bytes, bytes] | None:
    position, last = ends
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    return (old, new) if last == 0 else None


def _left_width(width: int) -> int:
    """The largest power of two smaller than `width`."""
    return 1 << (width - 1).bit_length() - 1
