"""Misbehaviour that the demo can give to a member: ``KIND@MEMBER``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from tclearn.errors import Code, UsageError
from tclearn.learning.records import Records
from tclearn.learning.trainer import Trainer
from tclearn.protocols.tclearn.adversaries import Noise, Replay, Reuse

LABEL_FLIP: Final = "label-flip"
NOISE: Final = "noise"
DUPLICATE: Final = "duplicate"
REPLAY: Final = "replay"
KINDS: Final = (LABEL_FLIP, NOISE, DUPLICATE, REPLAY)

_WRAPPERS: Final[dict[str, Callable[[Trainer], Trainer]]] = {NOISE: Noise, DUPLICATE: Reuse, REPLAY: Replay}


@dataclass(frozen=True, slots=True)
class Attack:
    """One member's misbehaviour.

    Attributes:
        kind: ``"label-flip"`` (class c is called C - 1 - c), ``"noise"`` (Gaussian noise on every weight),
            ``"duplicate"`` (another member's records), ``"replay"`` (the model as it stands, offered again).
        member: who.
    """

    kind: str
    member: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``KIND@MEMBER``.

        Raises:
            UsageError: not of that form, or no such kind.
        """
        kind, at, member = text.partition("@")
        if not at or not member or kind not in KINDS:
            raise UsageError(
                Code.USAGE,
                f"the attack {text!r}",
                expected=f"KIND@MEMBER with KIND one of {', '.join(KINDS)}",
                remedy="for example --attack label-flip@hospital-3",
            )
        return cls(kind, member)

    def __str__(self) -> str:
        return f"{self.kind}@{self.member}"

    def data(self, own: Records, victim: Records, classes: int) -> Records:
        """The records that the member uses, given its own and those of the member it copies."""
        if self.kind == LABEL_FLIP:
            return Records(own.inputs, np.asarray(classes - 1 - own.targets, dtype=own.targets.dtype))
        return victim if self.kind == DUPLICATE else own

    @property
    def wrapper(self) -> Callable[[Trainer], Trainer] | None:
        """What its trainer is wrapped in, if in anything."""
        return _WRAPPERS.get(self.kind)


def default_attacks(members: Sequence[str]) -> tuple[Attack, ...]:
    """The demo's story: the third member flips labels, the fourth submits used records, if others can outvote them."""
    story = tuple(Attack(kind, member) for kind, member in zip((LABEL_FLIP, DUPLICATE), members[2:4], strict=False))
    return story if len(members) >= 6 else story[:1] if len(members) >= 4 else ()
