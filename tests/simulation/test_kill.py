"""A coalition that is killed again and again, with SIGKILL, ends with the blocks of one that never was.

The command is killed in ``tests/cli/test_killed_demo.py``.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.simulation.killable import EXPORT, toys
from tests.simulation.ledgers import block_hashes, entry_bytes, on_disk, said

from tclearn.agents.outbox import FileOutbox
from tclearn.directory import CoalitionDirectory
from tclearn.encoding import MemberId
from tclearn.errors import StorageError, UnreachableError
from tclearn.ledger.verify import verify
from tclearn.protocols import terms_of
from tclearn.simulation.simulate import Simulation

ROOT = Path(__file__).parents[2]
START_S = 0.4
"""About how long a run takes until its first entry."""
PATIENCE_S = 120.0


@contextmanager
def started(directory):
    with subprocess.Popen(
        [sys.executable, "-m", "tests.simulation.killable", str(directory)], stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        limit = threading.Timer(PATIENCE_S, process.kill)  # reading from its pipe has no limit of its own
        limit.start()
        try:
            yield process
        finally:
            limit.cancel()
            process.kill()


def killed(directory, *, entries, delay_s):
    """Let a run write so many entries, kill it a little later; the number of entries that it had acknowledged."""
    with started(directory) as process:
        seen = [process.stdout.readline() for _ in range(entries)]
        time.sleep(delay_s)
        process.kill()
        seen += process.stdout.readlines()
        assert process.wait() == -signal.SIGKILL or seen[-1] == b"done\n"
    return max((int(line) for line in seen if line.endswith(b"\n") and line.strip().isdigit()), default=0)


def whole_run():
    simulation = Simulation.prepare(toys())
    simulation.run()
    return entry_bytes(simulation.ledger), block_hashes(simulation.ledger.state())


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_moments_it_ends_as_if_it_had_not_been(tmp_path, kills):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # shown when the test fails
    chance = random.Random(seed)
    entries, blocks = whole_run()
    directory = tmp_path / "killed"
    held = 0
    for number in range(kills):
        # While it starts, or after some entries: before, while and after the next one is written.
        starting = chance.random() < 0.2
        left = len(entries) - held
        some = 0 if starting else chance.randrange(1 + min(left, 2 * left // (kills - number)))
        delay_s = chance.uniform(0, START_S if starting else 0.01)
        acknowledged = killed(directory, entries=some, delay_s=delay_s)
        try:
            kept, _ = on_disk(directory)
        except (StorageError, UnreachableError):  # killed while it was being made
            assert (acknowledged, held) == (0, 0)
            continue
        assert kept == entries[: len(kept)], f"after kill {number}"
        assert len(kept) >= max(acknowledged, held), f"kill {number} lost an acknowledged entry"
        held = len(kept)
    with started(directory) as last:
        assert last.stdout.read().endswith(b"done\n") and last.wait() == 0
    assert on_disk(directory) == (entries, blocks)
    with CoalitionDirectory.open(directory) as home, (directory / EXPORT).open("rb") as export:
        assert verify(export, terms_of, home.charter.digest).head.size == len(entries)
        spoken = Counter((sender, call.encode()) for sender, call, _ in said(home.ledger, home.state))
    decided = Counter[tuple[MemberId, bytes]]()
    for member in {sender for sender, _ in spoken}:
        with FileOutbox(directory / "members" / member / "outbox.sqlite") as outbox:
            decided.update((member, bytes(call)) for (call,) in outbox._database.execute("SELECT call FROM decided"))
    assert set(spoken.values()) == {1}, "nothing was said twice"
    assert spoken == decided, "and nothing was said that had not been decided, nor decided twice"
