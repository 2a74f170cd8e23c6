"""A process that writes to a ledger and says what it was told is durable, until it is killed."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.ledger.notes import Clock, World

from tclearn.ledger.engines.embedded import EmbeddedLedger


def append(path: Path) -> None:
    world = World()
    print("begin", flush=True)
    ledger = EmbeddedLedger(path, world.contract, world.coalition, clock=Clock())
    print("open", flush=True)

    def work(member: int) -> None:
        key = world.signers[world.members[member]].public
        world.sequence[world.members[member]] = ledger.next_sequence(key) - 1
        number = 0
        while True:
            transaction = world.add(member, f"{member} {number}")
            ledger.submit(transaction)
            sys.stdout.write(transaction.id.hex() + "\n")
            sys.stdout.flush()
            number += 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


if __name__ == "__main__":
    append(Path(sys.argv[1]))
