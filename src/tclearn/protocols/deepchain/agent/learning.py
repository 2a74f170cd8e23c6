"""What the terms' ``model`` stands for: W_0, how it is trained, and how far a gradient may go."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from tclearn.coalition.faults import Faults
from tclearn.coalition.terms import TensorRecord
from tclearn.encoding import Digest, digest
from tclearn.records import Record

_FLOATING: Final = frozenset({"F16", "F32", "F64"})
_CLIP_MAX: Final = 1 << 52


@dataclass(frozen=True)  # no slots: the digest is kept once it is known
class Learning(Record):
    """What all parties train. Its digest is ``DeepChainTerms.model``.

    Attributes:
        seed: draws W_0, by ``Trainer.initial``.
        initial: digest of the parameters of W_0.
        layout: its tensors, by name; all of floating numbers.
        clip: the largest value of a gradient that counts, in units of 2^-40.
        hyperparameters: what the trainers are told: counts, and ``learning_rate`` in millionths.

    Raises:
        CharterError: a tensor of whole numbers, which has no gradient; or a clip that is out of range.
    """

    seed: int
    initial: Digest
    layout: tuple[TensorRecord, ...]
    clip: int
    hyperparameters: dict[str, int]

    def __post_init__(self) -> None:
        faults = Faults()
        for tensor in self.layout:
            if tensor.dtype not in _FLOATING:
                faults.add(f"a model whose tensor {tensor.name!r} is {tensor.dtype}", ", ".join(sorted(_FLOATING)))
        if not self.layout:
            faults.add("a model without tensors", "at least one")
        if not 1 <= self.clip <= _CLIP_MAX:
            faults.add(f"a clip of {self.clip}", f"1 to {_CLIP_MAX}, in units of 2^-40")
        faults.check()

    @cached_property
    def digest(self) -> Digest:
        """Names it, as terms do."""
        return digest("tclearn/deepchain/model/1", self.to_value())

    @cached_property
    def values(self) -> int:
        """Numbers of the model, and so of a gradient."""
        return sum(math.prod(tensor.shape) for tensor in self.layout)
