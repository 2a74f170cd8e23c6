"""The bundled data sets, splits and partitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclearn.errors import UsageError
from tclearn.learning.data_ids import data_set_digest, digest_text
from tclearn.learning.datasets import NAMES, by_sizes, dirichlet, joined, load, partition, stratified_split
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


# The batches of the paper's two experiments (Lugan et al. 2019, §V).
@pytest.mark.parametrize(
    "sizes", [(204, 1080, 1080, 3000, 4800, 4800, 9600), (2400, 4800, 4800, 6000, 10800, 10800, 20400)]
)
def test_by_sizes_of_the_paper(sizes: tuple[int, ...]) -> None:
    records = Records(np.arange(60_000), np.zeros(60_000))
    parts = by_sizes(records, sizes, seed=1)
    assert [len(part) for part in parts] == list(sizes)
    assert len(np.unique(np.concatenate([part.inputs for part in parts]))) == sum(sizes)


@given(st.lists(st.integers(1, 9), max_size=6), st.integers(0, 5))
def test_by_sizes(sizes: list[int], seed: int) -> None:
    records = Records(np.arange(20), np.zeros(20))
    if sum(sizes) > 20:
        with pytest.raises(UsageError, match="parts of"):
            by_sizes(records, sizes, seed)
        return
    parts = by_sizes(records, sizes, seed)
    assert [len(part) for part in parts] == sizes
    taken = [int(value) for part in parts for value in part.inputs]
    assert len(set(taken)) == len(taken)
    assert all(part.same_as(again) for part, again in zip(parts, by_sizes(records, sizes, seed), strict=True))


def test_by_sizes_takes_positive_ones() -> None:
    with pytest.raises(UsageError, match="parts of 3, 0 records"):
        by_sizes(Records(np.arange(20), np.zeros(20)), [3, 0], seed=1)


def test_by_sizes_is_seeded_and_takes_what_is_for_training() -> None:
    dataset = load("digits")
    (first,), (other,) = by_sizes(dataset, [1438], 1), by_sizes(dataset, [1438], 2)
    assert not first.same_as(other)
    assert sorted(first.targets.tolist()) == sorted(dataset.train.targets.tolist())


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=60),
    st.integers(1, 9),
    st.sampled_from([0.001, 0.1, 1, 1_000_000]),
    st.integers(0, 5),
)
def test_dirichlet_gives_each_record_to_one_and_one_to_each(
    targets: list[int], members: int, alpha: float, seed: int
) -> None:
    records = Records(np.arange(len(targets)), np.array(targets))
    if members > len(records):
        with pytest.raises(UsageError, match="members for"):
            dirichlet(records, members, alpha, seed)
        return
    parts = dirichlet(records, members, alpha, seed)
    assert list(parts) == [f"member-{number}" for number in range(1, members + 1)]
    assert all(len(part) for part in parts.values())
    assert sorted(np.concatenate([part.inputs for part in parts.values()]).tolist()) == list(range(len(records)))
    assert all(part.targets.tolist() == [targets[record] for record in part.inputs] for part in parts.values())
    again = dirichlet(records, members, alpha, seed)
    assert all(part.same_as(again[name]) for name, part in parts.items())


def test_dirichlet_is_as_skewed_as_it_is_told() -> None:
    records = load("digits").train

    def most(alpha: float) -> float:
        """The share of its most frequent class in a member's records, averaged."""
        parts = dirichlet(records, ["leuven", "namur", "porto", "turin"], alpha, seed=1)
        return float(np.mean([np.bincount(part.targets).max() / len(part) for part in parts.values()]))

    assert most(1_000_000) == pytest.approx(0.1, abs=0.01)
    assert most(1_000_000) < most(1) < most(0.05)


@pytest.mark.parametrize("alpha", [0, -1, 0.0001, float("nan"), float("inf")])
def test_dirichlet_takes_no_other_alpha(alpha: float) -> None:
    with pytest.raises(UsageError, match="alpha is"):
        dirichlet(load("digits"), 3, alpha, seed=1)


def test_joined() -> None:
    records = load("digits").train
    assert joined(by_sizes(records, [3, 5], seed=1)).same_as(by_sizes(records, [8], seed=1)[0])
