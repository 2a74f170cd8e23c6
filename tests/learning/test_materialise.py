"""Reading data sets: the forms that are taken, and what is said of those that cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import IterableDataset, TensorDataset

from tclearn.errors import Code, DataError
from tclearn.learning.records import Records, materialise

X = np.arange(12, dtype=np.float32).reshape(6, 2)
Y = np.arange(6)


class MapStyle:
    def __init__(self, change: Any = None, count: int = 6) -> None:
        self.change = change or (lambda _, pair: pair)
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        return self.change(index, (torch.tensor(X[index]), int(Y[index])))


class Stream(IterableDataset):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        return iter(zip(X, Y, strict=True))


def refusal(source: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        materialise(source, "the set")
    return caught.value


@pytest.mark.parametrize(
    "source",
    [
        (X, Y),
        [X, Y],
        (X.tolist(), Y.tolist()),
        (torch.tensor(X), torch.tensor(Y)),
        TensorDataset(torch.tensor(X), torch.tensor(Y)),
        MapStyle(),
        Records(X, Y),
        lambda: (X, Y),
        lambda: MapStyle(count=6),
        (torch.tensor(X, requires_grad=True), Y),
    ],
)
def test_forms(source: Any) -> None:
    records = materialise(source, "the set")
    assert len(records) == 6
    assert np.array_equal(records.inputs, X)
    assert np.array_equal(records.targets, Y)


def test_arrays_are_not_copied() -> None:
    assert materialise((X, Y), "the set").inputs is X


def test_unsigned_and_foreign_numbers_become_plain() -> None:
    records = materialise((X.astype(">f8"), Y.astype(np.uint16)), "the set")
    assert records.inputs.dtype == np.dtype("=f8")
    assert records.targets.dtype == np.int64


def _raises() -> Any:
    raise KeyError("patient 17")


@pytest.mark.parametrize(
    ("source", "code", "says"),
    [
        (_raises, Code.DATA_UNREADABLE, "the set could not be read (KeyError: 'patient 17')"),
        (MapStyle(lambda index, pair: pair if index < 4 else _raises()), Code.DATA_UNREADABLE, "record 4 of the set"),
        (MapStyle(lambda index, pair: pair[0]), Code.DATA_SHAPE, "record 0 of the set is a Tensor"),
        (MapStyle(lambda index, pair: (*pair, 1)), Code.DATA_SHAPE, "expected a pair"),
        (MapStyle(lambda index, pair: (pair[0][: 2 - index % 2], 0)), Code.DATA_SHAPE, "record 1 of the set has"),
        (MapStyle(count=0), Code.DATA_SHAPE, "the set is empty"),
        (Stream(), Code.DATA_UNREADABLE, "the set is a Stream"),
        (5, Code.DATA_UNREADABLE, "the set is a int"),
        (None, Code.DATA_UNREADABLE, "the set is a NoneType"),
        ((X,), Code.DATA_SHAPE, "has 1 parts"),
        ((X, Y, Y), Code.DATA_SHAPE, "has 3 parts"),
        ((X, Y[:5]), Code.DATA_SHAPE, "one target for each input"),
        ((X, 3), Code.DATA_SHAPE, "one target for each input"),
        ((X[:0], Y[:0]), Code.DATA_SHAPE, "the set is empty"),
        ((X.astype(str), Y), Code.DATA_SHAPE, "element type"),
        ((X.astype(object), Y), Code.DATA_SHAPE, "element type object"),
        ((X.astype(complex), Y), Code.DATA_SHAPE, "element type complex128"),
        ((X, np.full(6, 2**63, np.uint64)), Code.DATA_SHAPE, "beyond 2^63"),
        (([[1, 2], [3]], [0, 1]), Code.DATA_UNREADABLE, "is no array"),
    ],
)
def test_refusals(source: Any, code: Code, says: str) -> None:
    error = refusal(source)
    assert error.code is code
    assert says in str(error)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
@pytest.mark.parametrize("part", ["input", "target"])
def test_no_numbers_are_named_by_record(value: float, part: str) -> None:
    inputs, targets = X.astype(np.float64), Y.astype(np.float64)
    (inputs if part == "input" else targets)[4] = value
    error = refusal((inputs, targets))
    assert error.code is Code.DATA_UNREADABLE
    assert f"the {part} of record 4 is NaN, infinite" in str(error)


def test_random_augmentation_is_refused() -> None:
    random = np.random.default_rng(0)
    error = refusal(MapStyle(lambda _, pair: (pair[0] + random.standard_normal(), pair[1])))
    assert error.code is Code.DATA_CHANGED
    assert "augmentation" in error.remedy


def test_too_large_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tclearn.learning.records.DATA_SET_BYTES_MAX", 90)
    read: list[int] = []

    def watched(index: int, pair: Any) -> Any:
        read.append(index)
        return pair

    error = refusal(MapStyle(watched))
    assert error.code is Code.TOO_LARGE
    assert read == [0]
    assert refusal((X, Y)).code is Code.TOO_LARGE


def test_same_as() -> None:
    records = Records(X, Y)
    assert records.same_as(Records(X.copy(), Y.copy()))
    assert not records.same_as(Records(X, Y[::-1]))
    assert not records.same_as(Records(X.astype(np.float64), Y))
    assert not records.same_as(records.take([0, 1]))
