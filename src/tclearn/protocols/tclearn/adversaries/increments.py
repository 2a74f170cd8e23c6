"""Members that offer something else than what they have trained; Δ is what an honest training would add to M."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tclearn.learning.parameters import Parameters
from tclearn.learning.trainer import Contribution, Work
from tclearn.protocols.tclearn.adversaries.honest import Honest


@dataclass
class Changed(Honest):
    """Trains as it should, and offers something else with the records of that training; base of those that do."""

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        """See ``Trainer.train``."""
        contribution = self.trainer.train(start, work)
        if contribution is None:
            return None
        return replace(contribution, parameters=self.offered(start, contribution.parameters, work))

    @abstractmethod
    def offered(self, start: Parameters, honest: Parameters, work: Work) -> Parameters:
        """What is offered.

        Args:
            start: M, the model as it stands.
            honest: M + Δ, what the training has given.
            work: of the training; its seed fixes every random choice here too.
        """


@dataclass
class Noise(Changed):
    """Offers its honest increment with Gaussian noise on every weight.

    Source: Blanchard et al. 2017, Machine Learning with Adversaries (NIPS), §5, the Gaussian attack.

    Attributes:
        scale: standard deviation of the noise, in units of each tensor's own root mean square.
    """

    scale: float = 2.0

    def offered(self, start: Parameters, honest: Parameters, work: Work) -> Parameters:
        """M + Δ + noise."""
        return noisy(honest, self.scale, work.seed)


@dataclass
class SignFlip(Changed):
    """Goes the other way: offers M - a·Δ.

    Source: Li et al. 2019, RSA: Byzantine-Robust Stochastic Aggregation Methods (AAAI), sign-flipping attack.

    Attributes:
        scale: a, in lengths of the honest increment.
    """

    scale: float = 1.0

    def offered(self, start: Parameters, honest: Parameters, work: Work) -> Parameters:
        """M - a·Δ."""
        return moved(start, start, honest, -self.scale)


@dataclass
class Replay(Changed):
    """Offers the model as it stands, as if it had trained: the parameters of an accepted block, once more."""

    def offered(self, start: Parameters, honest: Parameters, work: Work) -> Parameters:
        """M."""
        return start


@dataclass
class NearCopy(Changed):
    """A free rider: offers the model as it stands, with so little noise that it is another one and as good.

    Source: Lin, Du and Liu 2019, Free-riders in Federated Learning (arXiv:1911.12560), §3.

    Attributes:
        scale: standard deviation of the noise, in units of each tensor's own root mean square.
    """

    scale: float = 1e-4

    def offered(self, start: Parameters, honest: Parameters, work: Work) -> Parameters:
        """M + noise."""
        return noisy(start, self.scale, work.seed)


@dataclass
class EarlierModel(Changed):
    """Undoes what others have added: offers the oldest model that it was asked to train from, a near-copy of it.

    Attributes:
        scale: standard deviation of the noise, in units of each tensor's own root mean square; 0: the model itself.
    """

    scale: float = 1e-4
    _oldest: Parameters | None = field(default=None, repr=False)

    def offered(self, start: Parameters, honest: Parameters, work: Work) -> Parameters:
        """The oldest M, and noise."""
        if self._oldest is None:
            self._oldest = start
        return noisy(self._oldest, self.scale, work.seed) if self.scale else self._oldest


@dataclass
class EarlierIncrement(Changed):
    """Trains once, and offers the same Δ each time again, on whatever the model is by then."""

    _first: tuple[Parameters, Parameters] | None = field(default=None, repr=False)

    def offered(self, start: Parameters, honest: Parameters, work: Work) -> Parameters:
        """M + Δ of the first training."""
        if self._first is None:
            self._first = start, honest
        return moved(start, *self._first, 1.0)


@dataclass
class Lazy(Honest):
    """Trains for fewer epochs than the ledger asks for, and claims all records.

    Attributes:
        epochs: how many, at most. Trainers that know no ``epochs`` are as honest as ever.
    """

    epochs: int = 1

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        """See ``Trainer.train``."""
        asked = dict(work.hyperparameters)
        if "epochs" in asked:
            asked["epochs"] = min(self.epochs, asked["epochs"])
        return self.trainer.train(start, replace(work, hyperparameters=asked))


def moved(model: Parameters, origin: Parameters, target: Parameters, step: float) -> Parameters:
    """The point M + a·(B - A); computed in double precision, tensors that are not floating as in M.

    Args:
        model: M.
        origin: A, of the same layout.
        target: B, of the same layout.
        step: a, of any size and sign.
    """

    def change(name: str, tensor: NDArray[Any]) -> NDArray[Any]:
        way = target[name].astype(np.float64) - origin[name].astype(np.float64)
        return tensor.astype(np.float64) + step * way

    return _each(model, change)


def noisy(model: Parameters, scale: float, seed: int) -> Parameters:
    """A model with Gaussian noise on every floating tensor.

    Args:
        model: the model.
        scale: standard deviation, in units of each tensor's own root mean square (1 where that is 0).
        seed: of the noise.
    """
    random = np.random.Generator(np.random.Philox(seed))

    def change(_: str, tensor: NDArray[Any]) -> NDArray[Any]:
        size = float(np.sqrt(np.mean(np.square(tensor, dtype=np.float64)))) or 1.0
        return tensor + scale * size * random.standard_normal(tensor.shape)

    return _each(model, change)


def _each(model: Parameters, change: Callable[[str, NDArray[Any]], NDArray[Any]]) -> Parameters:
    return Parameters(
        {
            name: change(name, tensor).astype(tensor.dtype) if tensor.dtype.kind == "f" else tensor
            for name, tensor in model.items()
        }
    )
