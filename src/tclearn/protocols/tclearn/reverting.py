"""Taking the model back: on request of two thirds, or because hidden parts say that it has become worse.

The best model on G is the one to go back to. While another one is the newest, validators measure both on every hidden
part that is shown; the counts that a quorum of them agrees on are added up.
"""

from __future__ import annotations

from tclearn.coalition.acceptance import Terms, drift_guard
from tclearn.coalition.evidence import Paired
from tclearn.coalition.hidden import added, total
from tclearn.coalition.quorum import faulty_max
from tclearn.encoding import Digest, MemberId
from tclearn.protocols.tclearn.drawing import draw_generals
from tclearn.protocols.tclearn.proposing import close
from tclearn.protocols.tclearn.records import STALE, Drift, PendingRevert
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
        drift: what decided it then.
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
    if measured.scale == measured.n:
        drift = state.drift
        before = [drift.shown[keeper]] if keeper in drift.shown else []
        sums = added([*before, measured]) or measured
        state.put_drift(Drift(drift.best, {**drift.shown, keeper: sums}))


def take_back(state: State, now_ms: int) -> None:
    """Revert to the best model if hidden parts say that the newest is worse, and no other block is on its way."""
    drift = state.drift
    sums = total(drift.shown, faulty_max(len(state.members)))
    if sums is None or state.pending is not None:
        return
    acceptance = state.charter.acceptance
    guard = drift_guard(state.rule, sums, Terms(acceptance.lambda_ppm, acceptance.arguments))
    if guard is not None and not guard.passed:
        lock_for_revert(state, drift.best, now_ms, drift=sums)
