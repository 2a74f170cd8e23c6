"""Taking the model back: on request of two thirds, or because hidden parts say that it has become worse.

The best model on G is the one to go back to. While another one is the newest, validators measure both on every hidden
part that is shown; the counts that a quorum of them agrees on are added up, for each keeper by itself.
"""

from __future__ import annotations

from tclearn.coalition.acceptance import Terms, drift_guard
from tclearn.coalition.evidence import Paired
from tclearn.coalition.hidden import added
from tclearn.coalition.quorum import faulty_max
from tclearn.encoding import Digest, MemberId
from tclearn.protocols.tclearn.drawing import draw_generals
from tclearn.protocols.tclearn.proposing import close
from tclearn.protocols.tclearn.records import STALE, Candidate, Drift, PendingRevert
from tclearn.protocols.tclearn.state import State


def lock_for_revert(
    state: State, target: int, now_ms: int, *, change: Digest | None = None, drift: Paired | None = None
) -> None:
    """A revert becomes the pending block; all members are its committee.

    Args:
        state: without a pending block.
        target: index of the block whose model is restored.
        now_ms: the time.
        change: name of the approved change that asks for it; ``None``: nobody asked.
        drift: what decided it then: the counts of the keepers whose parts ask for it, added up.
    """
    for candidate in state.open_candidates():
        close(state, candidate, STALE, "the model was reverted", now_ms)
    height = state.tip + 1
    state.put_pending(
        PendingRevert(
            height=height,
            committee=state.members,
            generals=draw_generals(state, height, state.members),
            misses=0,
            due_ms=now_ms + state.charter.schedule.seal_ms,
            since_ms=now_ms,
            sealed=None,
            target=target,
            change=change,
            drift=drift,
        )
    )


def count_drift(state: State, keeper: MemberId, measured: Paired) -> None:
    """Add what a keeper's part has said of the newest model beside the best one, where answers are counted."""
    if measured.counted:
        drift = state.drift
        before = [drift.shown[keeper]] if keeper in drift.shown else []
        sums = added([*before, measured]) or measured
        state.put_drift(Drift(drift.best, {**drift.shown, keeper: sums}))


def follow_drift(state: State, candidate: Candidate) -> None:
    """An accepted candidate has become the newest model: counts about the one before say nothing of it.

    They stay only where the candidate's own part finds it worse than the best model, too. What that part has said takes
    the place of what its keeper's parts have said before.
    """
    before = state.drift.shown
    state.forget_drift()
    hidden = candidate.hidden
    own = hidden.performance if hidden else None
    best, reference = state.block(state.block(state.tip).best), state.block(candidate.reference)
    if hidden is None or hidden.part is None or own is None or best.parameters != reference.parameters:
        return
    if own.counted:
        kept = before if _objects(state, own) else {}
        state.put_drift(Drift(best.index, {**kept, hidden.part.keeper: own}))


def take_back(state: State, now_ms: int) -> None:
    """Revert to the best model if the parts of more than f keepers say that the newest is worse.

    Each keeper's counts are judged by themselves. A keeper can choose records on which one model is right and the other
    wrong; judged so, f keepers that plot can neither bring a revert about nor prevent one. While another block is on
    its way, nothing happens.
    """
    if state.pending is not None:
        return
    drift = state.drift
    against = [sums for keeper, sums in drift.shown.items() if keeper in state.members and _objects(state, sums)]
    if len(against) > faulty_max(len(state.members)):
        lock_for_revert(state, drift.best, now_ms, drift=added(against))


def _objects(state: State, sums: Paired) -> bool:
    acceptance = state.charter.acceptance
    guard = drift_guard(state.rule, sums, Terms(acceptance.lambda_ppm, acceptance.arguments))
    return guard is not None and not guard.passed
