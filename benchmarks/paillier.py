"""Threshold Paillier: what a round costs for each 1,000 parameters, beside the bare power of GMP that it is made of.

    python -m benchmarks.paillier [--table] [--bits 2048] [--parties 4] [--threshold 3] [--batches 1]

CPU time of one core, but for what is in threads. *Textbook* is r^N modulo N², what one encryption costs without a
table; *the full power* is one modulo N² with an exponent as long as a share's, of which no decryption share does with
less.
"""

from __future__ import annotations

import argparse
import os
import resource
import secrets
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gmpy2

from benchmarks.common import Figure, in_turn, show
from tclearn.encoding import Digest
from tclearn.paillier.decryption import combine, decryption_shares
from tclearn.paillier.encryption import Encryptor, weighted_sum
from tclearn.paillier.keys import deal
from tclearn.paillier.messages import EncryptedBatch, ShareBatch
from tclearn.paillier.packing import Layout
from tclearn.paillier.primes import safe_primes
from tclearn.paillier.proof_decryption import prove_shares
from tclearn.paillier.proof_encryption import prove_encryption
from tclearn.paillier.statements import Context

T = TypeVar("T")
ROUNDS = 3
POWERS = 20
BATCH = 128


def timed(work: Callable[[], T]) -> tuple[float, T]:
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def seconds(work: Callable[[], object]) -> float:
    return timed(work)[0]


def peak() -> float:
    """MB of memory at the most so far; Linux counts in KiB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def on_the_clock(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--table", action="store_true")
    options.add_argument("--bits", type=int, default=2048, choices=(2048, 3072))
    options.add_argument("--parties", type=int, default=4)
    options.add_argument("--threshold", type=int, default=3)
    options.add_argument("--batches", type=int, default=1, help="of 128 ciphertexts each")
    asked = options.parse_args()
    bits, entropy = asked.bits, secrets.token_bytes

    searching, primes = timed(lambda: safe_primes(bits, entropy))
    dealing_took, dealing = timed(lambda: deal(primes, asked.parties, asked.threshold, entropy))
    key = dealing.key
    checking = seconds(key.check_dealing)
    layout = Layout(bits, (1,) * asked.parties)
    count = BATCH * asked.batches * layout.slots
    before = peak()
    building, encryptor = timed(lambda: Encryptor(key))
    table = peak() - before
    values = {
        party: [secrets.randbelow(2 * layout.levels + 1) - layout.levels for _ in range(count)]
        for party in range(1, asked.parties + 1)
    }
    ciphertexts = BATCH * asked.batches

    # The bare powers, and between them what is made of them.
    base, exponent = gmpy2.mpz(secrets.randbits(2 * bits - 2)), gmpy2.mpz(secrets.randbits(key.share_bits))
    bases, ones = [base + number for number in range(POWERS)], [1] * POWERS
    textbook, full, made, shared = (
        each / POWERS
        for each in in_turn(
            ROUNDS,
            lambda: seconds(lambda: [gmpy2.powmod(each, key.modulus, key.group.square) for each in bases]),
            lambda: seconds(lambda: [gmpy2.powmod(each, exponent, key.group.square) for each in bases]),
            lambda: seconds(lambda: [encryptor.encrypt(ones, entropy) for _ in range(10)]) / 10,
            lambda: seconds(lambda: decryption_shares(key, dealing.shares[0], bases)),
        )
    )

    # One party's round, then everybody's.
    packing, plaintexts = timed(lambda: layout.pack(values[1]))
    encryptor.prepare(ciphertexts, entropy)
    online = seconds(lambda: encryptor.encrypt(plaintexts, entropy))
    everything = {party: encryptor.encrypt(layout.pack(each), entropy) for party, each in values.items()}
    adding, sums = timed(
        lambda: weighted_sum(key, layout, {party: each.ciphertexts for party, each in everything.items()})
    )
    starts = range(0, ciphertexts, BATCH)

    def place(party: int, at: int) -> Context:
        return Context(Digest(bytes(32)), 1, party, at // BATCH)

    def proved(at: int) -> EncryptedBatch:
        own, end = everything[1], at + BATCH
        made, openings = own.ciphertexts[at:end], own.openings[at:end]
        proof = prove_encryption(encryptor, layout, place(1, at), made, openings, entropy)
        return EncryptedBatch.of(key, layout, place(1, at), made, proof)

    proving, batches = timed(lambda: [proved(at) for at in starts])
    verifying = seconds(
        lambda: [batch.verify(key, layout, place(1, at)) for at, batch in zip(starts, batches, strict=True)]
    )
    sharing, shares = timed(lambda: decryption_shares(key, dealing.shares[0], sums))
    some = sums[:64]
    alone = on_the_clock(lambda: decryption_shares(key, dealing.shares[0], some))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        together = on_the_clock(lambda: decryption_shares(key, dealing.shares[0], some, run=pool.map))

    def shown(at: int) -> ShareBatch:
        end = at + BATCH
        proof = prove_shares(key, dealing.shares[0], place(1, at), sums[at:end], shares[at:end], entropy)
        return ShareBatch.of(key, place(1, at), shares[at:end], proof)

    share_proving, share_batches = timed(lambda: [shown(at) for at in starts])
    share_verifying = seconds(
        lambda: [
            batch.verify(key, place(1, at), sums[at : at + BATCH])
            for at, batch in zip(starts, share_batches, strict=True)
        ]
    )
    others = {each.party: decryption_shares(key, each, sums) for each in dealing.shares[1 : asked.threshold]}
    opening, opened = timed(lambda: combine(key, {1: shares, **others}))
    unpacking, totals = timed(lambda: layout.unpack(opened, count, list(values)))
    assert totals == [sum(column) for column in zip(*values.values(), strict=True)]

    n, thousand = asked.parties, 1000 / count
    fresh = made * ciphertexts
    whole = fresh + proving + adding + (n - 1) * (verifying + share_verifying) + sharing + share_proving + opening
    sent = sum(len(each.encode()) for each in batches), sum(len(each.encode()) for each in share_batches)
    what = f"{bits} bits, {n} parties, {asked.threshold} open"
    show(
        [
            Figure(f"{what}: two safe primes found", searching, "s"),
            Figure("dealt", dealing_took, "s"),
            Figure("dealing checked", checking, "s"),
            Figure("table built", building, "s"),
            Figure("table", table, "MB"),
            Figure("textbook power r^N", textbook * 1e3, "ms"),
            Figure("encryption", made * 1e3, "ms"),
            Figure("encryptions", 1 / made, "1/s"),
            Figure("textbook power over encryption", textbook / made, "x", 5, "gmpy2.powmod"),
            Figure("full power modulo N^2", full * 1e3, "ms"),
            Figure("decryption share", shared * 1e3, "ms"),
            Figure("share over full power", shared / full, "x", 1.25, "gmpy2.powmod", True),
            Figure(f"shares in {os.cpu_count()} threads over one", alone / together, "x"),
            Figure("parameters in a ciphertext", layout.slots, ""),
            Figure("per 1,000 parameters: pack", packing * thousand * 1e3, "ms"),
            Figure("encrypt", fresh * thousand * 1e3, "ms"),
            Figure("encrypt with randomness in stock", online * thousand * 1e3, "ms"),
            Figure("prove", proving * thousand * 1e3, "ms"),
            Figure("verify one party", verifying * thousand * 1e3, "ms"),
            Figure(f"sum of {n}", adding * thousand * 1e3, "ms"),
            Figure("decryption shares", sharing * thousand * 1e3, "ms"),
            Figure("prove shares", share_proving * thousand * 1e3, "ms"),
            Figure("verify one party's shares", share_verifying * thousand * 1e3, "ms"),
            Figure("open", opening * thousand * 1e3, "ms"),
            Figure("unpack", unpacking * thousand * 1e3, "ms"),
            Figure("a whole round, verifying all others", whole * thousand * 1e3, "ms"),
            Figure("parameters in a whole round", count / whole, "1/s"),
            Figure("per parameter: ciphertexts and proof", sent[0] / count, "bytes"),
            Figure("per parameter: shares and proof", sent[1] / count, "bytes"),
            Figure(
                "unpacked textbook encryption over encrypting and proving",
                textbook * count / (fresh + proving),
                "x",
                100,
                "gmpy2.powmod",
            ),
        ]
    )


if __name__ == "__main__":
    main()
