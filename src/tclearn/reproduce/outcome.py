"""What comes out of a run, as it is kept in a JSON file between runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

GLOBAL: Final = "G"
"""Name of the global test set among the sets that are measured; local ones have their member's name."""
ACCEPTED: Final = "accepted"


@dataclass(frozen=True, slots=True)
class Point:
    """A model on a set of records.

    Attributes:
        performance: by the charter's metric, 0 to 1.
        loss: by the trainer's loss; lower is better.
    """

    performance: float
    loss: float


@dataclass(frozen=True, kw_only=True)
class Increment:
    """One increment that was offered.

    Attributes:
        member: who offered it.
        status: ``"accepted"``, or why not: ``"rejected"``, ``"refused"`` …
        reason: the same in words and numbers.
        samples: records of the contribution.
        trained: of them, records trained on.
        block: index of its block; ``None``: it has none.
        hash: of the block, hexadecimal; empty without one.
        parameters: digest of the parameters offered, hexadecimal.
        hyperparameters: those it was trained with: counts, and ``learning_rate`` in millionths.
        yes: validators that voted for it.
        votes: validators that were asked.
        strictly: validators that would have voted for it with λ = 1.
        reported: performance that the record has: of the quorum on G, of each validator on its L; 0 to 1.
        measured: the block's model on G and on every local test set; empty without a block.
        training: the training, epoch by epoch, on the very batches that were trained on.
    """

    member: str
    status: str
    reason: str
    samples: int
    trained: int
    block: int | None
    hash: str
    parameters: str
    hyperparameters: Mapping[str, int]
    yes: int
    votes: int
    strictly: int
    reported: Mapping[str, float]
    measured: Mapping[str, Point]
    training: tuple[Point, ...]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """From what ``Outcome.as_json`` has of it."""
        training = tuple(Point(**point) for point in value["training"])
        return cls(**{**value, "measured": _points(value["measured"]), "training": training})


@dataclass(frozen=True, slots=True)
class Approval:
    """A ledger entry by which a member has asked for other hyper-parameters, or approved them.

    Attributes:
        entry: its index.
        member: who.
        method: ``"request"`` or ``"approve"``.
        after: index of the newest block when it was said.
    """

    entry: int
    member: str
    method: str
    after: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came out of one run.

    Attributes:
        name: the run's.
        seed: the run's.
        coalition: digest of the charter, hexadecimal; empty for training in one place.
        start: M_0 on each set; empty when nothing is trained.
        increments: all that were offered, in order; for training in one place the one that was made.
        approvals: ledger entries about other hyper-parameters.
        entries: entries of the record; 0: there is no record.
        seconds: time of the last run that worked on it.
        numbers: what else was measured, by name, with its unit in the name.
    """

    name: str
    seed: int
    coalition: str
    start: Mapping[str, Point]
    increments: tuple[Increment, ...]
    approvals: tuple[Approval, ...] = ()
    entries: int = 0
    seconds: float = 0.0
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def accepted(self) -> list[Increment]:
        """The increments that became part of the model."""
        return [increment for increment in self.increments if increment.status == ACCEPTED]

    def curve(self, of: str = GLOBAL) -> list[float]:
        """Performance on one set, of M_0 and of each model after it."""
        return [self.start[of].performance, *(each.measured[of].performance for each in self.accepted)]

    def final(self, of: str = GLOBAL) -> float:
        """Performance of the last model."""
        return self.curve(of)[-1]

    def as_json(self) -> dict[str, Any]:
        """For ``from_json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of ``as_json``.

        Raises:
            TypeError: it is not of this form.
            KeyError: something is missing.
        """
        increments = tuple(Increment.from_json(each) for each in value["increments"])
        approvals = tuple(Approval(**each) for each in value["approvals"])
        return cls(**{**value, "start": _points(value["start"]), "increments": increments, "approvals": approvals})


def _points(value: Mapping[str, Any]) -> dict[str, Point]:
    return {name: Point(**point) for name, point in value.items()}
