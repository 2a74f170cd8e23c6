"""The TCLearn contract gives the same roots under any batching, on both engines, and under any hash seed."""

import os
import random
import subprocess
import sys

import pytest
from benchmarks.null_trainer import null_charter, null_setting

from tclearn.ledger.engines.embedded import EmbeddedLedger
from tclearn.ledger.engines.memory import MemoryLedger
from tclearn.ledger.replica import Replica
from tclearn.ledger.transaction import Transaction
from tclearn.protocols.tclearn import contract
from tclearn.simulation import Simulation

SCRIPT = """
import sys
from pathlib import Path
from tclearn.protocols import terms_of
from tclearn.encoding import Digest
from tclearn.ledger.verify import verify
with Path(sys.argv[1]).open("rb") as stream:
    verified = verify(stream, terms_of, Digest(bytes.fromhex(sys.argv[2])))
print(verified.head.root.hex(), verified.head.results.hex())
"""


@pytest.fixture(scope="module")
def coalition():
    simulation = Simulation.prepare(null_setting(5, null_charter(12)))
    simulation.run()
    return simulation


@pytest.fixture(scope="module")
def entries(coalition):
    return [recorded.entry for recorded in coalition.ledger.entries(0, len(coalition.ledger))]


@pytest.mark.parametrize("seed", range(5))
def test_batches_do_not_matter(coalition, entries, seed):
    choose = random.Random(seed)
    replica = Replica(contract(coalition.charter), coalition.charter.digest)
    for entry in entries:
        replica.append(entry.transaction, entry.time_ms)
        if choose.random() < 0.2:
            replica.commit()
        if choose.random() < 0.1:  # what was staged is undone, and said again
            size = len(replica)
            replica.rollback()
            for again in entries[len(replica) : size]:
                replica.append(again.transaction, again.time_ms)
    assert replica.head(len(entries)) == coalition.ledger.head(len(entries))


def test_both_engines_give_the_same_roots(coalition, entries, tmp_path):
    now = [0]
    rules, digest = contract(coalition.charter), coalition.charter.digest
    memory = MemoryLedger(rules, digest, clock=lambda: now[0])
    with EmbeddedLedger(tmp_path / "ledger", rules, digest, clock=lambda: now[0]) as embedded:
        for entry in entries:
            now[0] = entry.time_ms
            memory.submit(Transaction.parse(entry.transaction))
            embedded.submit(Transaction.parse(entry.transaction))
        heads = {ledger.head(len(entries)) for ledger in (memory, embedded, coalition.ledger)}
    assert len(heads) == 1


def test_the_hash_seed_does_not_matter(coalition, tmp_path):
    export = coalition.result().export(tmp_path / "record.tclearn")
    expected = coalition.ledger.head(len(coalition.ledger))
    for seed in ("0", "1", "4711"):
        words = [sys.executable, "-c", SCRIPT, str(export.path), coalition.charter.digest.hex()]
        env = {**os.environ, "PYTHONHASHSEED": seed}
        shown = subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout.split()
        assert shown == [expected.root.hex(), expected.results.hex()]
