"""The Merkle tree of the log (RFC 9162 §2.1, SHA-256), with its proofs.

The hash of every complete subtree is kept, 64 bytes an entry in all, so that the root of any prefix and any proof cost
O(log n) hashes: heads of the past are asked for as often as the present one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from tclearn.encoding import Digest
from tclearn.errors import Code, VerificationError

EMPTY_ROOT: Final = Digest(hashlib.sha256(b"").digest())
_LENGTH: Final = 32


def leaf_hash(data: bytes) -> Digest:
    """The hash of one leaf. Source: RFC 9162 §2.1.1, ``MTH({d[0]})``."""
    return Digest(hashlib.sha256(b"\x00" + data).digest())


def node_hash(left: bytes | bytearray, right: bytes) -> Digest:
    """The hash of two subtrees. Source: RFC 9162 §2.1.1, ``MTH(D_n)``."""
    return Digest(hashlib.sha256(b"\x01" + left + right).digest())


class MerkleLog:
    """An append-only list of leaf hashes, and the hashes of all complete subtrees above them."""

    __slots__ = ("_levels", "_size")

    def __init__(self) -> None:
        self._levels: list[bytearray] = [bytearray()]  # level k: the subtrees of 2^k leaves, from the left
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def append(self, leaf: Digest) -> None:
        """Add a leaf hash; amortised two hashes."""
        index, level, node = self._size, 0, leaf
        self._levels[0] += node
        while index & 1:
            node = node_hash(self._levels[level][-2 * _LENGTH : -_LENGTH], node)
            index, level = index >> 1, level + 1
            if level == len(self._levels):
                self._levels.append(bytearray())
            self._levels[level] += node
        self._size += 1

    def truncate(self, size: int) -> None:
        """Forget all leaves from position ``size`` on; for entries that did not become durable."""
        for level, nodes in enumerate(self._levels):
            del nodes[(size >> level) * _LENGTH :]
        self._size = min(size, self._size)

    def leaf(self, index: int) -> Digest:
        """The leaf hash at a position below ``len(self)``."""
        return self._complete(0, index)

    def root(self, size: int) -> Digest:
        """The tree hash of the first ``size`` leaves, 0 to ``len(self)``."""
        return self._hash(0, size)

    def inclusion_proof(self, index: int, size: int) -> list[Digest]:
        """The path from a leaf to the root of the first ``size`` leaves. Source: RFC 9162 §2.1.3.1, ``PATH``."""
        path: list[Digest] = []
        start, stop = 0, size
        while stop - start > 1:
            middle = start + _split(stop - start)
            if index < middle:
                path.append(self._hash(middle, stop))
                stop = middle
            else:
                path.append(self._hash(start, middle))
                start = middle
        return path[::-1]

    def consistency_proof(self, first: int, second: int) -> list[Digest]:
        """That the first ``second`` leaves extend the first ``first``. Source: RFC 9162 §2.1.4.1, ``PROOF``."""
        path: list[Digest] = []
        start, stop, known = 0, second, True  # known: the verifier has this subtree's hash, it is the old root
        while 0 < first < second and first != stop:
            middle = start + _split(stop - start)
            if first <= middle:
                path.append(self._hash(middle, stop))
                stop = middle
            else:
                path.append(self._hash(start, middle))
                start, known = middle, False
        if not known:
            path.append(self._hash(start, stop))
        return path[::-1]

    def _hash(self, start: int, stop: int) -> Digest:
        # The tree hash of leaves whose start is a multiple of a power of two not below their number, as all subtrees of
        # RFC 9162 are: its complete subtrees, folded from the right.
        node: Digest | None = None
        for level in range((stop - start).bit_length()):
            if (stop - start) >> level & 1:
                left = self._complete(level, (stop >> level) - 1)
                node = left if node is None else node_hash(left, node)
                stop -= 1 << level
        return EMPTY_ROOT if node is None else node

    def _complete(self, level: int, index: int) -> Digest:
        return Digest(bytes(self._levels[level][index * _LENGTH : (index + 1) * _LENGTH]))


def check_inclusion(leaf: Digest, index: int, size: int, path: Sequence[Digest], root: Digest) -> None:
    """Check that a leaf is in a tree; returns nothing. Source: RFC 9162 §2.1.3.2, steps numbered as there.

    Raises:
        VerificationError: the path does not lead from the leaf at ``index`` to the root of ``size`` leaves.
    """
    # 1
    if not 0 <= index < size:
        raise _unproven(f"inclusion of leaf {index} in a tree of {size}")
    # 2, 3
    fn, sn, r = index, size - 1, leaf
    # 4
    for p in path:
        if sn == 0:
            raise _unproven("inclusion: the path is too long")
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    # 5
    if sn != 0 or r != root:
        raise _unproven(f"inclusion of leaf {index} in a tree of {size}")


def check_consistency(first: int, second: int, path: Sequence[Digest], first_root: Digest, second_root: Digest) -> None:
    """Check that one tree extends another; returns nothing. Source: RFC 9162 §2.1.4.2, steps numbered as there.

    Beyond the RFC's ``0 < first < second``, an empty path proves equal trees and the extension of the empty tree.

    Raises:
        VerificationError: the path does not connect the two roots.
    """
    unproven = _unproven(f"that the tree of {second} leaves extends the one of {first}")
    if not 0 <= first <= second:
        raise unproven
    if first in (0, second):
        if path or first_root != (second_root if first else EMPTY_ROOT):
            raise unproven
        return
    # 1
    if not path:
        raise unproven
    # 2
    steps = [first_root, *path] if first & (first - 1) == 0 else list(path)
    # 3, 4
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    # 5
    fr = sr = steps[0]
    # 6
    for c in steps[1:]:
        if sn == 0:
            raise unproven
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    # 7
    if sn != 0 or fr != first_root or sr != second_root:
        raise unproven


def _split(size: int) -> int:
    # The largest power of two smaller than size (RFC 9162 §2.1.1, k)
    return 1 << ((size - 1).bit_length() - 1)


def _unproven(what: str) -> VerificationError:
    return VerificationError(Code.RECORD_HEAD, f"a Merkle proof does not show {what}", expected="RFC 9162 §2.1")
