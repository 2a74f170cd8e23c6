"""Dividing records: a stratified test set, and parts for the members of a coalition: equal, of given sizes, skewed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tclearn.errors import Code, UsageError
from tclearn.learning.datasets.dataset import Dataset
from tclearn.learning.drawing import derived, order
from tclearn.learning.records import Records

_ALPHA_MIN: Final = 0.001
_ALPHA_MAX: Final = 1_000_000


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
    records, names = _records(source), _names(source, members)
    parts = np.array_split(order(seed, "partition", len(records)), len(names))
    return {name: records.take(part) for name, part in zip(names, parts, strict=True)}


def by_sizes(source: Dataset | Records, sizes: Sequence[int], seed: int) -> list[Records]:
    """Random parts of given sizes, none sharing a record with another; what is left is nobody's.

    Args:
        source: the records; of a data set those for training.
        sizes: of the parts, records.
        seed: decides which records go where.

    Raises:
        UsageError: a size is not positive, or they need more records than there are.
    """
    records = _records(source)
    if any(size < 1 for size in sizes) or sum(sizes) > len(records):
        raise UsageError(
            Code.USAGE,
            f"parts of {', '.join(map(str, sizes))} records",
            expected=f"one record at least in each and {len(records)} at most in all",
        )
    drawn = order(seed, "sizes", len(records))
    return [records.take(drawn[end - size : end]) for size, end in zip(sizes, accumulate(sizes), strict=True)]


def dirichlet(source: Dataset | Records, members: int | Sequence[str], alpha: float, seed: int) -> dict[str, Records]:
    """Parts that differ in size and in their mixture of classes: who has how much of each is drawn, class by class.

    Args:
        source: the records, with one class number each; of a data set those for training.
        members: their names, or how many, as ``partition`` takes them.
        alpha: concentration of the Dirichlet distribution, the same for all members, 0.001 to 1,000,000: the smaller,
            the more a class belongs to few members; a large one divides every class equally.
        seed: decides the shares, and who gets which.

    Returns:
        A part for each member, every record in one of them; whoever would go away empty has one record of the
        largest part.

    Raises:
        UsageError: there are more members than records, or ``alpha`` is out of range.

    Source: Yurochkin et al. 2019, "Bayesian nonparametric federated learning of neural networks", §4 (of each class,
        shares over the members).
    """
    records, names = _records(source), _names(source, members)
    if not _ALPHA_MIN <= alpha <= _ALPHA_MAX:
        raise UsageError(Code.USAGE, f"alpha is {alpha}", expected=f"{_ALPHA_MIN} to {_ALPHA_MAX:,}")
    pieces: list[list[NDArray[np.intp]]] = [[] for _ in names]
    for label in np.unique(records.targets):
        positions = np.flatnonzero(records.targets == label)
        positions = positions[order(seed, f"dirichlet {label}", len(positions))]
        random = np.random.Generator(np.random.Philox(derived(seed, f"dirichlet shares {label}")))
        shares = random.dirichlet(np.full(len(names), alpha))
        ends = np.rint(np.cumsum(shares)[:-1] * len(positions)).astype(np.intp)
        for of_member, piece in zip(pieces, np.split(positions, ends), strict=True):
            of_member.append(piece)
    owned = [np.concatenate(of_member) for of_member in pieces]
    for number, part in enumerate(owned):
        if len(part) == 0:
            largest = max(range(len(owned)), key=lambda other: len(owned[other]))
            owned[number], owned[largest] = owned[largest][:1], owned[largest][1:]
    return {name: records.take(part) for name, part in zip(names, owned, strict=True)}


def joined(parts: Iterable[Records]) -> Records:
    """All records of several parts, one part after the other."""
    held = list(parts)
    return Records(np.concatenate([part.inputs for part in held]), np.concatenate([part.targets for part in held]))


def _records(source: Dataset | Records) -> Records:
    return source.train if isinstance(source, Dataset) else source


def _names(source: Dataset | Records, members: int | Sequence[str]) -> list[str]:
    names = [f"member-{number}" for number in range(1, members + 1)] if isinstance(members, int) else list(members)
    count = len(_records(source))
    if not 0 < len(names) <= count:
        raise UsageError(
            Code.USAGE, f"{len(names)} members for {count} records", expected="at least one record for each"
        )
    return names
