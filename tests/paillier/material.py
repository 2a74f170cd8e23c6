"""Keys and randomness for tests: toy keys, and the same every time."""

from __future__ import annotations

import hashlib
import json
import warnings
from functools import cache
from pathlib import Path

from tclearn.encoding import Digest
from tclearn.paillier.arithmetic import Entropy
from tclearn.paillier.encryption import Encryptor
from tclearn.paillier.keys import TOY_BITS, Dealing, ToyKeyWarning, deal
from tclearn.paillier.packing import Layout
from tclearn.paillier.primes import safe_primes
from tclearn.paillier.statements import Context

PARTIES = 4
THRESHOLD = 3
COALITION = Digest(b"\xc0" * 32)
PLACE = Context(COALITION, round=7, party=2, batch=1)


def seeded(seed: object) -> Entropy:
    """Random bytes that a seed decides. For tests only."""
    stream = hashlib.shake_256(repr(seed).encode())
    given = 0

    def entropy(size: int) -> bytes:
        nonlocal given
        given += 1
        return hashlib.shake_256(stream.digest(32) + given.to_bytes(8, "big")).digest(size)

    return entropy


@cache
def primes(bits: int = TOY_BITS, seed: int = 1) -> tuple[int, int]:
    """Safe primes; those of real size are published here, and good for nothing else."""
    known = json.loads((Path(__file__).parent / "published_primes.json").read_text())
    if str(bits) in known and seed == 1:
        first, second = (int(each, 16) for each in known[str(bits)])
        return first, second
    return safe_primes(bits, seeded(("primes", seed)))


@cache
def dealing(parties: int = PARTIES, threshold: int = THRESHOLD, bits: int = TOY_BITS, seed: int = 1) -> Dealing:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ToyKeyWarning)
        return deal(primes(bits, seed), parties, threshold, seeded(("deal", seed)), allow_toy=True)


@cache
def encryptor(bits: int = TOY_BITS) -> Encryptor:
    return Encryptor(dealing(bits=bits).key, window=4)


def layout(bits: int = TOY_BITS, weights: tuple[int, ...] = (1,) * PARTIES) -> Layout:
    return Layout(bits, weights)


def plain(ciphertext: int, bits: int = TOY_BITS, seed: int = 1) -> int:
    """A plaintext by the textbook, with the factors, and with nothing of what is tested. Source: Paillier 1999."""
    first, second = map(int, primes(bits, seed))
    modulus, exponent = first * second, (first - 1) * (second - 1)
    raised = pow(int(ciphertext), exponent, modulus**2)
    return (raised - 1) // modulus * pow(exponent, -1, modulus) % modulus


def root_of_one(bits: int = TOY_BITS) -> int:
    """A square root of 1 modulo N² that is neither 1 nor -1; who has one has the factors."""
    first, second = (each**2 for each in map(int, primes(bits)))
    return (second * pow(second, -1, first) - first * pow(first, -1, second)) % (first * second)
