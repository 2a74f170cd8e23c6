"""Misbehaviour that the demo can give to a member: ``KIND@MEMBER``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from tclearn.errors import Code, UsageError
from tclearn.learning.records import Records
from tclearn.learning.trainer import Trainer
from tclearn.protocols.tclearn.adversaries import (
    EarlierModel,
    FalseResults,
    FlippedLabels,
    Lazy,
    Memorised,
    NearCopy,
    Noise,
    Poisoned,
    Replay,
    Reuse,
    SignFlip,
    TargetedClass,
    Trigger,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of misbehaviour.

    Attributes:
        words: what the member does.
        wrapper: what its trainer is wrapped in, if in anything.
        poison: what is done to its records, given the number of classes and G, if anything.
        copies: whether it holds another member's records.
    """

    words: str
    wrapper: Callable[[Trainer], Trainer] | None = None
    poison: Callable[[int, Records], Callable[[Records], Records]] | None = None
    copies: bool = False


LABEL_FLIP: Final = "label-flip"
DUPLICATE: Final = "duplicate"
KINDS: Final[Mapping[str, Kind]] = {
    LABEL_FLIP: Kind("class c is called C - 1 - c", poison=lambda c, _: FlippedLabels(c)),
    "sign-flip": Kind("M - Δ instead of M + Δ", SignFlip),
    "noise": Kind("Gaussian noise on every weight", Noise),
    DUPLICATE: Kind("another member's records", Reuse, copies=True),
    "replay": Kind("the model as it stands, offered again", Replay),
    "near-copy": Kind("the same with a trace of noise: no work, and a place in the chain", NearCopy),
    "earlier-model": Kind("the model of its own first turn, with a trace of noise", EarlierModel),
    "lazy": Kind("one epoch, whatever the charter asks for", Lazy),
    "relabel": Kind("the last class is called by the first one's name", Poisoned, lambda c, _: TargetedClass(c - 1, 0)),
    "backdoor": Kind("half of its records get a mark and are called class 0", Poisoned, lambda *_: Trigger(0)),
    "memorise": Kind("G is learnt by heart, and everything else wrong", Poisoned, lambda c, g: Memorised(g, c)),
    "false-results": Kind("votes against everything", FalseResults),
}


@dataclass(frozen=True, slots=True)
class Named:
    """One member's misbehaviour, as it is typed.

    Attributes:
        kind: one of those that the demonstration has.
        member: who.
    """

    kind: str
    member: str

    def __str__(self) -> str:
        return f"{self.kind}@{self.member}"


@dataclass(frozen=True, slots=True)
class Attack(Named):
    """One member's misbehaviour, of ``KINDS``."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``KIND@MEMBER``.

        Raises:
            UsageError: not of that form, or no such kind.
        """
        return cls(*kind_and_member(text, KINDS, "label-flip@hospital-3"))

    def data(self, own: Records, victim: Records, classes: int, global_test: Records) -> Records:
        """The records that the member uses, given its own, those of the member it copies, and G."""
        kind = KINDS[self.kind]
        held = victim if kind.copies else own
        return kind.poison(classes, global_test)(held) if kind.poison else held

    @property
    def wrapper(self) -> Callable[[Trainer], Trainer] | None:
        """What its trainer is wrapped in, if in anything."""
        return KINDS[self.kind].wrapper


def kind_and_member(text: str, kinds: Collection[str], example: str) -> tuple[str, str]:
    """The parts of ``KIND@MEMBER``.

    Args:
        text: what was typed.
        kinds: those that there are.
        example: shown when it is something else.

    Raises:
        UsageError: not of that form, or no such kind.
    """
    kind, at, member = text.partition("@")
    if not at or not member or kind not in kinds:
        raise UsageError(
            Code.USAGE,
            f"the attack {text!r}",
            expected=f"KIND@MEMBER with KIND one of {', '.join(kinds)}",
            remedy=f"for example --attack {example}",
        )
    return kind, member


def default_attacks(members: Sequence[str]) -> tuple[Attack, ...]:
    """The demo's story: the third member flips labels, the fourth submits used records, if others can outvote them."""
    story = tuple(Attack(kind, member) for kind, member in zip((LABEL_FLIP, DUPLICATE), members[2:4], strict=False))
    return story if len(members) >= 6 else story[:1] if len(members) >= 4 else ()
