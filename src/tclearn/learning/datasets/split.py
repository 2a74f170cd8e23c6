"""Dividing records: a stratified test set, and equal random parts for the members of a coalition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tclearn.errors import Code, UsageError
from tclearn.learning.datasets.dataset import Dataset
from tclearn.learning.drawing import order
from tclearn.learning.records import Records


def stratified_split(records: Records, share: float, seed: int) -> tuple[Records, Records]:
    """Divide records so that each class has the same share in the second part, rounded to whole records.

    Args:
        records: with one class number each.
        share: of the second part, 0 to 1.
        seed: decides which.

    Returns:
        The larger rest and the share, each in the order of ``records``.
    """
    chosen = np.zeros(len(records), dtype=np.bool_)
    for label in np.unique(records.targets):
        positions = np.flatnonzero(records.targets == label)
        count = round(share * len(positions))
        chosen[positions[order(seed, f"split {label}", len(positions))[:count]]] = True
    return records.take(np.flatnonzero(~chosen)), records.take(np.flatnonzero(chosen))


def partition(source: Dataset | Records, members: int | Sequence[str], seed: int) -> dict[str, Records]:
    """Random parts of equal size, to within one record, the same distribution in each (IID).

    Args:
        source: the records; of a data set those for training.
        members: their names, or how many (then ``member-1``, ``member-2`` …).
        seed: decides who gets which.

    Raises:
        UsageError: there are more members than records.
    """
    records = source.train if isinstance(source, Dataset) else source
    names = [f"member-{number}" for number in range(1, members + 1)] if isinstance(members, int) else list(members)
    if not 0 < len(names) <= len(records):
        raise UsageError(
            Code.USAGE, f"{len(names)} members for {len(records)} records", expected="at least one record for each"
        )
    parts = np.array_split(order(seed, "partition", len(records)), len(names))
    return {name: records.take(part) for name, part in zip(names, parts, strict=True)}
