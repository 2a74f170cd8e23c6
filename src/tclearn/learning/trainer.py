"""The seam between a protocol and machine learning: what a member's trainer does for it."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from tclearn.coalition.evidence import Evidence, Paired
from tclearn.coalition.privacy import PrivacyEvent
from tclearn.coalition.terms import PrivacyTerms
from tclearn.encoding import Digest
from tclearn.learning.id_source import IdSource
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records

DataId = bytes
"""16 bytes that name a record without showing it; see ``tclearn.learning.id_source``."""


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
        privacy: what was done to keep the records private, where the task asks for it.
    """

    parameters: Parameters
    data_ids: tuple[DataId, ...]
    set_aside: int
    privacy: PrivacyEvent | None = None


class Trainer(Protocol):
    """The user's model and one member's data, bound together."""

    def initial(self, seed: int) -> Parameters:
        """M_0, drawn from a seeded normal distribution: the same bytes at every member."""

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        """Train from ``start`` on records not used yet; ``None``: nothing new to offer."""

    def measure(self, reference: Parameters, candidate: Parameters, used: Container[DataId]) -> Evidence:
        """Measure both models on G and on this member's L (its put-aside records whose IDs are in ``used``).

        The increment itself (``Evidence.step``) and hidden parts (``HiddenTests``) are measured elsewhere.
        """

    def model(self, parameters: Parameters) -> Any:
        """The parameters in the form the user's framework takes (a state dict, a fitted estimator)."""


@runtime_checkable
class HiddenTests(Protocol):
    """What a trainer has besides where it can bring and measure hidden parts; without it there are none."""

    def hidden_parts(self, earlier: Set[Digest]) -> Sequence[Records]:
        """Test records that nobody has seen, divided into parts; none where there is nothing new.

        The same records give the same parts.

        Args:
            earlier: digests of the records of all this member's parts before, shown or not, to be left out.
        """

    def compare(self, reference: Parameters, candidate: Parameters, records: Records) -> Paired | None:
        """Measure both models on records that another member has shown.

        Returns:
            ``None`` where that cannot be done: records of another form than G, or for which the metric is not defined.
        """


@dataclass(frozen=True, slots=True)
class Task:
    """What the charter fixes for every member's trainer.

    Attributes:
        model: the model factory; called with ``arguments``.
        arguments: keyword arguments of the factory.
        metric: ``"accuracy"``, ``"macro_f1"``, ``"auc"`` or ``"dice"``.
        global_test: the global test set G, in a form the recipe knows.
        local_share: share of each contribution that is put aside for L, millionths.
        minimum_batch: how many records a contribution trains on at least.
        data_key: key of the data IDs (32 bytes).
        step_search: where M + a·Δ is tried for a in {1, .6, .35, .2} before proposing: ``"own"`` (the member's own
            hold-out; not together with ``privacy``), ``"global"`` (G) or ``"none"``.
        wants: what the acceptance rule wants to have measured besides both performances.
        privacy: the charter's mechanism of differential privacy; ``None``: there is none.
        seeded_noise: the noise comes from the seed of the work, for simulations; else from the operating system.
    """

    model: Callable[..., Any]
    metric: str
    global_test: Any
    arguments: Mapping[str, Any] = field(default_factory=dict)
    local_share: int = 100_000
    minimum_batch: int = 1
    data_key: bytes = field(default=bytes(32), repr=False)
    step_search: str = "own"
    wants: frozenset[str] = frozenset()
    privacy: PrivacyTerms | None = None
    seeded_noise: bool = False


@dataclass(frozen=True, slots=True)
class LocalData:
    """What one member brings.

    Attributes:
        training: its data set, or a callable that gives it, asked anew at each invitation; ``None``: validates only.
        local_test: a local test set of its own; ``None``: L grows from what contributions put aside.
        contributions: into how many contributions the records now at hand are divided.
        hidden_test: test records that nobody else has, kept hidden until they are shown part by part, where the
            acceptance rule looks at such parts; or a callable that gives them. They are not trained on.
        hidden_parts: into how many parts these are divided; each is used once.
        ids: where data IDs come from; ``None``: the task's data key.
    """

    training: Any
    local_test: Any = None
    contributions: int = 1
    hidden_test: Any = None
    hidden_parts: int = 8
    ids: IdSource | None = None


class Recipe(Protocol):
    """How to train: what a user writes once for all members (``TorchTrainer(...)``, ``SklearnTrainer(...)``)."""

    def hyperparameters(self) -> Mapping[str, int]:
        """The starting values that the charter records: counts, and ``learning_rate`` in millionths."""

    def bind(self, task: Task, data: LocalData) -> Trainer:
        """A trainer for one member.

        Raises:
            DataError: the data cannot be read or do not have the form the recipe takes.
        """
