"""What a member shows of what is wrong: batches and ciphertexts with their paths, as the contract judges them."""

from __future__ import annotations

from collections.abc import Sequence

from tclearn.encoding import MemberId
from tclearn.ledger.merkle import MerkleLog
from tclearn.protocols.deepchain.agent.files import Batch
from tclearn.protocols.deepchain.batches import batches_tree, items_tree, proof_digest
from tclearn.protocols.deepchain.calls import Accuse, Challenge, Dispute, Opened
from tclearn.protocols.deepchain.records import Iteration


def accusation(iteration: Iteration, party: MemberId, batches: Sequence[Batch], batch: int) -> Accuse:
    """That a batch of a party's gradient is wrong."""
    shown = batches[batch]
    path = _tree(batches).inclusion_proof(batch, len(batches))
    return Accuse(iteration.number, party, batch, shown.items, shown.proof, tuple(path))


def dispute(
    iteration: Iteration, gradients: Sequence[Sequence[Batch]], total: Sequence[Batch], own: Sequence[Batch]
) -> Dispute | None:
    """That the leader's sum is not the sum, by the first ciphertext that differs.

    Args:
        iteration: whose sum it is.
        gradients: all that are counted, in the order of the state.
        total: what the leader has handed in.
        own: what it should be.

    Returns:
        ``None``: no ciphertext alone shows it. Nothing differs, or batches have another length or bring a proof: that
        is for votes.
    """
    for batch, (found, right) in enumerate(zip(total, own, strict=True)):
        if len(found.items) == len(right.items):
            for index, (one, other) in enumerate(zip(found.items, right.items, strict=True)):
                if one != other:
                    addends = tuple(_opened(gradient, batch, index) for gradient in gradients)
                    shown = _opened(total, batch, index)
                    return Dispute(iteration.number, iteration.attempt, batch, index, addends, shown)
    return None


def challenge(
    iteration: Iteration, party: MemberId, total: Sequence[Batch], batches: Sequence[Batch], batch: int
) -> Challenge:
    """That a batch of a party's decryption shares is wrong."""
    return Challenge(
        iteration.number,
        party,
        batch,
        total[batch].items,
        tuple(_tree(total).inclusion_proof(batch, len(total))),
        batches[batch].items,
        batches[batch].proof,
        tuple(_tree(batches).inclusion_proof(batch, len(batches))),
    )


def _tree(batches: Sequence[Batch]) -> MerkleLog:
    return batches_tree((batch.items, batch.proof) for batch in batches)


def _opened(batches: Sequence[Batch], batch: int, index: int) -> Opened:
    shown = batches[batch]
    inner = items_tree(shown.items)
    return Opened(
        shown.items[index],
        tuple(inner.inclusion_proof(index, len(shown.items))),
        inner.root(len(shown.items)),
        proof_digest(shown.proof),
        tuple(_tree(batches).inclusion_proof(batch, len(batches))),
    )
