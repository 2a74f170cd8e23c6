"""An increment without training: what the coalition itself costs a block, beside the bare primitives of that block.

Seven members in one process, a model of 1.2 million float32 numbers. Each validator fetches the candidate and the model
it is held against, compares their digests, and decodes them, as it would on a computer of its own; that they do is
counted here before anything is timed.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from blake3 import blake3
from nacl.signing import SigningKey

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import Figure, in_turn, show
from benchmarks.null_trainer import null_charter, null_setting
from tclearn.encoding import Digest
from tclearn.learning.parameters import Parameters
from tclearn.ledger import Transaction
from tclearn.simulation.simulate import Simulation
from tclearn.store import Store
from tclearn.store.interface import Readable

MEMBERS = 7
NUMBERS = 1_200_000
BLOCKS = 10
ROUNDS = 9
BAR_SECONDS = 0.10


@dataclass
class Counting:
    """One member's view of a store, counting what it reads and writes."""

    store: Store
    reads: Counter[Digest] = field(default_factory=Counter)
    writes: int = 0

    def put(self, data: bytes) -> Digest:
        self.writes += 1
        return self.store.put(data)

    def put_stream(self, stream: Readable, *, size_max: int, name: Digest | None = None) -> Digest:
        self.writes += 1
        return self.store.put_stream(stream, size_max=size_max, name=name)

    def size(self, name: Digest) -> int:
        return self.store.size(name)

    def has(self, name: Digest) -> bool:
        return self.store.has(name)

    def get(self, name: Digest, *, size_max: int) -> bytes:
        self.reads[name] += 1
        return self.store.get(name, size_max=size_max)

    def open(self, name: Digest) -> BinaryIO:
        self.reads[name] += 1
        return self.store.open(name)


@dataclass(frozen=True)
class Work:
    """What a block makes necessary, whoever does it; averages over the run.

    Attributes:
        signatures: made and checked: transactions, and the cosignatures in endorsements.
        fetches: model files read, decoded and compared with their digest.
        writes: model files encoded or copied into a store.
        decisions: outbox rows and ledger entries, each durable before the next.
    """

    signatures: float
    fetches: float
    writes: float
    decisions: float


@contextmanager
def coalition(folder: Path | None) -> Iterator[Simulation]:
    simulation = Simulation.prepare(null_setting(MEMBERS, null_charter(BLOCKS), size=NUMBERS), folder)
    try:
        yield simulation
    finally:
        simulation.close()


def model() -> Parameters:
    return Parameters({"w": np.zeros(NUMBERS, dtype=np.float32)})


def count_work() -> Work:
    """Run once with counting stores, and make sure that nobody relies on another member's check."""
    with coalition(None) as simulation:
        shared = {agent.site.member: Counting(agent.site.store) for agent in simulation.agents}
        drafts = {agent.site.member: Counting(agent.site.drafts) for agent in simulation.agents}
        for agent in simulation.agents:
            member = agent.site.member
            agent.site = replace(agent.site, store=shared[member], drafts=drafts[member])
        simulation.run()
        state, entries = simulation.ledger.state(), len(simulation.ledger)
        methods = Counter(
            Transaction.parse(recorded.entry.transaction).call.method
            for recorded in simulation.ledger.entries(0, entries)
        )
        for number in range(state.candidates):
            candidate = state.candidate(number)
            lazy = [member for member in candidate.committee if shared[member].reads[candidate.locator] != 1]
            if lazy or len(candidate.committee) != MEMBERS - 1:
                raise SystemExit(f"candidate {number}: not fetched by {', '.join(lazy)}")
    return Work(
        signatures=(entries + methods["endorse"]) / BLOCKS,
        fetches=sum(store.reads.total() for store in shared.values()) / BLOCKS,
        writes=sum(store.writes for store in (*shared.values(), *drafts.values())) / BLOCKS,
        decisions=(2 * entries) / BLOCKS,
    )


def seconds_per_block(parent: Path | None) -> float:
    """Seconds for a block, in memory, or in a new folder that is gone afterwards."""
    with new_folder(parent) as folder, coalition(folder) as simulation:
        began = time.perf_counter()
        simulation.run()
        seconds = time.perf_counter() - began
        if simulation.ledger.state().tip != BLOCKS:
            raise SystemExit("not every increment was accepted")
        return seconds / BLOCKS


def primitives(work: Work, parent: Path | None) -> float:
    """Seconds for the same signatures, digests, decodings and durable writes, with nothing around them."""
    key, message = SigningKey.generate(), bytes(400)
    parameters = model()
    data = parameters.to_bytes()
    with new_folder(parent) as folder:
        began = time.perf_counter()
        for _ in range(round(work.signatures)):
            key.verify_key.verify(key.sign(message))
        for number in range(round(work.writes)):
            blake3(data).digest()
            if folder is not None:
                write_durably(folder / str(number), data)
        for _ in range(round(work.fetches)):
            read = data if folder is None else (folder / "0").read_bytes()
            if folder is not None:
                blake3(read).digest()
            if Parameters.from_bytes(read).digest != parameters.digest:
                raise SystemExit("the digest of the same parameters is another one")
        if folder is not None:
            commit_durably(folder / "rows.sqlite", round(work.decisions))
        return time.perf_counter() - began


@contextmanager
def new_folder(parent: Path | None) -> Iterator[Path | None]:
    if parent is None:
        yield None
    else:
        with tempfile.TemporaryDirectory(dir=parent) as name:
            yield Path(name)


def write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def commit_durably(path: Path, rows: int) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE IF NOT EXISTS decided (duty BLOB, call BLOB)")
    for _ in range(rows):
        database.execute("INSERT INTO decided VALUES (?, ?)", (bytes(32), bytes(400)))
    database.close()


def main() -> None:
    work = count_work()
    # Some systems keep /tmp in memory, where a durable write costs nothing.
    with tempfile.TemporaryDirectory(dir="/var/tmp" if Path("/var/tmp").is_dir() else None) as name:
        folder = Path(name)
        memory, disk, bare_memory, bare_disk = in_turn(
            ROUNDS,
            lambda: seconds_per_block(None),
            lambda: seconds_per_block(folder),
            lambda: primitives(work, None),
            lambda: primitives(work, folder),
        )
    bare = (
        f"{work.signatures:.0f} signatures made and checked, {work.fetches:.0f} files of {4 * NUMBERS / 1e6:.1f} MB "
        f"decoded and digested, {work.writes:.0f} digested for the store"
    )
    durable = f"the same, the files written and {work.decisions:.0f} rows committed"
    show(
        [
            Figure("null increment, memory", memory, "s/block", BAR_SECONDS, f"{bare_memory:.4f} s: {bare}", True),
            Figure("null increment, on disk", disk, "s/block", BAR_SECONDS, f"{bare_disk:.4f} s: {durable}", True),
            Figure("null increment, memory, ratio", memory / bare_memory, "x", None, "its bare primitives"),
            Figure("null increment, on disk, ratio", disk / bare_disk, "x", None, "its bare primitives"),
        ]
    )


if __name__ == "__main__":
    main()
