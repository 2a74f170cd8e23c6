"""Safe primes: of the right size, found from anywhere, and told from others."""

from __future__ import annotations

import secrets

import pytest
from tests.paillier.material import primes, seeded

from tclearn.paillier.primes import _sieved, is_safe_prime, safe_prime, safe_primes, small_primes


def by_division(value: int) -> bool:
    return value > 1 and all(value % each for each in range(2, int(value**0.5) + 1))


def test_small_primes() -> None:
    assert small_primes(100) == tuple(each for each in range(100) if by_division(each))


def test_safe_primes_are_told_from_others() -> None:
    expected = [each for each in range(11, 3000) if by_division(each) and by_division(each // 2)]
    assert [each for each in range(11, 3000) if is_safe_prime(each)] == expected
    assert expected[:5] == [11, 23, 47, 59, 83]


def test_the_sieve_drops_what_has_a_small_factor_and_nothing_else() -> None:
    start, count = 5 + 6 * 10**30, 4000
    smalls = small_primes(1 << 13)
    expected = [
        place
        for place in range(count)
        if all((start + 6 * place) % each and (2 * (start + 6 * place) + 1) % each for each in smalls)
    ]
    assert _sieved(start, count, large=False) == expected


@pytest.mark.parametrize("seed", range(20))
def test_the_product_has_exactly_the_bits_asked_for(seed: int) -> None:
    first, second = safe_primes(512, seeded(seed))
    assert first != second
    assert (first * second).bit_length() == 512
    assert is_safe_prime(first) and is_safe_prime(second)
    assert first >> 254 == second >> 254 == 3
    assert safe_primes(512, seeded(seed)) == (first, second)


@pytest.mark.parametrize("edge", [b"\x00", b"\xff"])
def test_a_search_that_begins_at_an_edge(edge: bytes) -> None:
    given = [edge * 17, edge * 17]
    found = safe_prime(130, lambda size: given.pop()[:size] if given else secrets.token_bytes(size))
    assert found.bit_length() == 130
    assert is_safe_prime(found)


@pytest.mark.parametrize("bits", [0, 254, 511, 513])
def test_other_sizes_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="not an even number"):
        safe_primes(bits, secrets.token_bytes)


def test_the_published_ones_are_what_they_should_be() -> None:
    for bits in (2048, 3072):
        assert all(map(is_safe_prime, primes(bits)))
        assert (primes(bits)[0] * primes(bits)[1]).bit_length() == bits


@pytest.mark.slow
@pytest.mark.parametrize("bits", [2048, 3072])
def test_real_sizes(bits: int) -> None:
    first, second = safe_primes(bits, secrets.token_bytes)
    assert (first * second).bit_length() == bits
    assert is_safe_prime(first) and is_safe_prime(second)
