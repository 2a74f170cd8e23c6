"""Opening by N-th roots: exact, its own certificate, refused where something is false; and why it is dealt as it is."""

from __future__ import annotations

import copy
import itertools
import math
import secrets
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.paillier.material import COALITION, PLACE, dealing, encryptor, layout, primes, seeded

from tclearn.encoding import decode, encode
from tclearn.errors import Code, MessageError, UsageError
from tclearn.paillier import experimental_root as root
from tclearn.paillier.arithmetic import jacobi
from tclearn.paillier.decryption import combine, decryption_shares, lagrange
from tclearn.paillier.encryption import Encryptor, weighted_sum
from tclearn.paillier.keys import PublicKey, SecretShare, ToyKeyWarning, check_polynomial, deal, split
from tclearn.paillier.messages import ShareBatch
from tclearn.paillier.proof_decryption import prove_shares, verify_shares
from tclearn.paillier.statements import ProofError

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{each.__module__}.{each.__name__}")
    for each in (ToyKeyWarning, root.ExperimentalWarning)
]


@cache
def root_dealing(parties: int = 4, threshold: int = 3, bits: int = 512) -> root.RootDealing:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        public = dealing(parties, threshold, bits=bits).key
        return root.deal_roots(primes(bits), public, seeded(("roots", parties)), allow_experimental=True)


DEALING = root_dealing()
KEY = DEALING.key
MODULUS, SQUARE = int(KEY.public.modulus), int(KEY.public.group.square)
CIPHERTEXTS = encryptor().encrypt([*range(6), MODULUS - 5], seeded("roots")).ciphertexts
PLAINTEXTS = [*range(6), -5]
REDUCED = KEY.reduced(CIPHERTEXTS)
SHARES = {each.party: decryption_shares(KEY, each, REDUCED) for each in DEALING.shares}
ROOTS = root.combine_roots(KEY, SHARES)
OWN = DEALING.shares[PLACE.party - 1]
PROOF = prove_shares(KEY, OWN, PLACE, REDUCED, SHARES[PLACE.party], seeded("prove"))


def opened(ciphertexts: Sequence[int], parties: Sequence[int], dealt: root.RootDealing = DEALING) -> list[int]:
    key = dealt.key
    shares = {party: decryption_shares(key, dealt.shares[party - 1], key.reduced(ciphertexts)) for party in parties}
    roots = root.combine_roots(key, shares)
    plaintexts = root.open_with_roots(key, ciphertexts, roots)
    root.check_openings(key, ciphertexts, plaintexts, roots)
    return plaintexts


# --- what it does -----------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.integers(2, 8).flatmap(lambda parties: st.tuples(st.just(parties), st.integers(2, parties))), st.data())
@example((2, 2), None)
@example((8, 5), None)
def test_any_threshold_open_and_fewer_do_not(size: tuple[int, int], data: Any) -> None:
    public = deal(primes(), *size, seeded(size), allow_toy=True).key
    dealt = root.deal_roots(primes(), public, seeded(("roots", size)), allow_experimental=True)
    key, threshold = dealt.key, size[1]
    key.check_dealing()
    message = data.draw(st.integers(-(MODULUS >> 1), MODULUS >> 1)) if data else -123456789
    (ciphertext,) = Encryptor(public, window=2).encrypt([message % MODULUS], secrets.token_bytes).ciphertexts
    for chosen in list(itertools.combinations(range(1, size[0] + 1), threshold))[:20]:
        assert opened([ciphertext], chosen, dealt) == [message]
    for chosen in list(itertools.combinations(range(1, size[0] + 1), threshold - 1))[:20]:
        with pytest.raises(MessageError, match="shares of"):
            opened([ciphertext], chosen, dealt)
        # Nor does the formula open it, when nobody counts.
        product = 1
        for party in chosen:
            (share,) = decryption_shares(key, dealt.shares[party - 1], key.reduced([ciphertext]))
            product = product * pow(int(share), 2 * int(lagrange(key, chosen, party)), MODULUS)
        with pytest.raises(MessageError, match="do not open ciphertext 0"):
            root.open_with_roots(key, [ciphertext], [key.group.element(product)])


@settings(max_examples=20)
@given(st.lists(st.lists(st.integers(-32767, 32767), min_size=30, max_size=30), min_size=4, max_size=4), st.data())
def test_sums_are_exact_and_those_of_the_classic_way(values: list[list[int]], data: Any) -> None:
    classic, plan = dealing(), layout(weights=(1, 2, 3, 250))
    made = {
        party: encryptor().encrypt(plan.pack(each), secrets.token_bytes).ciphertexts
        for party, each in enumerate(values, 1)
    }
    sums = weighted_sum(classic.key, plan, made)
    chosen = data.draw(st.sampled_from(list(itertools.combinations(range(1, 5), 3))))
    plaintexts = opened(sums, chosen)
    assert plaintexts == combine(
        classic.key, {party: decryption_shares(classic.key, classic.shares[party - 1], sums) for party in chosen}
    )
    expected = [
        sum(weight * each for weight, each in zip(plan.weights, row, strict=True)) for row in zip(*values, strict=True)
    ]
    assert plan.unpack(plaintexts, 30, made) == expected


def test_several_cores_open_the_same() -> None:
    many = encryptor().encrypt(list(range(40)), secrets.token_bytes).ciphertexts
    with ThreadPoolExecutor(3) as pool:
        shares = {
            each.party: decryption_shares(KEY, each, KEY.reduced(many), run=pool.map) for each in DEALING.shares[1:]
        }
        roots = root.combine_roots(KEY, shares, run=pool.map)
        assert root.open_with_roots(KEY, many, roots, run=pool.map) == list(range(40))


def test_keys_of_real_size() -> None:
    dealt = root_dealing(3, 2, 2048)
    dealt.key.check_dealing()
    group = dealt.key.public.group
    ciphertext = group.multiply(group.generator_power(99), dealt.key.public.mask_base)
    assert opened([ciphertext], (1, 3), dealt) == [99]


# --- what is refused --------------------------------------------------------------------------------------------------


def test_it_is_for_who_asks_for_it() -> None:
    with pytest.raises(UsageError, match="experimental"):
        root.deal_roots(primes(), KEY.public, secrets.token_bytes)
    with pytest.raises(UsageError, match="experimental"):
        root.RootKey.read(KEY.encode(), KEY.public)
    with pytest.warns(root.ExperimentalWarning, match="no cryptographer"):
        root.deal_roots(primes(), KEY.public, secrets.token_bytes, allow_experimental=True)
    with pytest.warns(root.ExperimentalWarning):
        root.RootKey.read(KEY.encode(), KEY.public, allow_experimental=True)


def test_nothing_here_loads_it() -> None:
    """With every module of the protocols loaded."""
    code = """
import importlib, pkgutil, sys, tclearn.protocols as rooms
for each in pkgutil.walk_packages(rooms.__path__, "tclearn.protocols."):
    importlib.import_module(each.name)
assert "tclearn.paillier.decryption" in sys.modules
sys.exit("tclearn.paillier.experimental_root" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("wrong", [lambda p, q: (p, p), lambda p, q: (1, p * q), lambda p, q: (-p, -q)])
def test_only_the_keys_own_primes_deal(wrong: Callable[[int, int], tuple[int, int]]) -> None:
    with pytest.raises(UsageError, match="not the key's"):
        root.deal_roots(wrong(*primes()), KEY.public, secrets.token_bytes, allow_experimental=True)


def test_a_false_dealing_is_found() -> None:
    KEY.check_dealing()
    for party in range(KEY.parties):
        values = list(KEY.verification)
        values[party] = KEY.group.multiply(values[party], KEY.verification_base)
        with pytest.raises(MessageError, match="do not belong together"):
            replace(KEY, verification=tuple(values)).check_dealing()
    for values in (
        list(KEY.verification[::-1]),
        [KEY.group.power(each, 2) for each in KEY.verification],  # on one polynomial, of twice the secret
        [KEY.group.element(each) for each in dealing().key.verification],  # the classic ones
    ):
        with pytest.raises(MessageError, match="do not belong together"):
            replace(KEY, verification=tuple(values)).check_dealing()


def test_shares_are_checked_and_come_back_from_their_bytes() -> None:
    for each in DEALING.shares:
        again = root.read_share(root.write_share(KEY, each), KEY)
        assert (again.party, again.value) == (each.party, each.value)
    first, second = DEALING.shares[:2]
    for wrong in (
        SecretShare(1, KEY.digest, second.value),
        SecretShare(1, KEY.digest, first.value + 1),
        SecretShare(5, KEY.digest, first.value),
        SecretShare(1, KEY.public.digest, first.value),
        dealing().shares[0],
    ):
        with pytest.raises(MessageError) as refused:
            wrong.check(KEY)
        assert refused.value.code is Code.PAILLIER_KEY
        assert str(int(first.value))[:20] not in str(refused.value)
    with pytest.raises(TypeError, match="copied or pickled"):
        copy.copy(first)
    assert str(int(first.value))[:12] not in repr(DEALING)


def test_shares_of_one_way_are_none_of_the_other() -> None:
    with pytest.raises(MessageError, match="for the key"):
        decryption_shares(KEY.public, DEALING.shares[0], CIPHERTEXTS)
    with pytest.raises(MessageError, match="for the key"):
        decryption_shares(KEY, dealing().shares[0], REDUCED)


def changed(**fields: Any) -> bytes:
    value = decode(KEY.encode())
    assert isinstance(value, dict)
    return encode({**value, **fields})


SIZE = KEY.group.element_bytes


@pytest.mark.parametrize(
    "data",
    [
        b"",
        KEY.public.encode(),
        changed(format="tclearn/paillier-key/1"),
        changed(key=bytes(32)),
        changed(verification=b""),
        changed(verification=bytes(4 * SIZE)),
        changed(verification=(MODULUS - 1).to_bytes(SIZE, "big") * 4),
        changed(verification=bytes(5 * SIZE)),
        changed(more=1),
    ],
)
def test_what_is_no_root_key_is_refused(data: bytes) -> None:
    with pytest.raises(MessageError):
        root.RootKey.read(data, KEY.public, allow_experimental=True)


def test_a_root_key_comes_back_from_its_bytes() -> None:
    again = root.RootKey.read(KEY.encode(), KEY.public, allow_experimental=True)
    assert again == KEY and again.digest == KEY.digest != KEY.public.digest


@pytest.mark.parametrize(
    "data",
    [
        b"",
        dealing().shares[0].encode(dealing().key),
        encode(
            {
                "format": "tclearn/paillier-experimental-root-share/1",
                "key": bytes(KEY.digest),
                "party": 1,
                "share": bytes(65),
            }
        ),
    ],
)
def test_what_is_no_root_share_is_refused(data: bytes) -> None:
    with pytest.raises(MessageError):
        root.read_share(data, KEY)


@settings(max_examples=40)
@given(st.integers(0, len(CIPHERTEXTS) - 1), st.integers(1, MODULUS - 1), st.integers(0, 2))
def test_an_opening_that_was_changed_is_refused(place: int, by: int, what: int) -> None:
    root.check_openings(KEY, CIPHERTEXTS, PLAINTEXTS, ROOTS)
    ciphertexts, plaintexts, roots = list(CIPHERTEXTS), list(PLAINTEXTS), list(ROOTS)
    if what == 0:
        ciphertexts[place] = KEY.public.group.multiply(ciphertexts[place], KEY.public.group.generator_power(by))
    elif what == 1:
        plaintexts[place] = (plaintexts[place] + by + (MODULUS >> 1)) % MODULUS - (MODULUS >> 1)
    elif roots[place] != (other := KEY.group.multiply(roots[place], by)):
        roots[place] = other
    else:
        return
    with pytest.raises(MessageError) as refused:
        root.check_openings(KEY, ciphertexts, plaintexts, roots)
    assert refused.value.code is Code.PROOF


def test_an_opening_has_one_name_and_one_for_each() -> None:
    for plaintexts, roots in (
        ([*PLAINTEXTS[:-1], MODULUS - 5], ROOTS),
        (PLAINTEXTS, [MODULUS - each for each in ROOTS]),
        (PLAINTEXTS, [0, *ROOTS[1:]]),
        (PLAINTEXTS[1:], ROOTS),
        (PLAINTEXTS, ROOTS[1:]),
        ([PLAINTEXTS[1], PLAINTEXTS[0], *PLAINTEXTS[2:]], [ROOTS[1], ROOTS[0], *ROOTS[2:]]),
    ):
        with pytest.raises(MessageError) as refused:
            root.check_openings(KEY, CIPHERTEXTS, plaintexts, roots)
        assert refused.value.code is Code.PROOF


def test_a_false_share_never_opens_to_a_false_plaintext() -> None:
    """Unlike the classic way, where false shares may open to what nobody has encrypted."""
    shares = {party: list(each) for party, each in SHARES.items()}
    for lie in (0, 1, 2, int(primes()[0]), MODULUS, SHARES[2][0], REDUCED[0], SHARES[1][0] * 4):
        shares[1][0] = lie
        roots = root.combine_roots(KEY, shares)
        with pytest.raises(MessageError, match="do not open ciphertext 0") as refused:
            root.open_with_roots(KEY, CIPHERTEXTS, roots)
        assert refused.value.code is Code.PROOF
        assert root.open_with_roots(KEY, CIPHERTEXTS[1:], roots[1:]) == PLAINTEXTS[1:]
    with pytest.raises(MessageError, match="openings of"):
        root.open_with_roots(KEY, CIPHERTEXTS, ROOTS[1:])


def test_shares_are_proved_and_false_ones_have_an_author() -> None:
    own = SHARES[PLACE.party]
    verify_shares(KEY, PLACE, REDUCED, own, PROOF)
    batch = ShareBatch.read(ShareBatch.of(KEY, PLACE, own, PROOF).encode())
    assert batch.verify(KEY, PLACE, REDUCED) == own
    assert len(batch.shares) == len(own) * KEY.public.bits // 8
    with pytest.raises(ProofError, match="under the key"):
        batch.verify(dealing().key, PLACE, CIPHERTEXTS)
    false = (KEY.group.multiply(own[0], 4), *own[1:])
    for shares, proof in (
        (false, PROOF),
        (false, prove_shares(KEY, OWN, PLACE, REDUCED, false, seeded("false"))),
        ((MODULUS - own[0], *own[1:]), PROOF),
        (SHARES[1], PROOF),
        (own, replace(PROOF, response=PROOF.response + 1)),
        (own, replace(PROOF, challenge=bytes(16))),
    ):
        with pytest.raises(ProofError) as refused:
            verify_shares(KEY, PLACE, REDUCED, shares, proof)
        assert (refused.value.party, refused.value.batch) == (PLACE.party, PLACE.batch)
    with pytest.raises(ProofError):
        verify_shares(KEY, replace(PLACE, coalition=type(COALITION)(bytes(32))), REDUCED, own, PROOF)


# --- why it is as it is -----------------------------------------------------------------------------------------------


def coefficients(key: PublicKey, nodes: Sequence[int], at: int) -> list[int]:
    """Whole numbers with Δ f(at) = Σ coefficient · f(node), for f of fewer degrees than nodes."""
    result = []
    for node in nodes:
        others = [each for each in nodes if each != node]
        above = key.delta * math.prod(at - each for each in others)
        below = math.prod(node - each for each in others)
        assert above % below == 0
        result.append(above // below)
    return result


def chosen_randomness() -> int:
    """A unit of Jacobi symbol -1."""
    return next(each for each in range(2, 100) if jacobi(each, MODULUS) == -1)


def without_own(
    key: PublicKey, ciphertext: int, own: Sequence[SecretShare], third: int, party: int
) -> tuple[int, Sequence[int]]:
    """Of an honest party's share, c^(2Δs), what two plotters cannot compute themselves: c² to λ times the secret."""
    nodes = [0, *(each.party for each in own)]
    known, *rest = coefficients(key, nodes, party)
    exponent = sum(coefficient * int(each.value) for coefficient, each in zip(rest, own, strict=True))
    return third * pow(ciphertext, -2 * exponent, MODULUS) % MODULUS, [known]


def test_of_n_s_inverse_shares_tell_nothing_that_the_opening_does_not() -> None:
    """Shoup's simulation: two parties and r² give the third one's share."""
    plaintext, randomness = 77, chosen_randomness() ** 16
    ciphertext = int((1 + plaintext * MODULUS) * pow(randomness, MODULUS, SQUARE) % SQUARE)
    (third,) = decryption_shares(KEY, DEALING.shares[2], [ciphertext % MODULUS])
    told, (known,) = without_own(KEY.public, ciphertext, DEALING.shares[:2], int(third), 3)
    assert told in ((simulated := pow(randomness, 2 * known, MODULUS)), MODULUS - simulated)


def test_of_another_secret_shares_give_the_factors() -> None:
    """(4Δ²N)⁻¹ in place of N⁻¹ would be opened by the same formula; two plotters who chose r factor N."""
    first, second = map(int, primes())
    order, delta = (first // 2) * (second // 2), KEY.delta
    values = split(pow(4 * delta**2 * MODULUS, -1, order), order, 4, 3, seeded("another secret"))
    own = [SecretShare(party, KEY.digest, value) for party, value in enumerate(values[:2], 1)]
    chosen = chosen_randomness()
    ciphertext = int(pow(chosen**16, MODULUS, SQUARE))  # of the plaintext 0
    third = pow(ciphertext, 2 * delta * int(values[2]), MODULUS)
    told, (known,) = without_own(KEY.public, ciphertext, own, third, 3)
    # r² = chosen^32, and this is r² to known / (4Δ²): a 32nd root of it, to a power that is odd
    even, odd = 32, 4 * delta**2 // known // 32
    assert known * even * odd == 4 * delta**2
    found = pow(told, odd, MODULUS)
    assert pow(found, even, MODULUS) == pow(chosen, even, MODULUS)
    assert math.gcd(found - chosen, MODULUS) in (first, second)


def test_without_the_square_shares_give_the_factors() -> None:
    """Two parties: of c itself, of Jacobi symbol -1, one's power and the other's share factor N for every other key."""
    first, second = map(int, primes())
    order, factored = (first // 2) * (second // 2), 0
    ciphertext = chosen_randomness()
    for number in range(12):
        yours, mine = split(pow(MODULUS, -1, order), order, 2, 2, seeded(("unsquared", number)))
        power = pow(ciphertext, 2 * int(yours) - int(mine), MODULUS)  # c^(Δ s_1 - s_2), as if c^(1/N)
        assert (2 * yours - mine - pow(MODULUS, -1, order)) % order == 0
        sign = pow(power, MODULUS, MODULUS) * pow(ciphertext, -1, MODULUS) % MODULUS
        assert pow(sign, 2, MODULUS) == 1
        factored += math.gcd(sign - 1, MODULUS) in (first, second)
    assert 0 < factored < 12


def test_the_check_of_dealings_is_about_the_secret_too() -> None:
    first, second = map(int, primes())
    order = (first // 2) * (second // 2)
    values = split(pow(MODULUS, -1, order) + 1, order, 4, 3, seeded("off by one"))
    group, base = KEY.group, KEY.verification_base
    false = replace(KEY, verification=tuple(group.power(base, KEY.delta * each) for each in values))
    with pytest.raises(MessageError, match="do not belong together"):
        false.check_dealing()
    check_polynomial(false, group.power(base, KEY.delta * (pow(MODULUS, -1, order) + 1)))
