"""What a public data set is to the rest."""

from __future__ import annotations

from dataclasses import dataclass

from tclearn.learning.records import Records


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A classification data set with its test set.

    Attributes:
        name: as ``load`` takes it.
        train: inputs ``(n, …) float32``, class numbers ``(n,) int64``.
        test: the same, of other records.
        classes: number of classes.
    """

    name: str
    train: Records
    test: Records
    classes: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return tuple(self.train.inputs.shape[1:])
