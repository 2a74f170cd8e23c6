"""Two other implementations of Paillier and ours, under one key: each opens what the others have encrypted.

build/paillier/bin/python tools/paillier/check.py [--bits 2048]
"""

from __future__ import annotations

import secrets
import sys
import warnings

from phe import PaillierPrivateKey, PaillierPublicKey

import paillier as pypaillier
from tclearn.paillier.decryption import combine, decryption_shares
from tclearn.paillier.encryption import Encryptor, is_ciphertext
from tclearn.paillier.keys import Dealing, deal
from tclearn.paillier.primes import safe_primes

PARTIES, THRESHOLD, COUNT = 5, 3, 20


def opened(dealing: Dealing, ciphertexts: list[int]) -> list[int]:
    """By three of the five parties, others each time; whole numbers with their signs."""
    chosen = sorted(secrets.SystemRandom().sample(range(PARTIES), THRESHOLD))
    shares = {
        dealing.shares[at].party: decryption_shares(dealing.key, dealing.shares[at], ciphertexts) for at in chosen
    }
    return combine(dealing.key, shares)


def main() -> None:
    warnings.simplefilter("ignore")
    bits = int(sys.argv[sys.argv.index("--bits") + 1]) if "--bits" in sys.argv else 2048
    first, second = map(int, safe_primes(bits, secrets.token_bytes))
    dealing = deal((first, second), PARTIES, THRESHOLD, secrets.token_bytes, allow_toy=True)
    key, modulus = dealing.key, first * second
    dealing.key.check_dealing()
    values = [0, 1, -1, modulus // 2, -(modulus // 2)] + [secrets.randbelow(1 << 400) for _ in range(COUNT)]

    public = PaillierPublicKey(modulus)
    private = PaillierPrivateKey(public, first, second)
    theirs = [public.raw_encrypt(value % modulus) for value in values]
    assert opened(dealing, theirs) == values
    print(f"{len(values)} ciphertexts of phe open under our shares")

    ours = [
        int(each)
        for each in Encryptor(key).encrypt([value % modulus for value in values], secrets.token_bytes).ciphertexts
    ]
    assert [private.raw_decrypt(each) for each in ours] == [value % modulus for value in values]
    assert opened(dealing, ours) == values
    print(f"{len(values)} of our ciphertexts open with phe's private key")

    sums = [first * second % modulus**2 for first, second in zip(theirs, ours, strict=True)]
    doubled = [2 * value % modulus for value in values]
    assert [private.raw_decrypt(each) for each in sums] == doubled
    assert [each % modulus for each in opened(dealing, sums)] == doubled
    print(f"{len(values)} sums of one of each open both ways")

    rust = pypaillier.PublicKey.from_n(modulus.to_bytes(bits // 8, "big"))
    blobs = [bytes(each) for each in pypaillier.encrypt_integers(rust, values[:3] + values[5:])]
    numbers = [int.from_bytes(each[-bits // 4 :], "big") for each in blobs]
    assert opened(dealing, numbers) == values[:3] + values[5:]
    print(f"{len(blobs)} ciphertexts of pypaillier open under our shares")

    for name, made in (("phe", theirs), ("pypaillier", numbers), ("ours", ours)):
        taken = sum(is_ciphertext(key, int(key.group.element(each))) for each in made)
        print(f"signed residues, as our proofs need them: {taken} of {len(made)} of {name}")


if __name__ == "__main__":
    main()
