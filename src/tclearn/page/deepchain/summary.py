"""What the report of a DeepChain coalition says that its history does not know."""

from __future__ import annotations

from dataclasses import dataclass

from tclearn.page.summary import Circumstances


@dataclass(frozen=True, slots=True)
class Summary(Circumstances):
    """The circumstances of a report, see ``Circumstances``.

    Attributes:
        accuracies: performance on the global test set after each iteration that succeeded, 0 to 1; empty: not measured.
        averaged: where the same training ends in the clear, averaging gradients that are not rounded, 0 to 1;
            ``None``: not computed.
        weights_equal: whether the weights are, bit for bit, those of averaging the rounded gradients in the clear;
            ``None``: nobody has looked.
        proofs: name of the folder with ciphertexts, proofs and openings; empty: they are not beside the record.
    """

    accuracies: tuple[float, ...] = ()
    averaged: float | None = None
    weights_equal: bool | None = None
    proofs: str = ""
