"""The Merkle tree against RFC 9162's definitions written out naively, and against the vectors of RFC 6962's authors."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclearn.encoding import Digest
from tclearn.errors import VerificationError
from tclearn.ledger.merkle import EMPTY_ROOT, MerkleLog, check_consistency, check_inclusion, leaf_hash

LEAVES = [bytes.fromhex(leaf) for leaf in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"
)]  # fmt: skip
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


def mth(data: list[bytes]) -> bytes:
    """MTH of RFC 9162 §2.1.1, as it is written there."""
    if not data:
        return hashlib.sha256().digest()
    if len(data) == 1:
        return hashlib.sha256(b"\x00" + data[0]).digest()
    k = 1
    while k * 2 < len(data):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(data[:k]) + mth(data[k:])).digest()


def path(m: int, data: list[bytes]) -> list[bytes]:
    """PATH of RFC 9162 §2.1.3.1."""
    if len(data) == 1:
        return []
    k = 1
    while k * 2 < len(data):
        k *= 2
    if m < k:
        return [*path(m, data[:k]), mth(data[k:])]
    return [*path(m - k, data[k:]), mth(data[:k])]


def subproof(m: int, data: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 9162 §2.1.4.1."""
    if m == len(data):
        return [] if whole else [mth(data)]
    k = 1
    while k * 2 < len(data):
        k *= 2
    if m <= k:
        return [*subproof(m, data[:k], whole), mth(data[k:])]
    return [*subproof(m - k, data[k:], False), mth(data[:k])]


def log_of(data: list[bytes]) -> MerkleLog:
    log = MerkleLog()
    for leaf in data:
        log.append(leaf_hash(leaf))
    return log


DATA = [f"leaf {i}".encode() for i in range(70)]


def test_vectors_of_rfc_6962() -> None:
    log = log_of(LEAVES)
    assert [log.root(size + 1).hex() for size in range(8)] == ROOTS
    assert log.root(0) == EMPTY_ROOT == mth([])


def test_every_prefix_root_and_every_proof_is_the_definition() -> None:
    log = log_of(DATA)
    for size in range(len(DATA) + 1):
        assert log.root(size) == mth(DATA[:size])
        for index in range(size):
            proof = log.inclusion_proof(index, size)
            assert proof == path(index, DATA[:size])
            check_inclusion(log.leaf(index), index, size, proof, log.root(size))
        for first in range(size + 1):
            proof = log.consistency_proof(first, size)
            assert proof == (subproof(first, DATA[:size], True) if first else [])
            check_consistency(first, size, proof, log.root(first), log.root(size))


@given(st.integers(1, 70), st.data())
def test_no_other_statement_has_a_proof(size: int, data: st.DataObject) -> None:
    log = log_of(DATA)
    index = data.draw(st.integers(0, size - 1))
    proof = log.inclusion_proof(index, size)
    other = data.draw(st.integers(0, len(DATA) - 1).filter(lambda i: i != index))
    with pytest.raises(VerificationError):
        check_inclusion(log.leaf(other), index, size, proof, log.root(size))
    with pytest.raises(VerificationError):
        check_inclusion(log.leaf(index), other, size, proof, log.root(size))
    with pytest.raises(VerificationError):
        check_inclusion(log.leaf(index), index, size, [*proof, Digest(bytes(32))], log.root(size))
    if proof:
        with pytest.raises(VerificationError):
            check_inclusion(log.leaf(index), index, size, proof[:-1], log.root(size))


@given(st.integers(1, 70), st.data())
def test_no_fork_has_a_consistency_proof(second: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(1, second))
    log = log_of(DATA)
    fork = log_of([b"forged", *DATA[1:]])
    proof = log.consistency_proof(first, second)
    for roots in ((fork.root(first), log.root(second)), (log.root(first), fork.root(second))):
        with pytest.raises(VerificationError):
            check_consistency(first, second, proof, *roots)
    for wrong in ([*proof, Digest(bytes(32))], proof[:-1] if proof else [log.root(first)]):
        with pytest.raises(VerificationError):
            check_consistency(first, second, wrong, log.root(first), log.root(second))
    with pytest.raises(VerificationError):
        check_consistency(second, first - 1, proof, log.root(second), log.root(first - 1))


@given(st.lists(st.integers(0, 60), min_size=1, max_size=12))
def test_truncation_forgets_without_a_trace(sizes: list[int]) -> None:
    log = MerkleLog()
    for before, size in pairwise([0, *sizes]):
        for leaf in DATA[before:size]:
            log.append(leaf_hash(leaf))
        log.truncate(size)
        assert len(log) == size
        assert log.root(size) == mth(DATA[:size])
