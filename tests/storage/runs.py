"""Programs under way while the power fails, and what must be found then: a ledger, an outbox, a store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.agents.chores import call, duty_id
from tests.ledger.notes import START_MS, Board, Clock, World
from tests.storage.disk import State
from tests.storage.folder_calls import folder_recording, without_fsync
from tests.storage.sqlite_calls import Recording, careless, recording
from tests.storage.trace import Trace

from tclearn.agents.outbox import FileOutbox
from tclearn.encoding import Digest, Value
from tclearn.errors import TCLearnError
from tclearn.ledger import Call, Head, Transaction
from tclearn.ledger.engines.embedded import EmbeddedLedger
from tclearn.ledger.recorded import Recorded
from tclearn.ledger.replica import Replica
from tclearn.store import FilesystemStore

LEDGER: Final = "ledger.sqlite"
OUTBOX: Final = "outbox.sqlite"
MADE: Final = "made"
"""Said when a file was made: from then on it is opened, not made again."""
_LATER_MS: Final = START_MS + 10**8
_PATIENCE_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Run:
    """What a program did, and what must hold of what is left of it.

    Attributes:
        trace: the record.
        fault: what is wrong with a state that lies in a folder; empty: nothing. It changes the folder.
    """

    trace: Trace
    fault: Callable[[Path, State], str]


@dataclass(frozen=True, slots=True)
class Mixture:
    """What is submitted to a ledger.

    Attributes:
        rounds: how often.
        note_characters: length of the longest note.
        checkpoint_frames: so many frames in the WAL, and SQLite copies them into the database; 1000 is what the engine
            leaves it at, which takes megabytes of notes to reach.
    """

    rounds: int = 2
    note_characters: int = 9000
    checkpoint_frames: int = 20


# --- the ledger ------------------------------------------------------------------------------------------------------


def ledger_run(folder: Path, mixture: Mixture) -> Run:
    """A ledger is made, filled, closed, opened again and filled; the power fails at the end, while it is open."""
    world = World()
    with recording(folder) as record:
        ledger = _opened(folder, world, record, mixture)
        for _ in range(mixture.rounds):
            for number in range(3):
                _submit(ledger, record, world.add(number, f"note {number}"))
            _submit(ledger, record, world.add(0, ""))  # refused, which is logged
            _together(ledger, record, [world.add(number, f"together {number}") for number in range(4)])
            _submit(ledger, record, world.add(1, "long " * (mixture.note_characters // 5)))
            for note in (min(_notes(ledger)), max(_notes(ledger))):
                _submit(ledger, record, world.call(2, "drop", {"number": note}))
        ledger.close()
        ledger = _opened(folder, world, record, mixture)
        _submit(ledger, record, world.add(3, "opened again"))
        _together(ledger, record, [world.add(number, f"once more {number}") for number in range(3)])
    return _ended(ledger, world, record)


def recovery_run(folder: Path, left: State, mixture: Mixture) -> Run:
    """What a power loss has left is opened, filled, closed, opened and filled; then the power fails again."""
    world = World()
    left.write(folder)
    base = {name: data for name, data in left.files.items() if not name.endswith("-shm")}
    with recording(folder, base) as record:
        for what in left.said:
            record.said(what)
        ledger = _opened(folder, world, record, mixture)
        for member, name in enumerate(world.members):
            world.sequence[name] = ledger.next_sequence(world.signers[name].public) + 100
            _submit(ledger, record, world.add(member, f"after the power loss {member}"))
        ledger.close()
        ledger = _opened(folder, world, record, mixture)
        _together(ledger, record, [world.add(number, f"again {number}") for number in range(3)])
    return _ended(ledger, world, record)


class _Gate(Clock):
    """A clock at which a writer can be held up."""

    def __init__(self) -> None:
        super().__init__()
        self.holds: list[tuple[threading.Event, threading.Event]] = []
        """For the next looks at the clock: somebody is there; he may go on."""

    def __call__(self) -> int:
        if self.holds:
            there, go = self.holds.pop(0)
            there.set()
            assert go.wait(_PATIENCE_S)
        return super().__call__()


def _opened(folder: Path, world: World, record: Recording, mixture: Mixture) -> EmbeddedLedger[Board]:
    ledger = EmbeddedLedger(folder / LEDGER, world.contract, world.coalition, clock=_Gate())
    # The only setting that is not the engine's own.
    ledger._database._connection.execute(f"PRAGMA wal_autocheckpoint = {mixture.checkpoint_frames}")
    record.said(MADE)
    return ledger


def _submit(ledger: EmbeddedLedger[Board], record: Recording, transaction: Transaction) -> None:
    record.said(ledger.submit(transaction).hex())


def _together(ledger: EmbeddedLedger[Board], record: Recording, transactions: Sequence[Transaction]) -> None:
    """All but the first share one commit, in this order: the first is held up at the clock until they wait."""
    gate = ledger._clock
    assert isinstance(gate, _Gate)
    (first_there, first_go), (others_there, others_go) = holds = [(threading.Event(), threading.Event()) for _ in "12"]
    gate.holds += holds
    with ThreadPoolExecutor(len(transactions)) as pool:
        first = pool.submit(ledger.submit, transactions[0])
        assert first_there.wait(_PATIENCE_S)
        others = []
        for number, transaction in enumerate(transactions[1:], 1):
            others.append(pool.submit(ledger.submit, transaction))
            _until_waiting(ledger, number)
        first_go.set()
        record.said(first.result(_PATIENCE_S).hex())
        assert others_there.wait(_PATIENCE_S)
        others_go.set()
        for other in others:
            record.said(other.result(_PATIENCE_S).hex())


def _until_waiting(ledger: EmbeddedLedger[Board], count: int) -> None:
    end = time.monotonic() + _PATIENCE_S
    while len(ledger._queue._waiting) < count:
        assert time.monotonic() < end
        time.sleep(0.0005)


def _notes(ledger: EmbeddedLedger[Board]) -> list[int]:
    return [int(key[5:]) for key in ledger._replica.state() if key.startswith("note/")]


def _ended(ledger: EmbeddedLedger[Board], world: World, record: Recording) -> Run:
    log = list(ledger.entries(0, len(ledger)))
    ledger.close()  # no longer recorded
    return Run(record.trace(), _History(world, log).fault)


class _History:
    """The one history that a run has: whatever a power loss leaves must be a beginning of it.

    Args:
        world: the coalition.
        log: all entries in the end, as the engine gives them out; they are replayed here, from nothing.
    """

    def __init__(self, world: World, log: Sequence[Recorded]) -> None:
        self._world = world
        self._log = list(log)
        self._ids = [Transaction.parse(item.entry.transaction).id.hex() for item in log]
        # Sequence numbers may leave gaps, so this can follow any entry.
        self._more = world.call(0, "add", {"text": "one more", "tags": []}, gap=10_000)
        self._roots: list[tuple[Head, dict[str, Value]]] = []
        self._roots_after_more: list[tuple[Head, dict[str, Value]]] = []
        for size in range(len(log) + 1):
            replica = Replica(world.contract, world.coalition)
            for item in log[:size]:
                applied = replica.append(item.entry.transaction, item.entry.time_ms)
                assert (applied.entry, applied.outcome, applied.results) == (item.entry, item.outcome, item.results)
            self._roots.append(_roots(replica))
            replica.append(self._more.raw, _LATER_MS)
            self._roots_after_more.append(_roots(replica))

    def fault(self, folder: Path, state: State) -> str:
        path, made = folder / LEDGER, MADE in state.said
        try:
            with careless():
                if made and state.number % 2:  # every other one is first looked at by somebody who only reads
                    with self._opened(path, read_only=True) as reader:
                        fault = self._compare(reader, state)
                        if fault:
                            return f"for a reader: {fault}"
                with self._opened(path, create=not made) as ledger:
                    size = len(ledger)
                    fault = self._compare(ledger, state)
                    if fault:
                        return fault
                    ledger.submit(self._more)
                with self._opened(path, read_only=True) as reader:
                    if _roots(reader._replica) != self._roots_after_more[size]:
                        return "one entry more gives other roots or another state than in a replay"
        except TCLearnError as error:
            return f"does not open, or does not go on: {error}"
        return ""

    def _compare(self, ledger: EmbeddedLedger[Board], state: State) -> str:
        size, acknowledged = len(ledger), set(state.said) - {MADE}
        if list(ledger.entries(0, size)) != self._log[:size]:
            return "has entries other than those submitted, byte for byte and in their order"
        lost = acknowledged - set(self._ids[:size])
        if lost:
            return f"acknowledged entries lost: {len(lost)} of {len(acknowledged)}"
        if _roots(ledger._replica) != self._roots[size]:
            return "its roots or its state are not those of a replay"
        return ""

    def _opened(self, path: Path, **options: bool) -> EmbeddedLedger[Board]:
        clock = Clock(_LATER_MS, 0)
        return EmbeddedLedger(path, self._world.contract, self._world.coalition, clock=clock, **options)


def _roots(replica: Replica[Any]) -> tuple[Head, dict[str, Value]]:
    return replica.head(len(replica)), dict(replica.state())


# --- the outbox ------------------------------------------------------------------------------------------------------


def outbox_run(folder: Path) -> Run:
    """Decisions are kept, the outbox is closed and opened again; the power fails while it is open."""
    decided = {f"{number:02}": call("yes" * (1 + number % 5 * 400)) for number in range(15)}
    with recording(folder) as record:
        outbox = FileOutbox(folder / OUTBOX)
        for number, (name, decision) in enumerate(decided.items()):
            if number == 10:
                outbox.close()
                outbox = FileOutbox(folder / OUTBOX)
            outbox._database.execute("PRAGMA wal_autocheckpoint = 8")
            outbox.put(duty_id(name), decision)
            record.said(name)
    outbox.close()

    def fault(folder: Path, state: State) -> str:
        return _outbox_fault(folder / OUTBOX, decided, set(state.said))

    return Run(record.trace(), fault)


def _outbox_fault(path: Path, decided: dict[str, Call], said: set[str]) -> str:
    try:
        with careless(), FileOutbox(path) as outbox:
            found = {name: outbox.get(duty_id(name)) for name in decided}
            lost = [name for name in said if found[name] is None]
            if lost:
                return f"decisions that were kept are lost: {len(lost)} of {len(said)}"
            if any(decision not in (None, decided[name]) for name, decision in found.items()):
                return "has a decision that nobody made"
            (count,) = outbox._database.execute("SELECT count(*) FROM decided").fetchone()
            if count != sum(decision is not None for decision in found.values()):
                return "has duties that nobody had"
            outbox.put(duty_id("one more"), call("yes"))
        with careless(), FileOutbox(path) as outbox:
            if outbox.get(duty_id("one more")) != call("yes"):
                return "a decision that was kept after the power loss is lost"
    except TCLearnError as error:
        return f"does not open, or does not go on: {error}"
    return ""


# --- the store -------------------------------------------------------------------------------------------------------


def store_run(folder: Path) -> Run:
    """A store is made and takes objects, some of them twice; then it is opened again and takes another."""
    objects = {}
    with folder_recording(folder) as record:
        store = FilesystemStore(folder / "models")
        for data in (b"", b"weights", b"large " * 3000, b"weights", b"more"):
            if data == b"more":
                store = FilesystemStore(folder / "models")
            name = store.put(data)
            record.said(name.hex())
            objects[name] = data

    def fault(folder: Path, state: State) -> str:
        with without_fsync():
            return _store_fault(folder / "models", objects, set(state.said))

    return Run(record.trace(), fault)


def _store_fault(folder: Path, objects: dict[Digest, bytes], said: set[str]) -> str:
    try:
        store = FilesystemStore(folder)
        for name, data in objects.items():
            if not store.has(name):
                if name.hex() in said:
                    return "an object that was put is lost"
            elif (folder / "objects" / name.hex()[:2] / name.hex()[2:]).read_bytes() != data:
                return "an object has its name and is not complete"
            store.put(data)
            if store.get(name, size_max=len(data)) != data:
                return "an object cannot be put again"
    except TCLearnError as error:
        return f"does not open, or does not go on: {error}"
    return ""
