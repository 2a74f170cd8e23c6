"""Dealing: any threshold of the parties open, fewer do not, and a false dealing is found from public values."""

from __future__ import annotations

import copy
import itertools
import secrets
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.paillier.material import COALITION, dealing, encryptor, plain, primes, seeded

from tclearn.encoding import decode, encode
from tclearn.errors import Code, MessageError, UsageError
from tclearn.paillier.decryption import combine, decryption_shares, lagrange
from tclearn.paillier.keys import PublicKey, SecretShare, ToyKeyWarning, deal

pytestmark = pytest.mark.filterwarnings("ignore::tclearn.paillier.keys.ToyKeyWarning")
DEALING = dealing()
KEY = DEALING.key


def read(data: bytes) -> PublicKey:
    return PublicKey.read(data, allow_toy=True)


@settings(max_examples=25)
@given(st.integers(2, 9).flatmap(lambda parties: st.tuples(st.just(parties), st.integers(2, parties))), st.data())
@example((2, 2), None)
@example((9, 5), None)
def test_any_threshold_open_and_fewer_do_not(size: tuple[int, int], data: Any) -> None:
    parties, threshold = size
    dealt = deal(primes(), parties, threshold, seeded(size), allow_toy=True)
    key = dealt.key
    key.check_dealing()
    message = data.draw(st.integers(0, key.modulus - 1)) if data else 123456789
    ciphertext = key.group.multiply(
        key.group.generator_power(message), key.group.power(key.mask_base, secrets.randbits(250))
    )
    shares = {each.party: decryption_shares(key, each, [ciphertext]) for each in dealt.shares}
    subsets = list(itertools.combinations(shares, threshold))
    for chosen in subsets[:20]:
        (opened,) = combine(key, {party: shares[party] for party in chosen})
        assert opened % key.modulus == message
        assert -key.modulus < 2 * opened < key.modulus
    for chosen in list(itertools.combinations(shares, threshold - 1))[:20]:
        with pytest.raises(MessageError, match="shares of") as refused:
            combine(key, {party: shares[party] for party in chosen})
        assert refused.value.code is Code.PROOF
        # Nor does the formula open it, when nobody counts.
        low = 1
        for party in chosen:
            low = low * pow(int(shares[party][0]), 2 * int(lagrange(key, chosen, party)), int(key.group.square))
        assert low % key.modulus not in (1, key.modulus - 1)


@pytest.mark.parametrize("parties", range(2, 8))
def test_lagrange_in_whole_numbers(parties: int) -> None:
    key = dealing(parties, 2).key
    polynomial = [seven * 10**place for place, seven in enumerate((7, 3, 5))]
    for count in range(3, parties + 1):
        for chosen in itertools.combinations(range(1, parties + 1), count):
            values = {each: sum(one * each**power for power, one in enumerate(polynomial)) for each in chosen}
            total = sum(lagrange(key, chosen, each) * value for each, value in values.items())
            assert total == key.delta * polynomial[0]


@pytest.mark.parametrize("parties", [2, 3, 7])
def test_a_false_dealing_is_found(parties: int) -> None:
    for threshold in range(2, parties + 1):
        key = dealing(parties, threshold).key
        key.check_dealing()
        for party in range(parties):
            values = list(key.verification)
            values[party] = key.group.multiply(values[party], key.verification_base)
            with pytest.raises(MessageError, match="do not belong together"):
                replace(key, verification=tuple(values)).check_dealing()
        with pytest.raises(MessageError, match="do not belong together"):
            replace(key, verification=key.verification[::-1]).check_dealing()


def test_a_dealing_of_another_exponent_is_found() -> None:
    """All shares times two lie on one polynomial, too; only it does not open to the plaintext."""
    values = tuple(KEY.group.power(each, 2) for each in KEY.verification)
    with pytest.raises(MessageError, match="do not belong together"):
        replace(KEY, verification=values).check_dealing()


def test_a_dealing_of_a_higher_degree_is_found() -> None:
    with pytest.raises(MessageError, match="do not belong together"):
        replace(KEY, threshold=KEY.threshold - 1).check_dealing()
    replace(KEY, threshold=KEY.threshold + 1).check_dealing()  # of a lower one: it is one of higher degree, too


def test_shares_are_checked_against_the_key() -> None:
    for each in DEALING.shares:
        each.check(KEY)
        assert SecretShare.read(each.encode(KEY), KEY).value == each.value
    first, second = DEALING.shares[:2]
    for wrong in (
        SecretShare(1, KEY.digest, second.value),
        SecretShare(1, KEY.digest, first.value + 1),
        SecretShare(0, KEY.digest, first.value),
        SecretShare(5, KEY.digest, first.value),
        SecretShare(1, COALITION, first.value),
    ):
        with pytest.raises(MessageError) as refused:
            wrong.check(KEY)
        assert refused.value.code is Code.PAILLIER_KEY
        assert str(int(wrong.value))[:20] not in str(refused.value)


def test_secrets_are_not_shown_and_not_copied() -> None:
    share = DEALING.shares[0]
    encrypted = encryptor().encrypt([42], secrets.token_bytes)
    opening = encrypted.openings[0]
    hidden = [str(int(share.value))[:12], str(int(opening.exponent))[:12], "plaintext=42"]
    for shown in (share, DEALING, encrypted, opening, encryptor()):
        assert not any(each in repr(shown) for each in hidden)
    for secret in (share, opening, encryptor()):
        with pytest.raises(TypeError, match="copied or pickled"):
            copy.copy(secret)


def test_toy_keys_are_for_who_asks_for_them() -> None:
    with pytest.raises(MessageError, match="a toy key of 512 bits"):
        deal(primes(), 3, 2, secrets.token_bytes)
    with pytest.raises(MessageError, match="a toy key of 512 bits"):
        PublicKey.read(KEY.encode())
    with pytest.warns(ToyKeyWarning, match="whoever wants to reads everything"):
        deal(primes(), 3, 2, secrets.token_bytes, allow_toy=True)
    with pytest.warns(ToyKeyWarning):
        assert PublicKey.read(KEY.encode(), allow_toy=True).is_toy


@pytest.mark.parametrize(
    "wrong",
    [
        lambda p, q: (p, p),
        lambda p, q: (p, q + 12),
        lambda p, q: (p * q, 11),
        lambda p, q: (-p, -q),
        lambda p, q: (0, 0),
        lambda p, q: (p, 11),
        lambda p, q: ((1 << 255) + 95, q),  # prime, and not safe
    ],
)
def test_only_safe_primes_make_a_key(wrong: Any) -> None:
    with pytest.raises(UsageError) as refused:
        deal(wrong(*primes()), 3, 2, secrets.token_bytes, allow_toy=True)
    assert refused.value.code is Code.PAILLIER_KEY


@pytest.mark.parametrize(("parties", "threshold"), [(1, 1), (2, 1), (2, 3), (0, 0), (257, 2), (3, -1)])
def test_numbers_of_parties_out_of_range_are_refused(parties: int, threshold: int) -> None:
    with pytest.raises(UsageError, match=f"threshold {threshold} for {parties}"):
        deal(primes(), parties, threshold, secrets.token_bytes, allow_toy=True)


def test_a_key_comes_back_from_its_bytes() -> None:
    again = read(KEY.encode())
    assert again == KEY
    assert again.digest == KEY.digest
    assert again.mask_base == KEY.mask_base
    assert (again.parties, again.threshold, again.bits) == (4, 3, 512)
    assert again.digest != dealing(seed=2).key.digest


def changed(**fields: Any) -> bytes:
    value = decode(KEY.encode())
    assert isinstance(value, dict)
    return encode({**value, **fields})


MODULUS = int(KEY.modulus)
SIZE = KEY.group.element_bytes


@pytest.mark.parametrize(
    "data",
    [
        b"",
        changed(format="tclearn/paillier-key/2"),
        changed(modulus=b""),
        changed(modulus=bytes(64)),
        changed(modulus=(MODULUS >> 1).to_bytes(64, "big")),
        changed(modulus=MODULUS.to_bytes(65, "big")),
        changed(modulus=(MODULUS - 1).to_bytes(64, "big")),
        changed(modulus=(3 * (1 << 510) + 1).to_bytes(64, "big")),
        changed(modulus=(2**512 - 569 - 12 * 5).to_bytes(64, "big")),
        changed(threshold=0),
        changed(threshold=1),
        changed(threshold=5),
        changed(verification=b""),
        changed(verification=KEY.encode()),
        changed(verification=bytes(3 * SIZE)),
        changed(verification=(MODULUS**2 - 1).to_bytes(SIZE, "big") * 3),
        changed(verification=MODULUS.to_bytes(SIZE, "big") * 3),
        changed(more=1),
    ],
)
def test_what_is_no_key_is_refused(data: bytes) -> None:
    with pytest.raises(MessageError):
        read(data)


def test_a_prime_is_no_modulus() -> None:
    prime = next(each for each in range((1 << 512) - 3, 0, -12) if pow(2, each - 1, each) == 1)
    with pytest.raises(MessageError, match="no product of two safe primes"):
        read(changed(modulus=prime.to_bytes(64, "big")))


def test_the_bases_are_what_the_format_says() -> None:
    assert plain(KEY.mask_base) == 0
    assert plain(KEY.verification_base) in (1, MODULUS - 1)
    assert KEY.group.holds(KEY.mask_base) and KEY.group.holds(KEY.verification_base)


def test_as_many_parties_as_there_may_be() -> None:
    dealt = deal(primes(), 256, 129, seeded("many"), allow_toy=True)
    dealt.key.check_dealing()
    ciphertext = dealt.key.group.multiply(dealt.key.group.generator_power(31), dealt.key.mask_base)
    chosen = dealt.shares[60:200:2] + dealt.shares[1:60]
    shares = {each.party: decryption_shares(dealt.key, each, [ciphertext]) for each in chosen}
    assert len(shares) == 129
    assert combine(dealt.key, shares) == [31]
    values = (*dealt.key.verification[:255], dealt.key.verification[0])
    with pytest.raises(MessageError, match="do not belong together"):
        replace(dealt.key, verification=values).check_dealing()


def test_real_keys_open() -> None:
    key, shares = (dealt := dealing(3, 2, bits=2048)).key, dealt.shares
    key.check_dealing()
    assert not key.is_toy
    assert PublicKey.read(key.encode()) == key
    ciphertext = key.group.multiply(
        key.group.generator_power(99), key.group.power(key.mask_base, secrets.randbits(1024))
    )
    opened = combine(key, {each.party: decryption_shares(key, each, [ciphertext]) for each in shares[1:]})
    assert opened == [99] == [plain(ciphertext, 2048)]
