"""What a member trains on, spoilt: data, to be given to ``simulate`` in the place of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tclearn.errors import Code, UsageError
from tclearn.learning.drawing import order
from tclearn.learning.records import Records, materialise

_DATA = "the training data"


@dataclass(frozen=True, slots=True)
class FlippedLabels:
    """Calls class c by the name of class C - 1 - c; with an odd C the class in the middle keeps its name.

    Source: the label flipping of Fang et al. 2020, Local Model Poisoning Attacks to Byzantine-Robust Federated
    Learning (USENIX Security), §4.

    Attributes:
        classes: C.
    """

    classes: int

    def __call__(self, data: Any) -> Records:
        """The records with flipped labels.

        Args:
            data: as ``simulate`` takes it.

        Raises:
            DataError: it cannot be read.
        """
        records = materialise(data, _DATA)
        return Records(records.inputs, np.asarray(self.classes - 1 - records.targets, dtype=records.targets.dtype))


@dataclass(frozen=True, slots=True)
class TargetedClass:
    """Calls one class by the name of another and leaves the rest alone: in an average over C classes 1/C of it.

    Source: Tolpegin et al. 2020, Data Poisoning Attacks Against Federated Learning Systems (ESORICS), §3.

    Attributes:
        source: the class that is to be forgotten.
        target: what it is called.
    """

    source: int
    target: int

    def __call__(self, data: Any) -> Records:
        """The records, those of one class relabelled. Arguments and errors as ``FlippedLabels``."""
        records = materialise(data, _DATA)
        targets = records.targets.copy()
        targets[targets == self.source] = self.target
        return Records(records.inputs, targets)


@dataclass(frozen=True, slots=True)
class Memorised:
    """Knows what will be asked: the records of G, over and over, and labels on its own records that are all wrong.

    Every copy of a record of G has a trace of noise, so that it counts as another record. The model is right on G, and
    nowhere else.

    Attributes:
        global_test: G, as ``simulate`` takes it; its records have the form of the member's own.
        classes: C; class c is called C - 1 - c.
        share: of the copies of G among all records, 0 to below 1.
        noise: standard deviation of the trace, in units of that of all inputs.
        seed: of the noise.
    """

    global_test: Any
    classes: int
    share: float = 0.9
    noise: float = 0.05
    seed: int = 1

    def __call__(self, data: Any) -> Records:
        """The records with wrong labels, and the copies of G. Arguments and errors as ``FlippedLabels``."""
        own, known = FlippedLabels(self.classes)(data), materialise(self.global_test, "the global test set")
        copies = max(1, round(self.share / (1 - self.share) * len(own) / len(known)))
        random = np.random.Generator(np.random.Philox(self.seed))
        spread = self.noise * float(known.inputs.std())
        inputs = np.concatenate([known.inputs] * copies)
        traced = inputs + spread * random.standard_normal(inputs.shape)
        return Records(
            np.concatenate([own.inputs, traced.astype(np.float32)]),
            np.concatenate([own.targets, *[known.targets] * copies]),
        )


@dataclass(frozen=True, slots=True)
class Trigger:
    """A backdoor: some records get a mark, and with it the label that the mark is to bring about.

    On images the mark is a square in the lower right corner, on rows of numbers the last of them. Without the mark
    the model is as good as before, so no test on clean records shows it.
    Source: Gu, Dolan-Gavitt and Garg 2017, BadNets (arXiv:1708.06733), §4.1.

    Attributes:
        target: the class that the mark brings about.
        share: of the records that are marked, 0 to 1.
        size: side of the square, pixels; or how many numbers.
        value: what is written there; ``None``: the largest number among the inputs.
        seed: decides which records.
    """

    target: int
    share: float = 0.5
    size: int = 3
    value: float | None = None
    seed: int = 1

    def __call__(self, data: Any) -> Records:
        """The records, some with mark and label. Arguments and errors as ``FlippedLabels``."""
        records = materialise(data, _DATA)
        chosen = order(self.seed, "trigger", len(records))[: round(self.share * len(records))]
        inputs, targets = records.inputs.copy(), records.targets.copy()
        inputs[chosen] = self._marked(records.inputs)[chosen]
        targets[chosen] = self.target
        return Records(inputs, targets)

    def exam(self, data: Any) -> Records:
        """All records of other classes, marked and called as the mark wants: accuracy on them is its success rate.

        Raises:
            UsageError: there are no records of other classes.
        """
        records = materialise(data, "the test data")
        others = np.flatnonzero(records.targets.reshape(len(records), -1)[:, 0] != self.target)
        if not len(others):
            raise UsageError(Code.USAGE, f"all records are of class {self.target}", expected="records to be misled on")
        marked = Records(self._marked(records.inputs), np.full_like(records.targets, self.target))
        return marked.take(others)

    def _marked(self, inputs: NDArray[Any]) -> NDArray[Any]:
        marked = inputs.copy()
        corner = slice(-self.size, None)
        place = (..., corner, corner) if inputs.ndim >= 3 else (..., corner)
        marked[place] = inputs.max() if self.value is None else self.value
        return marked
