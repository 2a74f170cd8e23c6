"""A learning rate that follows accepted performance (Lugan et al. 2019, §III.D.2), in integers.

``plateau`` is the rule known from PyTorch's ``ReduceLROnPlateau``: after more than ``patience`` accepted blocks in a
row without a new best on G, the rate is multiplied by ``factor``, never below ``minimum``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tclearn.coalition.evidence import MILLION, Paired
from tclearn.records import Record


@dataclass(frozen=True, slots=True)
class RateState(Record):
    """Where the rule stands.

    Attributes:
        rate_ppm: learning rate, millionths.
        best: best performance on G so far, in units of ``scale``; ``None`` before the first block.
        scale: unit of ``best``.
        bad_blocks: accepted blocks in a row without a new best.
    """

    rate_ppm: int
    best: int | None = None
    scale: int = 1
    bad_blocks: int = 0


@dataclass(frozen=True, slots=True)
class Plateau:
    """The rule's constants: ``factor_ppm`` below 1,000,000, ``patience`` in blocks, ``minimum_ppm``."""

    factor_ppm: int
    patience: int
    minimum_ppm: int

    def next(self, state: RateState, accepted: Paired) -> RateState:
        """The state after a block with this performance on G was accepted."""
        better = state.best is None or accepted.candidate * state.scale > state.best * accepted.scale
        if better:
            return replace(state, best=accepted.candidate, scale=accepted.scale, bad_blocks=0)
        if state.bad_blocks < self.patience:
            return replace(state, bad_blocks=state.bad_blocks + 1)
        rate = max(state.rate_ppm * self.factor_ppm // MILLION, self.minimum_ppm)
        return replace(state, rate_ppm=min(rate, state.rate_ppm), bad_blocks=0)
