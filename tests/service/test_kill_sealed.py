"""Level B, killed with SIGKILL at random moments: models, readings and the journal of them are as if nothing had been.

Beside the training, members read versions for their own use.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from blake3 import blake3
from tests.service.conftest import NAMES, PATIENCE_S, keys_of, now, now_ms, oneself
from tests.service.level_b import PASSPHRASE
from tests.service.processes import SERVICE, Fleet, fleet
from tests.service.test_kill import KILLS, acknowledged, check_ledgers, killed
from tests.simulation.ledgers import recorded, said

from tclearn.directory.coalition import OBJECTS, CoalitionDirectory
from tclearn.directory.data_ids import id_rate, open_id_journal
from tclearn.directory.vault import VAULT, open_vault
from tclearn.encoding import Digest, MemberId
from tclearn.errors import AgentError, TCLearnError, UnreachableError
from tclearn.protocols import terms_of
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.accessing import check_handed_out
from tclearn.protocols.tclearn.journal_file import check_journal, write_journal
from tclearn.protocols.tclearn.reading_journal import DELIVERED, GRANTED, TRAINED, all_holders, journal
from tclearn.protocols.tclearn.state import State
from tclearn.service.beside import beside
from tclearn.service.binding import RECEIPTS
from tclearn.service.home import DRAFTS, MemberHome
from tclearn.service.reading import Waiting, read_version
from tclearn.service.refused import refused_requests
from tclearn.service.remote_ids import IdReceipts, checked_journal
from tclearn.store.vault import FolderBackend, HeldKeys, Vault
from tclearn.store.vault.forms import BODIES, ROOT
from tclearn.store.vault.keys import KeyEncryption
from tclearn.store.vault.secret import Secret

BLOCKS = 6
ENTRIES = 32 * BLOCKS
MODEL_BYTES_MAX = 1 << 20
RUN_S = 560.0
BESIDE = ("access", "delivered", "witness")
"""What a member's commands say, too, and not only its agent."""


@dataclass
class Vaults:
    """The vaults of a fleet, of which none may ever show half an object.

    Attributes:
        folder: the fleet's.
        keys: of the service's vault, opened once.
        objects: how many were read from beginning to end.
        cut_off: how many kills came because something was being written.
        left: what was begun when a process was killed, and is never finished.
    """

    folder: Path
    keys: KeyEncryption
    objects: int = 0
    cut_off: int = 0
    left: set[Path] = field(default_factory=set)

    def writes(self, name: str) -> bool:
        """Whether the process writes an object of a vault just now: that begins in ``incoming``."""
        inside = [VAULT] if name == SERVICE else [OBJECTS, DRAFTS]
        busy = any(not self.left >= {*(self.folder / name / each / "incoming").glob("*")} for each in inside)
        self.cut_off += busy
        return busy

    def look(self, _: Fleet) -> None:
        """Whatever a vault has is whole; reading checks each byte, and the bytes against their name."""
        self.left |= set(self.folder.glob("*/*/incoming/*"))
        for vault in self.all():
            for name in vault.names():
                assert blake3(vault.get(name, size_max=MODEL_BYTES_MAX)).digest() == name
                self.objects += 1

    def all(self) -> Iterator[Vault]:
        yield Vault(FolderBackend(self.folder / SERVICE / VAULT), self.keys)
        for name in NAMES:
            keys = HeldKeys({"1-member": Secret(keys_of(name).derive("vault"))}, "1-member")
            for folder in (OBJECTS, DRAFTS):
                if (self.folder / name / folder / ROOT).exists():
                    yield Vault(FolderBackend(self.folder / name / folder), keys)


@dataclass
class Readers:
    """Members that read versions for their own use, as ``tclearn predict`` does, until it is over.

    Attributes:
        folder: the fleet's.
        got: member, number of the reading and BLAKE3 of what came.
        refused: what the coalition's rules have refused, by member.
        broken_off: how often the service did not answer.
        faults: what should not have happened.
    """

    folder: Path
    got: set[tuple[str, int, bytes]] = field(default_factory=set)
    refused: Counter[str] = field(default_factory=Counter)
    broken_off: int = 0
    faults: list[BaseException] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def reading(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self.over.set()
            thread.join(PATIENCE_S)
            assert not thread.is_alive()

    def _run(self) -> None:
        while not self.over.wait(0.5):
            for name in NAMES:
                try:
                    self._read(name)
                except UnreachableError:
                    self.broken_off += 1
                except AgentError:
                    self.refused[name] += 1
                except TCLearnError as fault:
                    self.faults.append(fault)
                except _Over:
                    return

    def _read(self, name: str) -> None:
        waits: list[Waiting] = []

        def pause(seconds: float) -> None:
            if self.over.wait(seconds):
                raise _Over

        with beside(MemberHome.open(self.folder / name, oneself(name)), now(), now_ms) as at:
            if at.ledger.state().tip == 0:
                return
            found = read_version(at, waiting=waits.append, pause=pause)
            assert found.reading is not None
            self.got.add((name, found.reading, blake3(found.data).digest()))


class _Over(Exception):
    pass


@pytest.mark.slow
def test_killed_again_and_again_no_model_no_reading_and_no_entry_is_lost(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # shown when the test fails
    began_s = time.monotonic()
    with fleet(tmp_path, blocks=BLOCKS, minutes=0.5, turn_minutes=0.5, sealed=True) as ships:
        for name in NAMES:
            ships.join(name)
        vaults = Vaults(tmp_path, open_vault(tmp_path / SERVICE, PASSPHRASE).keys)
        readers = Readers(tmp_path)
        with readers.reading():
            kills = killed(ships, random.Random(seed), ENTRIES, vaults.look, patience_s=RUN_S, writes=vaults.writes)
        noted = acknowledged(ships)
    assert kills.total() == KILLS
    assert readers.faults == []
    assert readers.got, "or nobody has read anything"
    check_ledgers(tmp_path, noted, BLOCKS, BESIDE)
    with CoalitionDirectory.open(tmp_path / SERVICE, passphrase=PASSPHRASE) as home:
        assert isinstance(home.store, Vault)
        check_objects(home, home.store)
        handed = check_deliveries(home, readers)
        check_journal_of(home, tmp_path)
        check_ids(home, tmp_path)
        state = home.state
        open_yet = sum(state.access(number).delivered_ms is None for number in range(state.accesses))
        print(
            f"{kills.total()} kills: {dict(kills)}; {len(noted)} acknowledged entries, {state.accesses} readings "
            f"({open_yet} not confirmed), {handed} deliveries, {len(readers.got)} for own use; "
            f"{vaults.objects} objects looked at, {vaults.cut_off} kills while one was written; "
            f"{readers.broken_off} times no answer; "
            f"refused: {dict(Counter(each['code'] for each in refused_requests(home.path)))}; "
            f"{time.monotonic() - began_s:.0f} s"
        )


def check_objects(home: CoalitionDirectory, vault: Vault) -> None:
    """What was taken in is there, and nothing else; what interrupted writers have left can be told and goes."""
    candidates = [home.state.candidate(number) for number in range(home.state.candidates)]
    names = set(vault.names())
    assert names <= {each.locator for each in candidates}, "an object that nobody has announced"
    taken = {Digest(bytes.fromhex(line)) for name in NAMES for line in lines(home.path.parent, name, "objects")}
    assert taken and taken <= names, "an object that was taken in is lost"
    assert {chained.block.locator for chained in list(home.state.blocks())[1:]} <= names
    unfinished = len(list((home.path / VAULT / "incoming").iterdir()))
    left_over = vault.sweep(older_than_s=-1)
    assert {name: vault.get(name, size_max=MODEL_BYTES_MAX) for name in names}.keys() == names
    assert len(list(vault.backend.list(BODIES))) == len(names)
    print(
        f"{len(names)} objects; of interrupted writers {unfinished} unfinished files, {left_over} bodies without a head"
    )


def check_deliveries(home: CoalitionDirectory, readers: Readers) -> int:
    """What left the vault did so by a reading of the journal, byte for byte; what is confirmed did arrive.

    Returns:
        How many transfers brought something.
    """
    state, count = home.state, 0
    had = {
        (candidate.proposer, candidate.locator) for candidate in map(state.candidate, range(state.candidates))
    }  # who has made a model need not fetch it
    for name in NAMES:
        for line in lines(home.path.parent, name, "deliveries"):
            number, start, size, digest, ended = line.split()
            if not int(size):
                continue  # refused, or broken off before the first byte
            access = state.access(int(number))
            assert access.member == name
            data = home.store.get(access.object, size_max=MODEL_BYTES_MAX)[int(start) :]
            assert blake3(data[: int(size)]).hexdigest() == digest, "other bytes than those of the object"
            if int(ended):
                assert len(data) == int(size), "half an object as if it were whole"
                had.add((MemberId(name), access.object))
            count += 1
    for name, reading, came in readers.got:
        access = state.access(reading)
        assert (access.member, access.object, access.purpose) == (name, came, "use")
        check_handed_out(state, reading, MemberId(name))  # granted, and witnessed
        had.add((MemberId(name), access.object))
    accesses = [state.access(number) for number in range(state.accesses)]
    for access in accesses:
        if access.delivered_ms is not None:
            assert (access.member, access.object) in had, "confirmed, and never handed out"
    for version, holders in all_holders(state).items():
        certain = {(each.member, state.block(version).locator) for each in holders}
        assert {each for each in had if each[1] == state.block(version).locator} <= certain, "who had it is not listed"
    return count


def check_journal_of(home: CoalitionDirectory, folder: Path) -> None:
    """Who had what follows from the entries alone, read one by one; and a signed journal holds against the record."""
    state: State = home.state
    granted: list[tuple[MemberId, Digest, int]] = []
    confirmed: set[int] = set()
    for index, (sender, call, code) in enumerate(said(home.ledger, state)):
        if code == 0 and call.method == "access":
            granted.append((sender, calls.Access.from_value(call.arguments).object, index))
        elif code == 0 and call.method == "delivered":
            confirmed.add(calls.Delivered.from_value(call.arguments).access)
    assert len(recorded(home.ledger)) > len(granted) == state.accesses > 0
    assert [(each.member, each.object, each.entry) for each in journal(state)] == granted
    for version, holders in all_holders(state).items():
        chained = state.block(version)
        expected: defaultdict[MemberId, set[str]] = defaultdict(set)
        for number, (member, name, _) in enumerate(granted):
            if name == chained.locator:
                expected[member].add(DELIVERED if number in confirmed else GRANTED)
        block = next(each.block for each in state.blocks() if each.block.index == version)
        assert block.contributor is not None
        expected[block.contributor].add(TRAINED)
        surest = {
            member: next(how for how in (TRAINED, DELIVERED, GRANTED) if how in found)
            for member, found in expected.items()
        }
        assert {each.member: each.how for each in holders} == surest
    signed = write_journal(state, home.charter.digest, home.ledger.head(len(home.ledger)), home.log_key())
    with (folder / "record.tclearn").open("rb") as record:
        checked = check_journal(signed, record, terms_of, home.charter.digest)
    assert len(checked.file.readings) == len(granted)


def check_ids(home: CoalitionDirectory, folder: Path) -> None:
    """The journal of data IDs has every answer that a member was given."""
    with open_id_journal(home.path, home.charter, read_only=True) as journal_of_ids:
        entries = journal_of_ids.entries()
    for name in NAMES:
        receipts = IdReceipts(folder / name / RECEIPTS).load()
        assert receipts, name
        checked_journal(id_rate(home.charter), iter(entries), receipts)


def lines(folder: Path, name: str, kind: str) -> list[str]:
    file = folder / f"{name}.acknowledged.{kind}"
    return [line for line in file.read_text().splitlines() if line] if file.exists() else []
