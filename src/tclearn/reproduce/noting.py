"""A trainer that notes how its training goes, epoch by epoch, and is otherwise the trainer that it wraps."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tclearn.encoding import Digest
from tclearn.files import make_folder, write_whole
from tclearn.learning.parameters import Parameters
from tclearn.learning.trainer import Contribution, LocalData, Task, Trainer, Work
from tclearn.protocols.tclearn.adversaries import Honest
from tclearn.reproduce.outcome import Point
from tclearn.reproduce.plan import Tell

if TYPE_CHECKING:
    import torch

    from tclearn.learning.trainers.torch import TorchTrainer


@dataclass
class NotingLoss:
    """A loss that keeps what it was called with: of each batch its size, and the sums of loss and performance.

    Attributes:
        loss: the loss proper, the mean over the records of a batch.
        metric: ``"accuracy"`` or ``"dice"``.
        tell: told the size of each batch.
    """

    loss: Callable[[Any, Any], Any]
    metric: str
    tell: Tell
    _batches: list[tuple[int, torch.Tensor, torch.Tensor]] = field(default_factory=list, repr=False)

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss itself."""
        value: torch.Tensor = self.loss(outputs, targets)
        right = _performance(self.metric, outputs.detach(), targets)
        self._batches.append((len(targets), value.detach() * len(targets), right))
        self.tell(len(targets))
        return value

    def epochs(self, number: int) -> list[Point]:
        """What was noted since it was last asked, divided into equal epochs; the newest model of each batch counts."""
        noted, self._batches = self._batches, []
        size = len(noted) // max(1, number)
        parts = [noted[at : at + size] for at in range(0, size * number, size)] if size else []
        points = []
        for part in parts:
            records = sum(count for count, _, _ in part)
            loss, right = (sum(float(each[place]) for each in part) for place in (1, 2))
            points.append(Point(performance=right / records, loss=loss / records))
        return points


@dataclass(frozen=True)
class NotingRecipe:
    """``TorchTrainer`` with notes: a file per increment, named by its parameters.

    Attributes:
        recipe: how to train.
        folder: where the notes go.
        metric: what performance is in them.
        tell: told as records are trained on.
    """

    recipe: TorchTrainer
    folder: Path
    metric: str
    tell: Tell
    _loss: NotingLoss = field(init=False, repr=False)
    _noting: TorchTrainer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        loss = NotingLoss(self.recipe.loss, self.metric, self.tell)
        object.__setattr__(self, "_loss", loss)
        object.__setattr__(self, "_noting", replace(self.recipe, loss=loss))

    def hyperparameters(self) -> Mapping[str, int]:
        """See ``Recipe.hyperparameters``."""
        return self.recipe.hyperparameters()

    def bind(self, task: Task, data: LocalData) -> Trainer:
        """See ``Recipe.bind``."""
        return _NotingTrainer(self._noting.bind(task, data), self._loss, self.folder)

    def notes(self, parameters: Digest) -> tuple[Point, ...]:
        """The training of an increment, epoch by epoch; empty when nothing was noted."""
        file = _file(self.folder, parameters)
        return tuple(Point(**point) for point in json.loads(file.read_bytes())) if file.exists() else ()


@dataclass
class _NotingTrainer(Honest):
    loss: NotingLoss
    folder: Path

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        contribution = self.trainer.train(start, work)
        if contribution is not None:
            points = self.loss.epochs(work.hyperparameters["epochs"])
            make_folder(self.folder)
            # Before anybody hears of the increment: a run that is interrupted later still has its notes.
            text = json.dumps([asdict(point) for point in points])
            write_whole(_file(self.folder, contribution.parameters.digest), text.encode())
        return contribution


def _file(folder: Path, parameters: Digest) -> Path:
    return folder / f"{parameters.hex()}.json"


def _performance(metric: str, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The sum over the records of a batch."""
    if metric == "dice":
        inside, wanted = (outputs > 0).flatten(1), (targets > 0).flatten(1)
        both, sums = 2 * (inside & wanted).sum(1), inside.sum(1) + wanted.sum(1)
        return ((both + (sums == 0)) / sums.clamp(min=1)).sum()
    return (outputs.argmax(1) == targets).sum()
