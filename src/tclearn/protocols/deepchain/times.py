"""The nine time points of an iteration, and the phases between them.

Source: Weng et al., "DeepChain", §4.3, algorithms 1 and 2, figure 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from tclearn.coalition.faults import Faults
from tclearn.records import Record

_DAY_MS: Final = 86_400_000
_MS_MAX: Final = 365 * _DAY_MS

COLLECTING: Final = "collecting"
"""Until T_t1, algorithm 1 lines 1–3: parties hand in encrypted gradients."""
VERIFYING: Final = "verifying"
"""Until T_t2, lines 4–6: workers vote on them."""
UPLOADING: Final = "uploading"
"""Until T_t3, lines 7–9: parties attach what was verified to the group's address."""
UPDATING: Final = "updating"
"""Until T_t7, algorithm 2 lines 1–3: the leader adds up."""
CHECKING: Final = "checking"
"""Until T_t8, lines 4–6: workers vote on the sum."""
APPENDING: Final = "appending"
"""Until T_t9, lines 7–9: the committee signs the block."""
DOWNLOADING: Final = "downloading"
"""Until T_t4, algorithm 1 lines 10–12: parties fetch the encrypted sum."""
DECRYPTING: Final = "decrypting"
"""Until T_t5, lines 13–15: parties hand in decryption shares."""
RETURNING: Final = "returning"
"""Until T_t6, lines 16–18: parties say what they have opened; deposits go back."""

PHASES: Final = (
    COLLECTING,
    VERIFYING,
    UPLOADING,
    UPDATING,
    CHECKING,
    APPENDING,
    DOWNLOADING,
    DECRYPTING,
    RETURNING,
)
_REPEATED_FROM: Final = PHASES.index(UPDATING)
"""From here on deadlines are T_r later for each block that stayed empty."""
_PHASE_MS_MIN: Final = 1000
"""A shorter phase leaves no time to notice that it has begun, and costs whoever is asked in it a deposit."""


@dataclass(frozen=True, slots=True)
class Times(Record):
    """Deadlines in milliseconds of ledger time, all counted from an iteration's start.

    The next iteration begins when this one ends, so |T_{i+1} − T_i| is T_t6, or less when everybody has spoken before.
    A block that stays empty puts off all that follow it by T_r: whoever is asked in a phase has as long for it as the
    terms say, however many blocks it took to get there.

    Attributes:
        t1: T_t1, gradients are in.
        t2: T_t2, gradients are verified.
        t3: T_t3, verified gradients are attached.
        t4: T_t4, the sum is downloaded; no block is tried again that would be appended after it.
        t5: T_t5, decryption shares are in.
        t6: T_t6, what was opened is returned.
        t7: T_t7, the leader has added up.
        t8: T_t8, the sum is verified.
        t9: T_t9, the block is appended.
        block_ms: T_r, by which T_t7 and all later ones are put off when a block stays empty.
        patience_ms: so long a group with too few deposits waits for more before it is dissolved.
    """

    t1: int
    t2: int
    t3: int
    t4: int
    t5: int
    t6: int
    t7: int
    t8: int
    t9: int
    block_ms: int
    patience_ms: int

    def due_ms(self, phase: str, attempt: int) -> int:
        """When a phase ends, counted from the iteration's start.

        Args:
            phase: one of ``PHASES``.
            attempt: blocks of this iteration that stayed empty.
        """
        offsets = (self.t1, self.t2, self.t3, self.t7, self.t8, self.t9, self.t4, self.t5, self.t6)
        place = PHASES.index(phase)
        return offsets[place] + (attempt * self.block_ms if place >= _REPEATED_FROM else 0)

    def allows_attempt(self, attempt: int) -> bool:
        """Whether a block may still be made after so many that stayed empty: its T_t9 is not after the terms' T_t4."""
        return self.due_ms(APPENDING, attempt) <= self.t4

    def check(self, faults: Faults) -> None:
        """Note times that are out of the paper's order, or leave no time for a phase.

        The paper allows T_t3 = T_t7 and T_t9 = T_t4. Then the phase between them may have no time at all, and whoever
        was asked in it would pay.
        """
        ordered = (
            ("0", 0),
            ("t1", self.t1),
            ("t2", self.t2),
            ("t3", self.t3),
            ("t7", self.t7),
            ("t8", self.t8),
            ("t9", self.t9),
            ("t4", self.t4),
            ("t5", self.t5),
            ("t6", self.t6),
        )
        for (name, before), (later_name, after) in pairwise(ordered):
            if after - before < _PHASE_MS_MIN:
                found = f"[times] {later_name} is {after} ms, {name} is {before} ms"
                faults.add(found, f"{name} + {_PHASE_MS_MIN} <= {later_name}")
        if self.block_ms < self.t9 - self.t3:
            faults.add(
                f"[times] block_ms is {self.block_ms}",
                f"at least t9 - t3, {self.t9 - self.t3}: each leader has as long as the first",
            )
        if self.block_ms > self.t6 - self.t1:
            faults.add(f"[times] block_ms is {self.block_ms}", f"at most t6 - t1, {self.t6 - self.t1}")
        if max(self.t6, self.patience_ms) > _MS_MAX or self.patience_ms < 1:
            faults.add(f"[times] t6 {self.t6}, patience_ms {self.patience_ms}", f"from 1 to {_MS_MAX} ms")
