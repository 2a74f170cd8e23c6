"""Real processes, killed with SIGKILL at random moments and started again: training goes on, and nothing is lost."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from blake3 import blake3
from tests.service.conftest import NAMES, until
from tests.service.processes import SERVICE, Fleet, fleet
from tests.simulation.ledgers import entry_bytes, on_disk, said

from tclearn.agents.outbox import FileOutbox
from tclearn.directory.coalition import CoalitionDirectory
from tclearn.encoding import MemberId
from tclearn.ledger.searching import search
from tclearn.ledger.transaction import transaction_id
from tclearn.ledger.verify import verify
from tclearn.protocols import terms_of
from tclearn.service.home import OUTBOX

RUNS = 5
KILLS = 10
BLOCKS = 10
ENTRIES = 12 * BLOCKS
STARTING = 0.25
"""Share of the kills that come while processes start, and how long a start takes about."""
START_S = 3.0
WRITING = 0.35
"""Share of the kills that wait until a model is being written, where it can be told, and for how long."""
WRITING_S = 6.0
PATIENCE_S = 400.0


def check_objects(ships: Fleet) -> None:
    """Whatever has its name is whole, at the service and at the members, at any moment."""
    for place in (SERVICE, *NAMES):
        for file in (ships.folder / place / "objects" / "objects").glob("*/*"):
            assert blake3(file.read_bytes()).hexdigest() == file.parent.name + file.name


def acknowledged(ships: Fleet) -> dict[int, str]:
    """Index and id of every transaction whose handing in was answered."""
    noted: dict[int, str] = {}
    for name in NAMES:
        file = ships.folder / f"{name}.acknowledged"
        for line in file.read_text().splitlines() if file.exists() else ():
            logged, index = line.split()
            assert noted.setdefault(int(index), logged) == logged, "one entry, two ids"
    return noted


def outbox_of(home: Path) -> Counter[bytes]:
    with FileOutbox(home / OUTBOX) as outbox:
        return Counter(bytes(call) for (call,) in outbox._database.execute("SELECT call FROM decided"))


def killed(
    ships: Fleet,
    chance: random.Random,
    entries: int,
    look: Callable[[Fleet], None],
    *,
    patience_s: float = PATIENCE_S,
    writes: Callable[[str], bool] | None = None,
) -> Counter[str]:
    """Start the members, kill processes at random moments and start them again until training is complete.

    Args:
        ships: the members have joined.
        chance: draws who and when.
        entries: how many a run has, about.
        look: called while a process is dead.
        patience_s: for the whole run.
        writes: whether a process writes a model just now; if given, a third of the kills wait for that.
    """
    kills = Counter[str]()
    for name in NAMES:
        ships.start(name)
    end = time.monotonic() + patience_s
    while kills.total() < KILLS:
        name, kind = chance.choice((SERVICE, *NAMES)), chance.random()
        if kind < STARTING:
            time.sleep(chance.uniform(0, START_S))
        elif writes is not None and kind < STARTING + WRITING:
            name = chance.choice((SERVICE, SERVICE, SERVICE, *NAMES))
            met = time.monotonic() + WRITING_S
            while not writes(name) and time.monotonic() < met and not ships.any_ended():
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.1))  # a model's file is written in several steps
        else:  # after some entries more: while the next one is written, sent, answered or kept
            done = len(acknowledged(ships))
            left = max(0, entries - done) // (KILLS - kills.total())
            wanted = done + chance.randrange(1 + 3 * left // 2)
            until(lambda: len(acknowledged(ships)) >= wanted or ships.any_ended(), patience_s)  # noqa: B023
            time.sleep(chance.uniform(0, 0.05))
        ships.kill(name)
        kills[name] += 1
        look(ships)
        ships.start(name)
    while not ships.ended():
        assert time.monotonic() < end, "\n".join(f"{name}: {ships.log(name)[-500:]}" for name in NAMES)
        time.sleep(0.2)
    look(ships)
    return kills


def check_ledgers(folder: Path, noted: dict[int, str], blocks_made: int, beside: Collection[str] = ()) -> None:
    """All have one history that verifies, with every acknowledged entry; nobody has said two things.

    Args:
        folder: of the fleet, all of whose processes have ended.
        noted: index and id of the acknowledged entries.
        blocks_made: increments in the chain.
        beside: methods that are said by others than the member's agent, too.
    """
    entries, blocks = on_disk(folder / SERVICE)
    assert len(blocks) == blocks_made + 1
    for name in NAMES:
        copied, chain = on_disk(folder / name)
        assert copied == entries[: len(copied)], name
        assert chain == blocks, name
    with CoalitionDirectory.open(folder / SERVICE) as home:
        for index, logged in noted.items():
            (each,) = home.ledger.entries(index, index + 1)
            assert transaction_id(each.entry.transaction).hex() == logged, "an acknowledged entry is lost"
        spoken: dict[MemberId, Counter[bytes]] = {}
        decided: dict[MemberId, Counter[bytes]] = {}
        for sender, call, code in said(home.ledger, home.state):
            if code == 0:
                spoken.setdefault(sender, Counter())[call.encode()] += 1
                if call.method not in beside:
                    decided.setdefault(sender, Counter())[call.encode()] += 1
        assert entry_bytes(home.ledger) == entries
        home.export(folder / "record.tclearn")
        with (folder / "record.tclearn").open("rb") as record:
            assert verify(record, terms_of, home.charter.digest).head.size == len(entries)
        with (folder / "record.tclearn").open("rb") as record:
            assert not search(record, terms_of, home.charter.digest).evidence, "somebody contradicts itself"
    for member, calls in spoken.items():
        assert set(calls.values()) == {1}, f"{member} said something twice"
        assert not decided[member] - outbox_of(folder / member), f"{member} said what it had not decided"


@pytest.mark.slow
@pytest.mark.parametrize("run", range(RUNS))
def test_killed_again_and_again_they_finish_and_nothing_is_lost(tmp_path: Path, run: int) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # shown when the test fails
    with fleet(tmp_path, blocks=BLOCKS, minutes=0.25, turn_minutes=0.25) as ships:
        for name in NAMES:
            ships.join(name)
        kills = killed(ships, random.Random(seed), ENTRIES, check_objects)
        noted = acknowledged(ships)
    assert kills.total() == KILLS
    print(f"{kills.total()} kills: {dict(kills)}; {len(noted)} acknowledged")
    check_ledgers(tmp_path, noted, BLOCKS)
