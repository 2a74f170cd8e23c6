"""Data IDs from the supervisor: what a member and the supervisor compute for each record.

    python -m benchmarks.oprf [--table] [--records 10000]

Compared with libsodium's multiplication of a point, of which no oblivious function does with fewer than three, and with
``voprf``, another implementation of the same suite (Rust), where it is installed.
"""

from __future__ import annotations

import hashlib
import importlib
import secrets
import sys
import time
from collections.abc import Callable
from typing import Any

from nacl.bindings import crypto_scalarmult_ed25519_noclamp

from benchmarks.common import Figure, in_turn, show
from tclearn.identity.oprf import Blinded, OprfKey, blind, finalize
from tclearn.identity.ristretto import combine, from_uniform, reduce_scalar
from tclearn.limits import OPRF_BATCH_MAX

SINGLES = 50
ROUNDS = 3


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def batches(records: list[bytes]) -> list[list[bytes]]:
    return [records[at : at + OPRF_BATCH_MAX] for at in range(0, len(records), OPRF_BATCH_MAX)]


def ours(key: OprfKey, records: list[bytes]) -> tuple[float, float, float]:
    """Seconds to blind, evaluate and finalize."""
    began = time.perf_counter()
    pending = [blind(each) for each in batches(records)]
    blinded = time.perf_counter()
    answers = [key.evaluate(each.blinded) for each in pending]
    evaluated = time.perf_counter()
    for each, answer in zip(pending, answers, strict=True):
        finalize(each, answer, key.public)
    return blinded - began, evaluated - blinded, time.perf_counter() - evaluated


def theirs(module: Any, records: list[bytes]) -> float:
    evaluator = module.Evaluator(secrets.token_bytes(32))
    began = time.perf_counter()
    for each in batches(records):
        clients, requests = zip(*map(module.Client.blind, each), strict=True)
        module.Client.finalize_batch(clients, evaluator.evaluate_batch(requests), evaluator.public_key)
    return time.perf_counter() - began


def main() -> None:
    count = int(sys.argv[sys.argv.index("--records") + 1]) if "--records" in sys.argv else 10_000
    records = [hashlib.sha256(number.to_bytes(8, "big")).digest() for number in range(count)]
    key = OprfKey.generate()
    point = from_uniform(secrets.token_bytes(64))
    scalars = [reduce_scalar(secrets.token_bytes(64)) for _ in range(1000)]
    weights = [scalars[number % len(scalars)] for number in range(min(count, 1000))]

    multiplied, proof, single = in_turn(
        ROUNDS,
        lambda: seconds(lambda: [crypto_scalarmult_ed25519_noclamp(each, point) for each in scalars]) / len(scalars),
        lambda: seconds(lambda: combine(weights, [point] * len(weights))) / len(weights),
        lambda: (
            seconds(lambda: [key.evaluate(Blinded(blind([each]).blinded.elements)) for each in records[:SINGLES]])
            / SINGLES
        ),
    )
    blinding, evaluating, finalizing = ours(key, records)
    whole = blinding + evaluating + finalizing
    figures = [
        Figure("libsodium, one multiplication", multiplied * 1e6, "us"),
        Figure("blind and evaluate with a proof, a single record", single * 1e6, "us"),
        Figure(f"member blinds {count}", blinding, "s"),
        Figure(f"supervisor evaluates {count} with proofs", evaluating, "s"),
        Figure(f"of which the sum that a proof is about, {count}", proof * count, "s"),
        Figure(f"member checks the proofs and finalizes {count}", finalizing, "s"),
        Figure("supervisor", count / evaluating, "records/s"),
        Figure("all steps over three multiplications", whole / count / (3 * multiplied), "x", 12, "libsodium", True),
    ]
    try:
        module = importlib.import_module("voprf").ristretto
    except ModuleNotFoundError:
        pass
    else:
        figures.append(Figure("all steps over voprf's", whole / theirs(module, records), "x", None, "voprf (Rust)"))
    show(figures)


if __name__ == "__main__":
    main()
