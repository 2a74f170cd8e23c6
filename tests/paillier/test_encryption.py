"""Encryption and opening: what the textbook opens, sums, randomness that is used once, and shares that do not fit."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.paillier.material import dealing, encryptor, layout, plain, primes, root_of_one, seeded

from tclearn.errors import Code, MessageError
from tclearn.paillier.decryption import combine, decryption_shares
from tclearn.paillier.encryption import Encryptor, is_ciphertext, weighted_sum

DEALING = dealing()
KEY = DEALING.key
MODULUS, SQUARE = int(KEY.modulus), int(KEY.group.square)


def opened(ciphertexts: Sequence[int], parties: Sequence[int] = (1, 2, 4), **options: Any) -> list[int]:
    shares = {party: decryption_shares(KEY, DEALING.shares[party - 1], ciphertexts, **options) for party in parties}
    return combine(KEY, shares, **options)


@settings(max_examples=30)
@given(st.lists(st.integers(0, MODULUS - 1), min_size=1, max_size=5))
@example([0, 1, MODULUS - 1, MODULUS // 2, MODULUS // 2 + 1])
def test_what_is_encrypted_is_opened_by_the_textbook_and_by_the_parties(plaintexts: list[int]) -> None:
    encrypted = encryptor().encrypt(plaintexts, secrets.token_bytes)
    assert [plain(each) for each in encrypted.ciphertexts] == plaintexts
    assert [each % MODULUS for each in opened(encrypted.ciphertexts)] == plaintexts
    assert all(is_ciphertext(KEY, each) for each in encrypted.ciphertexts)


def test_ciphertexts_of_the_textbook_are_opened() -> None:
    """With any randomness, not only squares."""
    plaintexts = [0, 1, 77, MODULUS - 2]
    made = [
        (1 + each * MODULUS) * pow(secrets.randbelow(MODULUS - 2) + 2, MODULUS, SQUARE) % SQUARE for each in plaintexts
    ]
    assert [each % MODULUS for each in opened(made)] == plaintexts


@settings(max_examples=30)
@given(st.data())
def test_the_opened_sum_is_the_sum(data: Any) -> None:
    weights = tuple(data.draw(st.lists(st.integers(1, 64), min_size=4, max_size=4)))
    plan = layout(weights=weights)
    count = data.draw(st.integers(1, 30))
    value = st.integers(-plan.levels, plan.levels)
    present = data.draw(st.sets(st.integers(1, 4), min_size=1))
    vectors = {party: data.draw(st.lists(value, min_size=count, max_size=count)) for party in present}
    sums = weighted_sum(
        KEY,
        plan,
        {
            party: encryptor().encrypt(plan.pack(vector), secrets.token_bytes).ciphertexts
            for party, vector in vectors.items()
        },
    )
    assert plan.unpack(opened(sums), count, present) == [
        sum(weights[party - 1] * vectors[party][place] for party in present) for place in range(count)
    ]


def test_everybody_at_the_end_of_the_range() -> None:
    plan = layout(weights=(64,) * 4)
    for end in (plan.levels, -plan.levels):
        made = {
            party: encryptor().encrypt(plan.pack([end] * 24), secrets.token_bytes).ciphertexts for party in range(1, 5)
        }
        assert plan.unpack(opened(weighted_sum(KEY, plan, made)), 24, range(1, 5)) == [256 * end] * 24


@pytest.mark.parametrize("sent", [{}, {1: [2], 2: [2, 3]}, {0: [2]}, {5: [2]}])
def test_what_cannot_be_added_is_refused(sent: dict[int, list[int]]) -> None:
    with pytest.raises(MessageError, match="cannot be added"):
        weighted_sum(KEY, layout(), sent)


@pytest.mark.parametrize("weights", [(1, 1, 1, 1), (5, 1, 2, 1)])
def test_sums_of_anything_are_numbers_of_their_size(weights: tuple[int, ...]) -> None:
    """Who computes a sum again, as a contract may, has not always looked at what it is of."""
    odd = [0, 1, MODULUS, SQUARE, SQUARE - 1, (1 << 1024) - 1, SQUARE + 7]
    plan = layout(weights=weights)
    for value in odd:
        for sent in ({1: [value]}, {1: [value], 3: [(1 << 1024) - 5]}):
            expected = 1
            for party, (each,) in sent.items():
                expected = expected * pow(each, weights[party - 1], SQUARE) % SQUARE
            assert weighted_sum(KEY, plan, sent) == [min(expected, -expected % SQUARE)]


@pytest.mark.parametrize("plaintext", [-1, MODULUS, MODULUS + 1, 1 << 600], ids=["-1", "N", "N+1", "2^600"])
def test_plaintexts_out_of_range_are_refused(plaintext: int) -> None:
    with pytest.raises(MessageError, match="out of range") as refused:
        encryptor().encrypt([1, plaintext], secrets.token_bytes)
    assert refused.value.code is Code.HEAD_ROOM


def test_the_same_plaintext_is_never_encrypted_alike() -> None:
    made = encryptor().encrypt([5] * 50, secrets.token_bytes)
    assert len(set(made.ciphertexts)) == len({each.exponent for each in made.openings}) == 50
    assert all(each.exponent.bit_length() <= KEY.exponent_bits for each in made.openings)


def test_what_is_in_stock_is_used_once_even_by_many_threads() -> None:
    own = Encryptor(KEY, window=3)
    own.prepare(100, secrets.token_bytes)
    assert own.in_stock == 100
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: own.encrypt([1, 2, 3], secrets.token_bytes), range(50)))
    assert own.in_stock == 0
    assert len({each for batch in made for each in batch.ciphertexts}) == 150
    assert all([plain(each) for each in batch.ciphertexts] == [1, 2, 3] for batch in made)


def test_the_stock_is_used_before_anything_is_drawn() -> None:
    own = Encryptor(KEY, window=3)
    own.prepare(3, secrets.token_bytes)

    def none(size: int) -> bytes:
        raise AssertionError("drawn")

    own.encrypt([1, 2, 3], none)
    with pytest.raises(AssertionError, match="drawn"):
        own.encrypt([1], none)


@pytest.mark.parametrize("window", [1, 2, 5, 8])
def test_the_size_of_the_table_changes_nothing(window: int) -> None:
    first, second = (Encryptor(KEY, window=each).encrypt([9], seeded("w")) for each in (window, 4))
    assert first.ciphertexts == second.ciphertexts


@pytest.mark.parametrize(
    "value",
    [0, 1, SQUARE - 1, MODULUS, SQUARE, SQUARE + 5, -5, MODULUS - 1, MODULUS + 1, int(primes()[0]), 2 * MODULUS],
    ids=lambda value: f"{value.bit_length()}-bits",
)
def test_what_is_no_ciphertext(value: int) -> None:
    assert not is_ciphertext(KEY, value)
    assert not is_ciphertext(KEY, KEY.group.element(value))


def test_what_hides_nothing_or_has_two_names_is_no_ciphertext() -> None:
    (good,) = encryptor().encrypt([5], secrets.token_bytes).ciphertexts
    assert is_ciphertext(KEY, good)
    assert not is_ciphertext(KEY, KEY.group.element(KEY.group.generator_power(5)))
    assert not is_ciphertext(KEY, SQUARE - good)
    assert not is_ciphertext(KEY, good + SQUARE)
    assert not is_ciphertext(KEY, KEY.group.element(good * root_of_one()))


def test_more_parties_than_needed_and_several_cores() -> None:
    ciphertexts = encryptor().encrypt(list(range(40)), secrets.token_bytes).ciphertexts
    with ThreadPoolExecutor(3) as pool:
        assert opened(ciphertexts, (4, 2, 3, 1), run=pool.map) == opened(ciphertexts) == list(range(40))


def test_a_false_share_spoils_the_opening_and_is_not_a_crash() -> None:
    """Whether it is noticed here depends on the lie: this is why shares are verified first."""
    ciphertexts = encryptor().encrypt([7], secrets.token_bytes).ciphertexts
    shares = {each.party: decryption_shares(KEY, each, ciphertexts) for each in DEALING.shares}
    for lie in (0, 1, 2, MODULUS, SQUARE, shares[2][0], ciphertexts[0]):
        with pytest.raises(MessageError, match="do not open ciphertext 0") as refused:
            combine(KEY, {**shares, 1: (lie,)})
        assert refused.value.code is Code.PROOF
    moved = KEY.group.multiply(shares[1][0], KEY.group.generator_power(1))
    assert combine(KEY, {**shares, 1: (moved,)}) != [7]


@pytest.mark.parametrize("parties", [(), (1, 2), (0, 1, 2), (3, 4, 5)])
def test_too_few_or_unknown_parties(parties: tuple[int, ...]) -> None:
    with pytest.raises(MessageError, match=f"shares of {len(parties)} parties"):
        combine(KEY, dict.fromkeys(parties, (5,)))


def test_shares_must_be_as_many_of_each() -> None:
    with pytest.raises(MessageError, match="not as many"):
        combine(KEY, {1: (5,), 2: (5, 6), 3: (5,)})


def test_a_share_of_another_key_is_not_used() -> None:
    with pytest.raises(MessageError, match="for the key") as refused:
        decryption_shares(KEY, dealing(seed=2).shares[0], [5])
    assert refused.value.code is Code.PAILLIER_KEY
