"""Which records are contributed when, and which are put aside: by IDs and the ledger alone."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclearn.learning.contribution import Holding, Portion, is_put_aside

shares = st.sampled_from([0, 1, 50_000, 100_000, 300_000, 900_000, 999_999])


def named(numbers: list[int]) -> list[bytes]:
    return [hashlib.sha256(str(number).encode()).digest()[:16] for number in numbers]


def contributed(
    holding: Holding, contributions: int, used: set[bytes] | None = None, minimum: int = 1
) -> list[Portion]:
    counted = set() if used is None else used
    portions = []
    while (portion := holding.next_portion(counted, contributions, minimum)) is not None:
        portions.append(portion)
        counted |= set(portion.data_ids)
    return portions


@given(st.lists(st.integers(0, 60), min_size=1, max_size=60), st.integers(1, 8), shares)
def test_every_record_counts_once(numbers: list[int], contributions: int, share: int) -> None:
    ids = named(numbers)
    holding = Holding.of(ids, share)
    portions = contributed(holding, contributions)
    counted = [data_id for portion in portions for data_id in portion.data_ids]
    if all(is_put_aside(data_id, share) for data_id in ids):
        assert portions == []
        return
    assert sorted(counted) == sorted(set(ids))
    assert counted == sorted(counted)
    assert len(portions) <= contributions
    assert holding.copies == len(ids) - len(set(ids))
    for portion in portions:
        assert portion.trained
        assert len(portion.trained) + len(portion.put_aside) == len(portion.data_ids)
        assert sorted(ids[at] for at in portion.trained + portion.put_aside) == list(portion.data_ids)
        assert all(not is_put_aside(ids[at], share) for at in portion.trained)
        assert all(is_put_aside(ids[at], share) for at in portion.put_aside)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=60), st.integers(1, 8), shares, st.data())
def test_nobody_trains_on_what_anybody_tests_on(
    numbers: list[int], contributions: int, share: int, data: st.DataObject
) -> None:
    """Two members with overlapping records, in any order of contributions."""
    others = data.draw(st.lists(st.integers(0, 60), min_size=1, max_size=60))
    holdings = [(named(each), Holding.of(named(each), share)) for each in (numbers, others)]
    used: set[bytes] = set()
    trained: set[bytes] = set()
    for _ in range(2 * contributions + 2):
        ids, holding = holdings[data.draw(st.integers(0, 1))]
        portion = holding.next_portion(used, contributions)
        if portion is not None:
            assert used.isdisjoint(portion.data_ids)
            used |= set(portion.data_ids)
            trained |= {ids[at] for at in portion.trained}
        for each, other in holdings:
            tested = {each[at] for at in other.local_test(used)}
            assert tested.isdisjoint(trained)
            assert tested <= used


@given(st.lists(st.integers(0, 60), min_size=1, max_size=60), st.integers(1, 8), shares, st.integers(0, 8))
def test_a_restart_goes_on_with_the_same_division(
    numbers: list[int], contributions: int, share: int, stop: int
) -> None:
    ids = named(numbers)
    through = contributed(Holding.of(ids, share), contributions)
    used = {data_id for portion in through[:stop] for data_id in portion.data_ids}
    assert contributed(Holding.of(list(ids), share), contributions, used) == through[stop:]


@given(st.lists(st.integers(0, 200), min_size=1, max_size=60, unique=True), st.integers(1, 8), st.randoms())
def test_the_order_of_the_data_set_does_not_matter(numbers: list[int], contributions: int, random: object) -> None:
    ids = named(numbers)
    turned = ids[::-1]
    ours, theirs = (contributed(Holding.of(each, 200_000), contributions) for each in (ids, turned))
    assert [portion.data_ids for portion in ours] == [portion.data_ids for portion in theirs]


def test_equal_parts() -> None:
    holding = Holding.of(named(list(range(100))), 0)
    assert [len(portion.data_ids) for portion in contributed(holding, 4)] == [25, 25, 25, 25]
    assert [len(portion.data_ids) for portion in contributed(holding, 3)] == [34, 34, 32]
    assert [len(portion.data_ids) for portion in contributed(holding, 1)] == [100]


def test_a_contribution_trains_on_the_minimum_as_long_as_there_is_as_much() -> None:
    holding = Holding.of(named(list(range(400))), 0)
    sizes = [len(portion.data_ids) for portion in contributed(holding, 10, minimum=64)]
    assert sizes == [64, 64, 64, 64, 64, 80], "what the last would leave is too little for another one"
    assert [len(portion.data_ids) for portion in contributed(holding, 4, minimum=64)] == [100] * 4
    assert contributed(holding, 1, minimum=401) == []
    assert (holding.trainable(frozenset()), holding.trainable(set(named([0, 1, 2, 999])))) == (400, 397)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=60), st.integers(1, 8), shares, st.integers(1, 20))
def test_with_a_minimum_all_records_count_or_none(
    numbers: list[int], contributions: int, share: int, minimum: int
) -> None:
    holding = Holding.of(named(numbers), share)
    portions = contributed(holding, contributions, minimum=minimum)
    assert all(len(portion.trained) >= minimum for portion in portions)
    enough = holding.trainable(frozenset()) >= minimum
    assert sum(len(portion.data_ids) for portion in portions) == (len(set(numbers)) if enough else 0)


def test_the_share_is_about_kept_in_each_contribution() -> None:
    portions = contributed(Holding.of(named(list(range(20_000))), 100_000), 4)
    for portion in portions:
        # 4 standard deviations of 5,000 draws of 0.1
        assert abs(len(portion.put_aside) - 500) < 4 * (5000 * 0.1 * 0.9) ** 0.5


@pytest.mark.parametrize(("share", "first", "last"), [(0, False, False), (1, True, False), (999_999, True, False)])
def test_ends_of_the_range(share: int, first: bool, last: bool) -> None:
    assert is_put_aside(b"\xff" * 8 + bytes(8), share) is first
    assert is_put_aside(bytes(8) + b"\xff" * 8, share) is last


def test_records_of_test_sets_are_left_out() -> None:
    ids = named([1, 2, 3, 3, 4])
    holding = Holding.of(ids, 0, frozenset(named([2, 3])))
    assert (len(holding.entries), holding.copies, holding.tested) == (2, 1, 2)
    (portion,) = contributed(holding, 1)
    assert set(portion.data_ids) == set(named([1, 4]))


def test_a_contribution_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tclearn.learning.contribution.RECORDS_PER_CONTRIBUTION_MAX", 7)
    portions = contributed(Holding.of(named(list(range(20))), 0), 1)
    assert [len(portion.data_ids) for portion in portions] == [7, 7, 6]


def test_records_that_others_used_are_skipped() -> None:
    holding = Holding.of(named(list(range(10))), 0)
    portions = contributed(holding, 2, set(named([0, 1, 2])))
    assert [len(portion.data_ids) for portion in portions] == [5, 2]
    assert holding.used(set(named([1, 50]))) == frozenset(named([1]))
