"""The bundled data sets, splits and partitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclearn.errors import UsageError
from tclearn.learning.data_ids import data_set_digest, digest_text
from tclearn.learning.datasets import NAMES, load, partition, stratified_split
from tclearn.learning.records import Records


@pytest.mark.parametrize(
    ("name", "shape", "classes", "sizes", "test"),
    [
        (
            "digits",
            (1, 8, 8),
            10,
            (1438, 359),
            "blake3:f320dcfa7d1de7790b5e3659df5566d17afe869cb3ba62890a9b22b6f21c2e3c",
        ),
        (
            "breast-cancer",
            (30,),
            2,
            (456, 113),
            "blake3:72273c8acc79f0649eedd755bcadbb96ba5a9b3c80f38f82576dd352d610df44",
        ),
    ],
)
def test_bundled(name: str, shape: tuple[int, ...], classes: int, sizes: tuple[int, int], test: str) -> None:
    dataset = load(name)
    assert (dataset.name, dataset.shape, dataset.classes) == (name, shape, classes)
    assert (len(dataset.train), len(dataset.test)) == sizes
    for records in (dataset.train, dataset.test):
        assert records.inputs.dtype == np.float32
        assert records.targets.dtype == np.int64
        assert set(records.targets.tolist()) == set(range(classes))
    # It is named in charters: the same records in the same order, always.
    assert digest_text(data_set_digest(dataset.test)) == test


def test_scales() -> None:
    images = load("digits").train.inputs
    assert (images.min(), images.max()) == (0, 1)
    features = load("breast-cancer").train.inputs
    assert np.abs(features.mean(axis=0)).max() < 1e-5
    assert features.std(axis=0) == pytest.approx(np.ones(30), abs=1e-5)


def test_no_such_data_set() -> None:
    assert NAMES == ("digits", "breast-cancer", "mnist")
    with pytest.raises(UsageError, match="the data set 'cifar'"):
        load("cifar")


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.sampled_from([0.1, 0.2, 0.5]), st.integers(0, 5))
def test_stratified_split(targets: list[int], share: float, seed: int) -> None:
    records = Records(np.arange(len(targets)), np.array(targets))
    rest, chosen = stratified_split(records, share, seed)
    assert sorted([*rest.inputs.tolist(), *chosen.inputs.tolist()]) == list(range(len(targets)))
    assert (np.diff(rest.inputs) > 0).all()
    for label in range(4):
        assert (chosen.targets == label).sum() == round(share * targets.count(label))


@given(st.integers(1, 80), st.integers(1, 9), st.integers(0, 5))
def test_partition(count: int, members: int, seed: int) -> None:
    records = Records(np.arange(count), np.zeros(count))
    if members > count:
        with pytest.raises(UsageError):
            partition(records, members, seed)
        return
    parts = partition(records, members, seed)
    assert list(parts) == [f"member-{number}" for number in range(1, members + 1)]
    sizes = [len(part) for part in parts.values()]
    assert max(sizes) - min(sizes) <= 1
    assert sorted(np.concatenate([part.inputs for part in parts.values()]).tolist()) == list(range(count))


def test_partition_is_seeded_and_named() -> None:
    dataset = load("digits")
    first, again, other = (partition(dataset, ["leuven", "namur"], seed) for seed in (1, 1, 2))
    assert list(first) == ["leuven", "namur"]
    assert first["namur"].same_as(again["namur"])
    assert not first["namur"].same_as(other["namur"])
    assert len(first["leuven"]) == 719
