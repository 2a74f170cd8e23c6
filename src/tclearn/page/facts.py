"""Queries of a state that several parts of the report share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from tclearn.coalition.block import INCREMENT, REVERT
from tclearn.coalition.evidence import Paired
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.encoding import MemberId
from tclearn.page.text import in_order
from tclearn.protocols.tclearn.history import REVERTED, Ballot, Step, history
from tclearn.protocols.tclearn.records import ACCEPTED, STALE, Candidate, ChainedBlock
from tclearn.protocols.tclearn.state import State

WAITING: Final = "waiting"
"""No verdict yet, and there is still time for one."""
SPARED: Final = "spared"
"""No verdict, and none was needed any more."""
APPROVED: Final = "approved"
"""Approved a revert."""
UNAPPROVED: Final = "unapproved"
"""Had not approved it when two thirds had; nobody has to."""


@dataclass(frozen=True, slots=True)
class Local:
    """A block's model on one member's L.

    Attributes:
        value: performance, 0 to 1.
        result: the measurement, with ``n``.
        direct: whether it was measured when the block was a candidate; else as the reference of a later one.
    """

    value: float
    result: Paired
    direct: bool


class Facts:
    """A state, asked once.

    Args:
        state: the coalition's state.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.charter: ResolvedCharter = state.charter
        self.members: tuple[MemberId, ...] = tuple(in_order(state.members))
        self.everybody: tuple[MemberId, ...] = tuple(in_order({*state.members, *state.former}))
        """The members, and those who were members once."""
        self.steps: list[Step] = history(state)
        self.blocks: list[ChainedBlock] = list(state.blocks())
        self.candidates: list[Candidate] = [state.candidate(number) for number in range(state.candidates)]
        self._by_entry = {candidate.entry: candidate for candidate in self.candidates}

    @property
    def tip(self) -> ChainedBlock:
        """The newest block."""
        return self.blocks[-1]

    def candidate(self, step: Step) -> Candidate | None:
        """The candidate of a step; ``None`` for a revert."""
        return None if step.status == REVERTED else self._by_entry[step.entry]

    def step_of_block(self, index: int) -> Step | None:
        """The step that brought a block; ``None`` for genesis."""
        return self._by_block.get(index)

    def anchor(self, step: Step) -> str:
        """Where the report tells of a step."""
        candidate = self.candidate(step)
        if candidate is None or step.block is not None:
            return f"#block-{step.block}"
        return f"#candidate-{candidate.number}"

    def counted(self, *statuses: str) -> int:
        """Steps with one of these outcomes."""
        return sum(step.status in statuses for step in self.steps)

    @cached_property
    def present(self) -> frozenset[int]:
        """Increment blocks that the present model is made of; reverted ones are not."""
        return frozenset(block.index for block in self.state.lineage(self.tip.block.index))

    @cached_property
    def increments(self) -> int:
        """Accepted increments, reverted ones included."""
        return sum(chained.block.kind == INCREMENT for chained in self.blocks)

    @cached_property
    def local(self) -> Mapping[MemberId, Mapping[int, Local]]:
        """Performance of the blocks' models on every member's L, by member and block index, as far as published.

        A contributor does not vote on its own candidate. Its L, and the L of whoever was not drawn, is taken from the
        first later candidate that was measured against that block.
        """
        direct: dict[MemberId, dict[int, Local]] = defaultdict(dict)
        later: dict[MemberId, dict[int, Local]] = defaultdict(dict)
        for candidate in self.candidates:
            in_chain = candidate.status == ACCEPTED and candidate.height <= self.state.tip
            for name, verdict in candidate.reveals.items():
                result = verdict.evidence.on_local if verdict.evidence else None
                if result is None:
                    continue
                member = MemberId(name)
                if in_chain:
                    value = float(result.candidate_performance)
                    direct[member][candidate.height] = Local(value, result, True)
                reference = Local(float(result.reference_performance), result, False)
                later[member].setdefault(candidate.reference, reference)
        known = {member: {**later[member], **direct[member]} for member in self.everybody}
        for chained in self.blocks:
            block = chained.block
            if block.kind == REVERT and block.reverts is not None:  # the same model as its target
                for series in known.values():
                    if block.reverts in series:
                        series.setdefault(block.index, series[block.reverts])
        return {member: dict(sorted(series.items())) for member, series in known.items()}

    @cached_property
    def _by_block(self) -> dict[int, Step]:
        return {step.block: step for step in self.steps if step.block is not None}


def vote_shown(step: Step, ballot: Ballot) -> str:
    """What a ballot is called: a verdict that can still come, or is needed no more, is not missing."""
    if step.status == REVERTED:
        return APPROVED if ballot.vote == "yes" else UNAPPROVED
    if ballot.vote == "missing" and not step.closed:
        return WAITING
    if ballot.vote == "missing" and step.status == STALE:
        return SPARED
    return ballot.vote
