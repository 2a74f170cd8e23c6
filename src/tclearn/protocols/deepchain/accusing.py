"""Fraud proofs: one batch, its path to a root on the ledger, and its proof; the contract itself decides.

So no vote can acquit a wrong batch, and none can convict a right one. Who is convicted loses its deposit, and so do the
workers that said it was right. An accusation that proves nothing is recorded and costs nothing but one of the few that
each member has in an iteration: a judge's work is dear, and everybody who replays the ledger does it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tclearn.encoding import Digest, MemberId
from tclearn.ledger import Context
from tclearn.ledger.merkle import leaf_hash
from tclearn.limits import DEEPCHAIN_UNFOUNDED_PER_ITERATION_MAX
from tclearn.protocols.deepchain.batches import NO_PROOF, batch_leaf, check_path, items_root, proof_digest
from tclearn.protocols.deepchain.calls import Accuse, Challenge, Dispute, Opened
from tclearn.protocols.deepchain.flow import move
from tclearn.protocols.deepchain.judging import Place
from tclearn.protocols.deepchain.records import Handed, Iteration
from tclearn.protocols.deepchain.refusals import Refusal, refuse
from tclearn.protocols.deepchain.settling import fine_workers, leave_empty, void
from tclearn.protocols.deepchain.state import State
from tclearn.protocols.deepchain.steps import check_phase, running
from tclearn.protocols.deepchain.times import (
    APPENDING,
    CHECKING,
    COLLECTING,
    DECRYPTING,
    DOWNLOADING,
    RETURNING,
    UPLOADING,
    VERIFYING,
)


def accuse(state: State, arguments: Accuse, context: Context) -> None:
    """A batch of a gradient is wrong: it is not counted, and those who approved it are fined."""
    iteration = _may_accuse(state, arguments.iteration, {COLLECTING, VERIFYING, UPLOADING}, context)
    party, batch = arguments.party, arguments.batch
    handed = _handed(iteration.gradients.get(party), party in iteration.convicted)
    key = state.terms.key
    leaf = batch_leaf(items_root(arguments.ciphertexts), proof_digest(arguments.proof))
    check_path(leaf, batch, key.batches, arguments.path, handed.root)
    place = Place(state.terms.digest, iteration.number, state.terms.number(party), batch)
    formed = _formed(arguments.ciphertexts, key.batch_length(batch), key.ciphertext_bytes)
    if formed and state.judge.encryption(place, arguments.ciphertexts, arguments.proof):
        _unfounded(state, iteration, context)
        return
    iteration = replace(iteration, convicted=tuple(sorted((*iteration.convicted, party))))
    approving = {MemberId(worker) for worker, doubted in iteration.doubts.items() if party not in doubted}
    move(state, fine_workers(state, iteration, approving), context.time_ms)


def dispute(state: State, arguments: Dispute, context: Context) -> None:
    """A ciphertext of the sum is wrong: the block is not made, or is void; leader and approving workers are fined."""
    iteration = _may_accuse(state, arguments.iteration, {CHECKING, APPENDING, DOWNLOADING}, context)
    if iteration.attempt != arguments.attempt:
        raise refuse(Refusal.WRONG_ATTEMPT, f"iteration {iteration.number} is at attempt {iteration.attempt}")
    key, batch, index = state.terms.key, arguments.batch, arguments.index
    if batch >= key.batches or index >= key.batch_length(batch):
        raise refuse(Refusal.BAD_ARGUMENT, "no such ciphertext")
    if len(arguments.addends) != len(iteration.counted):
        raise refuse(Refusal.BAD_ARGUMENT, f"one addend for each of {len(iteration.counted)} gradients")
    total = _handed(iteration.sum, False)
    for opened, root in zip(
        (*arguments.addends, arguments.total),
        (*(iteration.gradients[party].root for party in iteration.counted), total.root),
        strict=True,
    ):
        _check_opened(state, opened, batch, index, root)
    total_bytes = arguments.total.ciphertext
    formed = _formed([total_bytes], 1, key.ciphertext_bytes)
    numbers = map(state.terms.number, iteration.counted)
    addends = {number: opened.ciphertext for number, opened in zip(numbers, arguments.addends, strict=True)}
    if formed and state.judge.sum(addends, total_bytes):
        _unfounded(state, iteration, context)
        return
    approving = {MemberId(worker) for worker, right in iteration.checks.items() if right}  # the leader among them
    iteration = fine_workers(state, iteration, approving)
    if iteration.phase == DOWNLOADING:
        void(state, iteration, context.time_ms, f"block {state.group.blocks - 1} has a wrong sum")
    else:
        leave_empty(state, iteration, context.time_ms, "the sum is wrong")


def challenge(state: State, arguments: Challenge, context: Context) -> None:
    """A batch of decryption shares is wrong: they do not count, and the deposit for them is lost."""
    iteration = _may_accuse(state, arguments.iteration, {DECRYPTING, RETURNING}, context)
    party, batch, key = arguments.party, arguments.batch, state.terms.key
    handed = _handed(iteration.shares.get(party), party in iteration.unshared)
    total = _handed(iteration.sum, False)
    summed = batch_leaf(items_root(arguments.ciphertexts), proof_digest(NO_PROOF))
    check_path(summed, batch, key.batches, arguments.sum_path, total.root)
    leaf = batch_leaf(items_root(arguments.shares), proof_digest(arguments.proof))
    check_path(leaf, batch, key.batches, arguments.path, handed.root)
    place = Place(state.terms.digest, iteration.number, state.terms.number(party), batch)
    formed = _formed(arguments.shares, key.batch_length(batch), key.share_bytes)
    if formed and state.judge.share(place, arguments.ciphertexts, arguments.shares, arguments.proof):
        _unfounded(state, iteration, context)
        return
    move(state, replace(iteration, unshared=tuple(sorted((*iteration.unshared, party)))), context.time_ms)


def _may_accuse(state: State, number: int, phases: set[str], context: Context) -> Iteration:
    iteration = running(state, number)
    check_phase(state, iteration, phases, context.time_ms)
    if iteration.unfounded.get(context.sender, 0) >= DEEPCHAIN_UNFOUNDED_PER_ITERATION_MAX:
        raise refuse(
            Refusal.TOO_MANY_UNFOUNDED,
            f"{context.sender} has accused {DEEPCHAIN_UNFOUNDED_PER_ITERATION_MAX} times in vain",
        )
    return iteration


def _handed(handed: Handed | None, convicted: bool) -> Handed:
    if handed is None:
        raise refuse(Refusal.NOTHING_ACCUSED, "nothing was handed in")
    if convicted:
        raise refuse(Refusal.ALREADY_DONE, "it is convicted already")
    return handed


def _formed(items: Sequence[bytes], count: int, length: int) -> bool:
    # What has another form than the terms say is wrong, whatever its proof.
    return len(items) == count and all(len(item) == length for item in items)


def _check_opened(state: State, opened: Opened, batch: int, index: int, root: Digest) -> None:
    key = state.terms.key
    check_path(leaf_hash(opened.ciphertext), index, key.batch_length(batch), opened.path, opened.root)
    check_path(batch_leaf(opened.root, opened.proof), batch, key.batches, opened.batch_path, root)


def _unfounded(state: State, iteration: Iteration, context: Context) -> None:
    count = iteration.unfounded.get(context.sender, 0) + 1
    state.put_iteration(replace(iteration, unfounded={**iteration.unfounded, context.sender: count}))
