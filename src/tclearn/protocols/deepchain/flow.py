"""How one phase follows another: when everybody has spoken, or when somebody says that its deadline has passed.

    collecting → verifying → uploading → updating → checking → appending → downloading → decrypting → returning

An end that has nothing to go on with settles the deposits and begins anew; see ``settling``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from tclearn.coalition.quorum import quorum
from tclearn.encoding import MemberId
from tclearn.protocols.deepchain.records import DECRYPTION, GRADIENTS, SUMS, Block, Iteration
from tclearn.protocols.deepchain.settling import (
    conclude,
    draw,
    fail,
    fine_parties,
    fine_workers,
    leave_empty,
    settle_decryption,
    settle_gradients,
    void,
)
from tclearn.protocols.deepchain.state import State
from tclearn.protocols.deepchain.steps import due_ms
from tclearn.protocols.deepchain.times import (
    APPENDING,
    CHECKING,
    COLLECTING,
    DECRYPTING,
    DOWNLOADING,
    RETURNING,
    UPDATING,
    UPLOADING,
    VERIFYING,
)


def move(state: State, iteration: Iteration, now_ms: int) -> None:
    """Store the iteration after a call, and end its phase if there is nobody left to wait for."""
    if _SPOKEN[iteration.phase](state, iteration):
        end_phase(state, iteration, now_ms)
    else:
        state.put_iteration(iteration)


def end_phase(state: State, iteration: Iteration, now_ms: int) -> None:
    """The present phase is over: its deadline has passed, or all have spoken."""
    late = max(0, now_ms - due_ms(state, iteration))
    _ENDS[iteration.phase](state, replace(iteration, late_ms=iteration.late_ms + late), now_ms)


def _go_on(state: State, iteration: Iteration, phase: str) -> None:
    state.put_iteration(replace(iteration, phase=phase))


# --- trading: gradients ----------------------------------------------------------------------------------------------


def _end_collecting(state: State, iteration: Iteration, now_ms: int) -> None:
    if len(set(iteration.gradients) - set(iteration.convicted)) < state.terms.minimum:
        settle_gradients(state, iteration, ())
        fail(state, now_ms)
    else:
        _go_on(state, iteration, VERIFYING)


def _end_verifying(state: State, iteration: Iteration, now_ms: int) -> None:
    silent = set(iteration.voters) - set(iteration.doubts)
    iteration = fine_workers(state, iteration, silent)
    needed = quorum(len(state.terms.workers))
    doubts = Counter(party for doubted in iteration.doubts.values() for party in doubted)
    there = set(iteration.gradients) - set(iteration.convicted)
    verified = tuple(
        party for party in iteration.parties if party in there and len(iteration.doubts) - doubts[party] >= needed
    )
    iteration = replace(iteration, verified=verified)
    if len(verified) < state.terms.minimum:
        settle_gradients(state, iteration, ())
        fail(state, now_ms)
    else:
        _go_on(state, iteration, UPLOADING)


def _end_uploading(state: State, iteration: Iteration, now_ms: int) -> None:
    withheld = set(iteration.verified) - set(iteration.attached)
    iteration = settle_gradients(state, iteration, withheld)
    if len(iteration.counted) < state.terms.minimum:
        fail(state, now_ms)
    else:
        draw(state, iteration, now_ms)


# --- processing: the block of sums -----------------------------------------------------------------------------------


def _end_updating(state: State, iteration: Iteration, now_ms: int) -> None:
    if iteration.sum is not None:
        _go_on(state, iteration, CHECKING)
        return
    iteration = fine_workers(state, iteration, {_leader(iteration)})
    leave_empty(state, iteration, now_ms, "the leader was silent")


def _end_checking(state: State, iteration: Iteration, now_ms: int) -> None:
    yes, no = _checks(iteration)
    needed = quorum(len(state.terms.workers))
    if yes >= needed:
        state.put_iteration(replace(iteration, phase=APPENDING, block=_block(state, iteration, now_ms)))
    elif no >= needed:
        iteration = fine_workers(state, iteration, {_leader(iteration)})
        leave_empty(state, iteration, now_ms, "workers rejected the sum")
    else:
        iteration = fine_workers(state, iteration, set(iteration.voters) - set(iteration.checks))
        leave_empty(state, iteration, now_ms, "workers did not decide")


def _end_appending(state: State, iteration: Iteration, now_ms: int) -> None:
    block = iteration.block
    if block is None:
        raise AssertionError("a block is made before it is signed")
    if iteration.signatures >= quorum(len(block.committee)):
        state.append_block(block)
        _go_on(state, iteration, DOWNLOADING)
        return
    # A quorum of workers found the sum right, and nobody has shown that it is not: who does not sign is at fault.
    silent = set(block.committee) - set(iteration.signed)
    parties = silent - set(iteration.workers)
    signed = set(iteration.signed) & set(block.committee) & set(iteration.parties)
    iteration = fine_parties(state, iteration, GRADIENTS, parties, signed)
    iteration = fine_workers(state, iteration, silent & set(iteration.workers))
    leave_empty(state, iteration, now_ms, "the committee did not sign")


def _block(state: State, iteration: Iteration, now_ms: int) -> Block:
    total = iteration.sum
    if total is None:
        raise AssertionError("a sum is checked before its block is made")
    workers = [worker for worker in iteration.voters if worker in iteration.doubts]
    return Block(
        number=state.group.blocks,
        previous=state.previous,
        kind=SUMS,
        iteration=iteration.number,
        attempt=iteration.attempt,
        time_ms=now_ms,
        counted=iteration.counted,
        committee=tuple(sorted({*iteration.counted, *workers})),
        reason="",
        leader=iteration.leader,
        root=total.root,
        locator=total.locator,
    )


def _leader(iteration: Iteration) -> MemberId:
    if iteration.leader is None:
        raise AssertionError("a leader is drawn before it is waited for")
    return iteration.leader


def _checks(iteration: Iteration) -> tuple[int, int]:
    yes = sum(iteration.checks.values())
    return yes, len(iteration.checks) - yes


# --- trading: decryption ---------------------------------------------------------------------------------------------


def _end_downloading(state: State, iteration: Iteration, now_ms: int) -> None:
    openers = iteration.openers
    iteration = fine_parties(state, iteration, DECRYPTION, set(iteration.parties) - set(openers), openers)
    yes = sum(iteration.takes.values())
    needed = quorum(len(state.terms.parties))
    if len(openers) - yes >= needed:
        # Workers may have had it: what they found then they cannot answer for now, the leader can.
        iteration = fine_workers(state, iteration, {_leader(iteration)})
        void(state, iteration, now_ms, f"parties do not have the sum of block {state.group.blocks - 1}")
    elif yes < needed:
        # Too few to agree on what it opens to: then nobody shows shares of it.
        fail(state, now_ms)
    else:
        _go_on(state, iteration, DECRYPTING)


def _end_decrypting(state: State, iteration: Iteration, now_ms: int) -> None:
    if len(set(iteration.shares) - set(iteration.unshared)) < state.terms.key.threshold:
        settle_decryption(state, iteration, ())
        fail(state, now_ms)
    else:
        _go_on(state, iteration, RETURNING)


_ENDS: Final[dict[str, Callable[[State, Iteration, int], None]]] = {
    COLLECTING: _end_collecting,
    VERIFYING: _end_verifying,
    UPLOADING: _end_uploading,
    UPDATING: _end_updating,
    CHECKING: _end_checking,
    APPENDING: _end_appending,
    DOWNLOADING: _end_downloading,
    DECRYPTING: _end_decrypting,
    RETURNING: conclude,
}


# --- who is still waited for -----------------------------------------------------------------------------------------


def _check_decided(state: State, iteration: Iteration) -> bool:
    needed = quorum(len(state.terms.workers))
    return max(_checks(iteration)) >= needed or set(iteration.voters) <= set(iteration.checks)


def _block_signed(_: State, iteration: Iteration) -> bool:
    return iteration.block is not None and iteration.signatures >= quorum(len(iteration.block.committee))


_SPOKEN: Final[dict[str, Callable[[State, Iteration], bool]]] = {
    COLLECTING: lambda _, iteration: set(iteration.parties) <= set(iteration.gradients),
    VERIFYING: lambda _, iteration: set(iteration.voters) <= set(iteration.doubts),
    UPLOADING: lambda _, iteration: set(iteration.verified) <= {*iteration.attached, *iteration.convicted},
    UPDATING: lambda _, iteration: iteration.sum is not None,
    CHECKING: _check_decided,
    APPENDING: _block_signed,
    DOWNLOADING: lambda _, iteration: set(iteration.parties) <= set(iteration.takes),
    DECRYPTING: lambda _, iteration: set(iteration.openers) <= set(iteration.shares),
    RETURNING: lambda _, iteration: set(iteration.openers) <= set(iteration.reports),
}
