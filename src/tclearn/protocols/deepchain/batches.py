"""Merkle trees over batches of ciphertexts: the ledger has one digest, and any batch can be shown alone.

A batch is a list of at most ``DEEPCHAIN_BATCH`` byte strings (ciphertexts or decryption shares) and the proof of them
all. Its own tree is over the strings, so that one can be shown without the rest; its leaf in the outer tree is the
root of that, then the SHA-256 of the proof. Both are trees of RFC 9162 §2.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from tclearn.encoding import Digest
from tclearn.errors import VerificationError
from tclearn.ledger.merkle import MerkleLog, check_inclusion, leaf_hash
from tclearn.protocols.deepchain.refusals import Refusal, refuse

NO_PROOF: Final = b""
"""What stands for the proof of a sum: everybody can add."""


def items_tree(items: Iterable[bytes]) -> MerkleLog:
    """The tree of one batch."""
    tree = MerkleLog()
    for item in items:
        tree.append(leaf_hash(item))
    return tree


def items_root(items: Sequence[bytes]) -> Digest:
    """The root of one batch."""
    return items_tree(items).root(len(items))


def proof_digest(proof: bytes) -> Digest:
    """What a batch's leaf has of its proof."""
    return Digest(hashlib.sha256(proof).digest())


def batch_leaf(root: Digest, proof: Digest) -> Digest:
    """The leaf of a batch.

    Args:
        root: of its items.
        proof: digest of its proof.
    """
    return leaf_hash(root + proof)


def batches_tree(batches: Iterable[tuple[Sequence[bytes], bytes]]) -> MerkleLog:
    """The tree of all batches, given as items and proof each; its root goes onto the ledger."""
    tree = MerkleLog()
    for items, proof in batches:
        tree.append(batch_leaf(items_root(items), proof_digest(proof)))
    return tree


def check_path(leaf: Digest, index: int, size: int, path: Sequence[Digest], root: Digest) -> None:
    """Whether a leaf lies in a tree where it is said to.

    Raises:
        Rejected: it does not.
    """
    try:
        check_inclusion(leaf, index, size, path, root)
    except VerificationError as error:
        raise refuse(Refusal.WRONG_PATH, error.what) from None
