"""Verdicts on a candidate: committed to, revealed, compared on the global test set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median_low
from typing import Final

from tclearn.coalition.evidence import Evidence, Paired
from tclearn.encoding import Digest, MemberId, digest
from tclearn.records import Record

TESTED: Final = "tested"
UNAVAILABLE: Final = "unavailable"

_TOLERANCE_PARTS: Final = 1000


@dataclass(frozen=True, slots=True)
class Verdict(Record):
    """What a validator says of a candidate.

    Attributes:
        status: ``"tested"``, or ``"unavailable"`` when it could not fetch or load the candidate; that counts as a no.
        evidence: its measurement; present exactly when tested.
        vote: 1 or 0, its own judgement; present exactly when the charter keeps the counts on L private.
    """

    status: str
    evidence: Evidence | None = None
    vote: int | None = None

    def fault(
        self,
        *,
        metric: str,
        global_n: int,
        local_counts: bool,
        wants: frozenset[str] = frozenset(),
        hidden_n: int | None = None,
        drifting: bool = False,
    ) -> str | None:
        """Why this cannot be a verdict under a charter; ``None`` when it can.

        Args:
            wants: what the acceptance rule wants to have measured besides both performances.
            metric: what the charter has measured.
            global_n: number of records of the global test set.
            local_counts: whether counts on L are published (else only the vote is).
            hidden_n: see ``Evidence.fault``.
            drifting: see ``Evidence.fault``.
        """
        if self.status == UNAVAILABLE:
            return None if self.evidence is None and self.vote is None else "unavailable, yet with results"
        if self.status != TESTED or self.evidence is None:
            return 'status must be "tested" with evidence, or "unavailable"'
        if local_counts != (self.vote is None):
            return "the vote is published exactly when the counts on L are not"
        if self.vote is not None and (self.vote > 1 or self.evidence.on_local is not None):
            return "a vote is 0 or 1 and stands in place of the counts on L"
        if self.evidence.on_global.n != global_n:
            return f"the global test set has {global_n} records, not {self.evidence.on_global.n}"
        return self.evidence.fault(metric, wants, hidden_n=hidden_n, drifting=drifting)


def commitment(
    coalition: Digest, candidate: Digest, attempt: int, sender: MemberId, verdict: Verdict, salt: bytes
) -> Digest:
    """The hash that a validator publishes before it sees the others' verdicts.

    It binds the coalition, the candidate, the attempt and the sender, so that it can be neither copied nor used twice.
    """
    return digest("tclearn/verdict/1", coalition, candidate, attempt, sender, verdict.to_value(), salt)


def agreed_global(
    reported: Mapping[MemberId, Paired], needed: int, alike: Callable[[Paired, Paired], bool] | None = None
) -> Paired | None:
    """The result on G, or on other records that all validators have, that enough of them agree on.

    The candidate and G are the same for all, so honest results differ only by rounding: two results agree when both
    performances lie within max(1, 0.1 % of the scale).

    Args:
        reported: results on G by validator.
        needed: how many must agree.
        alike: whether two results agree, where it is not as above.

    Returns:
        The result that most validators report exactly, among those that ``needed`` agree on (ties: the one nearest to
        the median of the reports, then the smallest encoding); ``None`` when there is none. A single report that
        differs within the tolerance is never chosen over equal honest ones.

    Source: Lugan et al. 2019, §III.A: results on G "are compared between validators to ensure that the candidate model
    is functional and identical".
    """
    results, alike = list(reported.values()), alike or agrees
    common = [result for result in results if sum(alike(result, other) for other in results) >= needed]
    if not common:
        return None
    reference = median_low(result.reference for result in common)
    candidate = median_low(result.candidate for result in common)

    def rank(result: Paired) -> tuple[int, int, bytes]:
        off = abs(result.reference - reference) + abs(result.candidate - candidate)
        return -common.count(result), off, result.encode()

    return min(common, key=rank)


def agrees(left: Paired, right: Paired) -> bool:
    """Whether two results on G are the same up to rounding."""
    tolerance = _tolerance(left)
    return (
        (left.n, left.scale) == (right.n, right.scale)
        and abs(left.reference - right.reference) <= tolerance
        and abs(left.candidate - right.candidate) <= tolerance
    )


def agrees_by_answer(left: Paired, right: Paired) -> bool:
    """Whether two results are the same up to rounding, answers lost and gained included.

    They decide by themselves whether a difference is chance: within the tolerance of both performances a validator
    could otherwise make any difference one that chance does not explain.
    """
    tolerance = _tolerance(left)
    return (
        agrees(left, right)
        and abs(left.lost - right.lost) <= tolerance
        and abs(left.gained - right.gained) <= tolerance
    )


def _tolerance(result: Paired) -> int:
    return max(1, result.scale // _TOLERANCE_PARTS)
