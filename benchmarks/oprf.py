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
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nacl.bindings import crypto_scalarmult_ed25519_noclamp

from benchmarks.common import Figure, in_turn, show
from tclearn.coalition.allowance import Rate, blinded_digest
from tclearn.directory.id_journal import IdJournal, make_id_journal
from tclearn.encoding import MemberId
from tclearn.identity.oprf import Blinded, OprfKey, blind, finalize
from tclearn.identity.ristretto import combine, from_uniform, reduce_scalar
from tclearn.limits import ALLOWANCE_PER_DAY_MAX, OPRF_BATCH_MAX

SINGLES = 50
ROUNDS = 3
ENTRIES = 5000


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


def journalled() -> tuple[float, float]:
    """Seconds to note a request durably, and to read and check an entry when the service starts."""
    rate = Rate(ALLOWANCE_PER_DAY_MAX, ALLOWANCE_PER_DAY_MAX)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "journal"
        make_id_journal(file)
        with IdJournal(file, rate) as journal:
            noting = seconds(
                lambda: [
                    journal.ask(MemberId("leuven"), blinded_digest(number.to_bytes(4, "big")), 1024, number * 1000)
                    for number in range(ENTRIES)
                ]
            )
        reading = seconds(lambda: IdJournal(file, rate).close())
    return noting / ENTRIES, reading / ENTRIES


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
    noting, reading = journalled()
    figures = [
        Figure("libsodium, one multiplication", multiplied * 1e6, "us"),
        Figure("blind and evaluate with a proof, a single record", single * 1e6, "us"),
        Figure(f"member blinds {count}", blinding, "s"),
        Figure(f"supervisor evaluates {count} with proofs", evaluating, "s"),
        Figure(f"of which the sum that a proof is about, {count}", proof * count, "s"),
        Figure(f"member checks the proofs and finalizes {count}", finalizing, "s"),
        Figure("supervisor", count / evaluating, "records/s"),
        Figure("a request noted durably", noting * 1e6, "us"),
        Figure("an entry of the journal read when the service starts", reading * 1e6, "us"),
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
