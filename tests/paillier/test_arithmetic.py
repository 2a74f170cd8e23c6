"""The group, and fast ways to do what slow ones do, too."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.paillier.material import dealing, primes, root_of_one, seeded

from tclearn.paillier.arithmetic import (
    FixedBase,
    big,
    from_bytes,
    hashed_residue,
    jacobi,
    one_by_one,
    random_below,
    random_bits,
    to_bytes,
)

GROUP = dealing().key.group
MODULUS, SQUARE = int(GROUP.modulus), int(GROUP.square)


def elements(count: int, seed: int = 0) -> list[int]:
    entropy = seeded(("elements", seed))
    return [GROUP.power(random_below(entropy, SQUARE), 2) for _ in range(count)]


@given(st.lists(st.integers(0, 1 << 140), max_size=12), st.integers(0, 20))
@example([], 0)
@example([0, 0], 0)
@example([1 << 140] * 12, 1)
def test_a_product_is_the_product_of_the_powers(exponents: list[int], seed: int) -> None:
    bases = elements(len(exponents), seed)
    expected = math.prod(pow(int(base), each, SQUARE) for base, each in zip(bases, exponents, strict=True)) % SQUARE
    assert GROUP.product(bases, exponents) == min(expected, SQUARE - expected)


def test_a_product_of_many() -> None:
    bases, entropy = elements(383), seeded("weights")
    weights = [random_bits(entropy, 128) for _ in bases]
    expected = math.prod(pow(int(base), int(each), SQUARE) for base, each in zip(bases, weights, strict=True)) % SQUARE
    assert GROUP.product(bases, weights) == min(expected, SQUARE - expected)


def test_a_product_needs_an_exponent_for_each_base() -> None:
    with pytest.raises(ValueError, match="1 exponents for 2"):
        GROUP.product(elements(2), [1])


@given(st.integers(0, (1 << 100) - 1), st.sampled_from([1, 3, 4, 7, 8]))
@example(0, 4)
@example((1 << 100) - 1, 7)
def test_the_table_gives_powers(exponent: int, window: int) -> None:
    (base,) = elements(1)
    assert FixedBase(GROUP, base, 100, window).power(exponent) == GROUP.power(base, exponent)


@pytest.mark.parametrize("exponent", [-1, 1 << 100])
def test_the_table_refuses_exponents_that_it_is_not_for(exponent: int) -> None:
    with pytest.raises(ValueError, match="for a table of 100"):
        FixedBase(GROUP, elements(1)[0], 100, 4).power(exponent)


def test_the_generator_needs_no_power() -> None:
    for exponent in (0, 1, 77, MODULUS - 1, MODULUS, MODULUS + 5):
        assert GROUP.generator_power(exponent) == pow(1 + MODULUS, exponent, SQUARE)
    assert GROUP.element(GROUP.generator_power(-3)) == GROUP.power(1 + MODULUS, -3)


def test_elements_have_no_sign_and_no_names_beside() -> None:
    (one,) = elements(1)
    assert GROUP.element(-one) == GROUP.element(one) == one
    assert GROUP.holds(one)
    first, _ = primes()
    for value in (0, -one, SQUARE - one, SQUARE + one, MODULUS, SQUARE, first, first * one % SQUARE):
        assert not GROUP.holds(value)


def test_nothing_in_the_group_has_order_two() -> None:
    """1 has four roots modulo N²: two of them are 1 and -1, which is 1 here, the other two are no elements."""
    root = root_of_one()
    assert root not in (1, SQUARE - 1)
    assert pow(root, 2, SQUARE) == 1
    assert jacobi(root, MODULUS) == jacobi(-root, MODULUS) == -1
    assert not GROUP.holds(GROUP.element(root))
    (one,) = elements(1)
    assert not GROUP.holds(GROUP.element(one * root))
    assert GROUP.element(SQUARE - 1) == 1


def test_every_element_has_the_order_that_soundness_needs() -> None:
    """N·p′·q′, whose smallest factor is beyond any weight; shown on an element that generates all."""
    first, second = primes()
    base = dealing().key.verification_base
    order = MODULUS * (first >> 1) * (second >> 1)
    assert GROUP.power(base, order) == 1
    for factor in (first, second, first >> 1, second >> 1):
        assert GROUP.power(base, order // factor) != 1


@given(st.integers(1, 1 << 70), st.integers(0, 100))
def test_random_numbers_stay_below_their_bound(bound: int, seed: int) -> None:
    assert 0 <= random_below(seeded(seed), bound) < bound
    assert random_bits(seeded(seed), bound.bit_length()).bit_length() <= bound.bit_length()


def test_random_bits_reach_every_value() -> None:
    entropy = seeded("bits")
    assert {random_bits(entropy, 3) for _ in range(200)} == set(range(8))
    assert {random_below(entropy, 5) for _ in range(200)} == set(range(5))


@pytest.mark.parametrize("change", [-1, 1])
def test_entropy_that_gives_another_number_of_bytes_is_noticed(change: int) -> None:
    with pytest.raises(ValueError, match="not 32"):
        random_bits(lambda size: bytes(size + change), 256)


def test_hashed_numbers_depend_on_all_that_is_hashed() -> None:
    seen = {hashed_residue(modulus, domain) for modulus in (MODULUS, MODULUS - 2) for domain in ("a", "b")}
    assert len(seen) == 4
    assert all(0 < each < MODULUS for each in seen)


@given(st.lists(st.integers(0, (1 << 64) - 1)))
def test_numbers_come_back_from_their_bytes(numbers: list[int]) -> None:
    assert list(from_bytes(to_bytes(numbers, 8), 8)) == numbers


def test_threads_compute_the_same() -> None:
    bases = elements(40)
    work = lambda base: GROUP.power(base, 12345)  # noqa: E731
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, bases)) == list(one_by_one(work, bases)) == GROUP.powers(bases, 12345)


def test_integers_of_both_kinds_are_equal() -> None:
    assert big(5) == 5
    assert hash(big(1 << 100)) == hash(1 << 100)
