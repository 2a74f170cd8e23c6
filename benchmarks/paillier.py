"""Threshold Paillier for 100,000 gradients: CPU seconds of one core, beside bare powers of GMP, and beside phe.

    python -m benchmarks.paillier [--table] [--quick]

- *Encryption* beside phe, which encrypts one value in each ciphertext, on a sample of values; beside r^N by bare
  ``gmpy2.powmod``; and beside the comb's own limit: the modular products that the powers from the table need, and
  nothing else. All in turn. phe is under the GPL and has an environment of its own (``tools/paillier``); when it is not
  there, that figure is absent, and said to be.
- *A round*: what one party computes. Encrypt own gradients, sum all parties', give shares, open; with proofs: prove own
  batches, verify all others'. ``root`` is the experimental way to open, where each party opens its part and checks the
  others'.
- *Two cores*, wall time: how much sooner two processes encrypt than one, and two threads, beside how much sooner two
  bare processes do the same products. CPU time: what threads lose to Python's lock.

A round's stages are medians over batches of 128 ciphertexts; with 10 parties, and at 3072 bits, over fewer batches.
``--quick`` takes fewer batches everywhere, and no 3072 bits.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gmpy2

from benchmarks.common import Figure, in_turn, show
from benchmarks.paillier_round import ENTROPY, Coalition, Costs, measured, timed
from tclearn.limits import PAILLIER_BATCH_MAX
from tclearn.paillier.decryption import decryption_shares
from tclearn.paillier.encryption import WINDOW_BITS, Encryptor
from tclearn.paillier.keys import FAST_BITS, STANDARD_BITS, PublicKey, deal
from tclearn.paillier.primes import safe_primes

ROOT = Path(__file__).resolve().parents[1]
GRADIENTS = 100_000
PHE = ROOT / "build" / "paillier" / "bin" / "python"
PHE_VALUES = 2000
ROUNDS = 5
POWERS = 20


def seconds(work: Callable[[], object]) -> float:
    return timed(work)[0]


def on_the_clock(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# --- keys -------------------------------------------------------------------------------------------------------------


def keys(bits: int, rounds: int) -> tuple[Coalition, list[Figure]]:
    """A key for four parties, and what it took; a decryption share beside a bare power of its length."""
    searching, primes = timed(lambda: safe_primes(bits, ENTROPY))
    coalition = Coalition(primes, 4, 3)
    key, dealt = coalition.dealing.key, coalition.dealing
    exponent = gmpy2.mpz(2 * key.delta * dealt.shares[0].value)
    bases = [gmpy2.mpz(secrets.randbits(2 * bits - 2)) for _ in range(POWERS)]
    full, shared = in_turn(
        rounds,
        lambda: seconds(lambda: [gmpy2.powmod(each, exponent, key.group.square) for each in bases]),
        lambda: seconds(lambda: decryption_shares(key, dealt.shares[0], bases)),
    )
    name = f"{bits} bits: "
    return coalition, [
        Figure(f"{name}two safe primes found", searching, "s"),
        Figure(f"{name}dealt", seconds(lambda: deal(primes, 4, 3, ENTROPY)), "s"),
        Figure(f"{name}dealing checked", seconds(key.check_dealing), "s"),
        Figure(f"{name}table of encryption built", seconds(lambda: Encryptor(key)), "s"),
        Figure(f"{name}decryption share", 1e3 * shared / POWERS, "ms"),
        Figure(f"{name}decryption share over a bare power", shared / full, "x", 1.25, "powmod", at_most=True),
    ]


# --- encryption -------------------------------------------------------------------------------------------------------


class BareComb:
    """The table of h_N, and its modular products without anything around them."""

    def __init__(self, modulus: int, exponents: Sequence[int]) -> None:
        key = PublicKey(modulus, 2, ())
        step, self.square = gmpy2.mpz(key.mask_base), gmpy2.mpz(modulus) ** 2
        table: list[list[int]] = []
        for _ in range(0, key.exponent_bits, WINDOW_BITS):
            row = [gmpy2.mpz(1)]
            for _ in range((1 << WINDOW_BITS) - 1):
                row.append(row[-1] * step % self.square)
            table.append(row)
            step = row[-1] * step % self.square
        mask = (1 << WINDOW_BITS) - 1
        digits = [[each >> WINDOW_BITS * place & mask for place in range(len(table))] for each in exponents]
        self.factors = [[row[digit] for row, digit in zip(table, each, strict=True) if digit] for each in digits]

    def products(self) -> None:
        square = self.square
        for first, *rest in self.factors:
            total = first
            for factor in rest:
                total = total * factor % square


def phe_seconds(modulus: int, count: int) -> float | None:
    """CPU seconds of one encryption by phe; None: its environment is not there."""
    if not PHE.exists():
        return None
    command = [str(PHE), str(ROOT / "tools" / "paillier" / "sample.py"), hex(modulus), str(count)]
    sample = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if not sample["gmp"]:
        raise SystemExit(f"phe computes without GMP, which is no comparison: install gmpy2 beside it in {PHE.parent}")
    return float(sample["seconds"])


def encryption(coalition: Coalition, rounds: int, values: int, bars: Sequence[float | None]) -> list[Figure]:
    key, layout, encryptor = coalition.dealing.key, coalition.layout, coalition.encryptor
    steps = [secrets.randbelow(2 * layout.levels + 1) - layout.levels for _ in range(GRADIENTS)]
    count = layout.count(GRADIENTS)
    bare = BareComb(key.modulus, [secrets.randbits(key.exponent_bits) for _ in range(count)])
    bases = [gmpy2.mpz(secrets.randbits(2 * key.bits - 2)) for _ in range(POWERS)]
    limit, made, packed, textbook, phe = in_turn(
        rounds,
        lambda: seconds(bare.products),
        lambda: seconds(lambda: encryptor.encrypt([1] * count, ENTROPY)),
        lambda: seconds(lambda: encryptor.encrypt(layout.pack(steps), ENTROPY)),
        lambda: seconds(lambda: [gmpy2.powmod(each, key.modulus, key.group.square) for each in bases]) / POWERS,
        lambda: phe_seconds(key.modulus, max(1, values // rounds)) or 0.0,
    )
    encryptor.prepare(count, ENTROPY)
    online = seconds(lambda: encryptor.encrypt(layout.pack(steps), ENTROPY))
    name = f"{key.bits} bits, {layout.slots} slots: "
    figures = [
        Figure(f"{name}encryption", GRADIENTS / packed, "gradients/s"),
        Figure(f"{name}encryption, randomness in stock", GRADIENTS / online, "gradients/s"),
        Figure(f"{name}encryption over the comb's limit", limit / made, "x", bars[0], "its modular products alone"),
        Figure(f"{name}encryption over r^N for each gradient", textbook * GRADIENTS / packed, "x", None, "powmod"),
    ]
    if phe:
        over = phe * GRADIENTS / packed
        figures.append(
            Figure(f"{name}encryption over phe", over, "x", bars[1], f"phe 1.5.0, {1 / phe:.0f} gradients/s")
        )
    else:
        print("phe is absent: tools/paillier/README.md says how its environment is made", file=sys.stderr)
    return figures


# --- a round ----------------------------------------------------------------------------------------------------------


def round_figures(costs: Costs, batches: int, bars: Sequence[float | None]) -> list[Figure]:
    coalition = costs.coalition
    bits, n = coalition.dealing.key.bits, coalition.parties
    name = f"{bits} bits, {coalition.threshold} of {n}: "
    bare, proved = costs.classic(proved=False), costs.classic(proved=True)
    root, rooted = costs.root(proved=False), costs.root(proved=True)
    blamed = costs.root(proved=True, blame=True)
    of = f"medians of {batches} batches" if batches > 1 else "one batch"
    figures = [
        Figure(f"{name}round without proofs", costs.gradients / bare, "gradients/s", bars[0], of),
        Figure(f"{name}round with proofs", costs.gradients / proved, "gradients/s"),
        Figure(f"{name}proofs add", 100 * (proved / bare - 1), "%", bars[2], at_most=True),
        Figure(f"{name}root: round without proofs", costs.gradients / root, "gradients/s", bars[1], "experimental"),
        Figure(f"{name}root: round with proofs of encryption", costs.gradients / rooted, "gradients/s"),
        Figure(f"{name}root: these proofs add", 100 * (rooted / root - 1), "%"),
        Figure(f"{name}root: with proofs of shares, proofs add", 100 * (blamed / root - 1), "%"),
    ]
    scale = 1e6 / costs.gradients
    figures += [Figure(f"{name}{stage}", costs.of(stage) * scale, "ms/1,000") for stage in costs.seconds]
    figures += [Figure(f"{name}{what}", value, "bytes/gradient") for what, value in costs.sent.items()]
    return figures


# --- two cores --------------------------------------------------------------------------------------------------------


@cache
def _bare(modulus: int, count: int) -> BareComb:
    bits = PublicKey(modulus, 2, ()).exponent_bits
    return BareComb(modulus, [secrets.randbits(bits) for _ in range(count)])


@cache
def _encryptor(modulus: int) -> Encryptor:
    return Encryptor(PublicKey(modulus, 2, ()))


def _products(modulus: int, count: int) -> None:
    _bare(modulus, count).products()


def _encrypted(modulus: int, count: int) -> tuple[int, ...]:
    return _encryptor(modulus).encrypt([1] * count, ENTROPY).ciphertexts


def two_cores(coalition: Coalition, rounds: int) -> list[Figure]:
    modulus, count = int(coalition.dealing.key.modulus), 2 * PAILLIER_BATCH_MAX
    encryptor, ones = coalition.encryptor, [1] * count
    with (
        ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes,
        ThreadPoolExecutor(2) as threads,
    ):

        def halved(work: Callable[[int, int], object]) -> None:
            for _ in processes.map(work, [modulus] * 2, [count // 2] * 2):
                pass

        for _ in range(3):  # so that both have made their tables
            halved(_products)
            halved(_encrypted)
        _products(modulus, count)
        one, in_processes, in_threads, bare_one, bare_two = in_turn(
            rounds,
            lambda: on_the_clock(lambda: encryptor.encrypt(ones, ENTROPY)),
            lambda: on_the_clock(lambda: halved(_encrypted)),
            lambda: on_the_clock(lambda: encryptor.encrypt(ones, ENTROPY, run=threads.map)),
            lambda: on_the_clock(lambda: _products(modulus, count)),
            lambda: on_the_clock(lambda: halved(_products)),
        )
        alone, together = in_turn(
            rounds,
            lambda: seconds(lambda: encryptor.encrypt(ones, ENTROPY)),
            lambda: seconds(lambda: encryptor.encrypt(ones, ENTROPY, run=threads.map)),
        )
    bare, peer = bare_one / bare_two, "the same products in two processes"
    return [
        Figure("two cores: bare processes over one", bare, "x"),
        Figure("two cores: encryption in two processes over bare ones", one / in_processes / bare, "x", 0.9, peer),
        Figure("two cores: encryption in two threads over bare ones", one / in_threads / bare, "x", None, peer),
        Figure("two cores: CPU time of two threads over one", together / alone, "x"),
    ]


def main() -> None:
    options = argparse.ArgumentParser(description="Threshold Paillier beside bare powers and beside phe.")
    options.add_argument("--table", action="store_true", help="a table in place of JSON lines")
    options.add_argument("--quick", action="store_true", help="fewer batches, and no 3072 bits")
    quick = options.parse_args().quick
    load = os.getloadavg()[0]
    few, rounds, values = (1, 3, PHE_VALUES // 10) if quick else (3, ROUNDS, PHE_VALUES)
    four, figures = keys(FAST_BITS, rounds)
    figures += encryption(four, rounds, values, (0.7, 400))
    figures += two_cores(four, ROUNDS if quick else 3 * ROUNDS)
    every = few if quick else -(-four.layout.count(GRADIENTS) // PAILLIER_BATCH_MAX)
    figures += round_figures(measured(four, GRADIENTS, every), every, (2500, 10_000, 60))
    ten = Coalition(four.primes, 10, 6)
    figures += round_figures(measured(ten, GRADIENTS, few), few, (None, None, 120))
    if not quick:
        standard, more = keys(STANDARD_BITS, few)
        figures += more + encryption(standard, few, PHE_VALUES // 10, (None, None))
        figures += round_figures(measured(standard, GRADIENTS, few), few, (None, None, None))
    figures.append(Figure("load of the machine, at the start", load, f"of {os.cpu_count()}"))
    figures.append(Figure("load of the machine, at the end", os.getloadavg()[0], f"of {os.cpu_count()}"))
    show(figures)


if __name__ == "__main__":
    main()
