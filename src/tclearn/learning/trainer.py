"""The seam between a protocol and machine learning: what a member's trainer does for it."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tclearn.coalition.evidence import Evidence
from tclearn.learning.parameters import Parameters

DataId = bytes
"""16 bytes that name a record without showing it (HMAC-SHA256 under the coalition's key, cut)."""


@dataclass(frozen=True, slots=True)
class Work:
    """What the coalition asks of one training step.

    Attributes:
        seed: fixes every random choice of the step.
        hyperparameters: as the ledger has them now: counts, and ``learning_rate`` in millionths.
        used: data IDs that already count on the ledger; such records are skipped.
    """

    seed: int
    hyperparameters: Mapping[str, int]
    used: Container[DataId]


@dataclass(frozen=True, slots=True)
class Contribution:
    """An increment ready to be proposed.

    Attributes:
        parameters: the candidate model M_{i+1}.
        data_ids: IDs of every record of this contribution, trained on or put aside, ascending, all different.
        set_aside: how many of them were put aside into the local test set L and not trained on.
    """

    parameters: Parameters
    data_ids: tuple[DataId, ...]
    set_aside: int


class Trainer(Protocol):
    """The user's model and one member's data, bound together."""

    def initial(self, seed: int) -> Parameters:
        """M_0, drawn from a seeded normal distribution: the same bytes at every member."""

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        """Train from ``start`` on records not used yet; ``None``: nothing new to offer."""

    def measure(self, reference: Parameters, candidate: Parameters, used: Container[DataId]) -> Evidence:
        """Measure both models on G and on this member's L (its put-aside records whose IDs are in ``used``).

        The increment itself (``Evidence.step``) is not the trainer's to measure.
        """

    def model(self, parameters: Parameters) -> Any:
        """The parameters in the form the user's framework takes (a state dict, a fitted estimator)."""


@dataclass(frozen=True, slots=True)
class Task:
    """What the charter fixes for every member's trainer.

    Attributes:
        model: the model factory; called with ``arguments``.
        arguments: keyword arguments of the factory.
        metric: ``"accuracy"``, ``"macro_f1"``, ``"auc"`` or ``"dice"``.
        global_test: the global test set G, in a form the recipe knows.
        local_share: share of each contribution that is put aside for L, millionths.
        data_key: key of the data IDs (32 bytes).
        step_search: where M + a·Δ is tried for a in {1, .6, .35, .2} before proposing: ``"own"`` (the member's own
            hold-out), ``"global"`` (G) or ``"none"``.
        wants: what the acceptance rule wants to have measured besides both performances.
    """

    model: Callable[..., Any]
    metric: str
    global_test: Any
    arguments: Mapping[str, Any] = field(default_factory=dict)
    local_share: int = 100_000
    data_key: bytes = field(default=bytes(32), repr=False)
    step_search: str = "own"
    wants: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class LocalData:
    """What one member brings.

    Attributes:
        training: its data set, or a callable that gives it, asked anew at each invitation; ``None``: validates only.
        local_test: a local test set of its own; ``None``: L grows from what contributions put aside.
        contributions: into how many contributions the records now at hand are divided.
    """

    training: Any
    local_test: Any = None
    contributions: int = 1


class Recipe(Protocol):
    """How to train: what a user writes once for all members (``TorchTrainer(...)``, ``SklearnTrainer(...)``)."""

    def hyperparameters(self) -> Mapping[str, int]:
        """The starting values that the charter records: counts, and ``learning_rate`` in millionths."""

    def bind(self, task: Task, data: LocalData) -> Trainer:
        """A trainer for one member.

        Raises:
            DataError: the data cannot be read or do not have the form the recipe takes.
        """
