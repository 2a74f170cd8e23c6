"""The service's desks without HTTP: transactions go straight in, and what was on the disk can be opened again."""

from __future__ import annotations

import io
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3
from tests.service.conftest import NAMES, keys_of, now_ms
from tests.service.level_b import PASSPHRASE

from tclearn.agents.loop import sequence_number
from tclearn.coalition.evidence import Evidence, Paired
from tclearn.coalition.verdict import Verdict, commitment
from tclearn.directory.coalition import CoalitionDirectory
from tclearn.directory.vault import open_vault
from tclearn.encoding import Digest, MemberId, digest
from tclearn.identity.seed_chain import links
from tclearn.ledger import Transaction
from tclearn.ledger.contract import Outcome
from tclearn.ledger.cosigning import cosign
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.records import AccessState, Candidate
from tclearn.protocols.tclearn.state import State
from tclearn.records import Record
from tclearn.service.delivery import DeliveryRequest
from tclearn.service.office import Office
from tclearn.service.vault import VaultDesk
from tclearn.store.vault import FolderBackend, Vault


@dataclass
class Bench:
    """A coalition of level B at its service's desks.

    Attributes:
        directory: its files.
        coalition: the same, open.
        office: takes transactions and objects.
        desk: hands objects out.
    """

    directory: Path
    coalition: CoalitionDirectory
    office: Office
    desk: VaultDesk

    @classmethod
    def open(cls, directory: Path, keys: object = None) -> Bench:
        """Open a coalition's directory; with keys that are open already a test does not wait for the passphrase."""
        coalition = CoalitionDirectory.open(directory, writing=True)
        vault = open_vault(directory, PASSPHRASE) if keys is None else Vault(FolderBackend(directory / "vault"), keys)  # type: ignore[arg-type]
        coalition = CoalitionDirectory(coalition.path, coalition.charter, coalition.contract, coalition.ledger, vault)
        office = Office(coalition, coalition.log_key())
        return cls(directory, coalition, office, VaultDesk(coalition, vault, now_ms))

    def crash(self, copy: Path) -> Bench:
        """What a process that is started now finds on the disk: the files as they are, whatever this one holds."""
        shutil.copytree(self.directory, copy, ignore=shutil.ignore_patterns("*-lock", "*-shm"))
        found = Bench.open(copy, self.vault.keys)
        self.coalition.close()
        return found

    @property
    def vault(self) -> Vault:
        assert isinstance(self.coalition.store, Vault)
        return self.coalition.store

    @property
    def state(self) -> State:
        return self.coalition.state

    def say(self, member: str, arguments: Record) -> Outcome:
        signer = keys_of(member).signer
        call = calls.call(arguments)
        transaction = Transaction.signed(
            signer,
            self.coalition.charter.digest,
            call,
            sequence=sequence_number(self.coalition.ledger.next_sequence(signer.public), call),
            expires_ms=now_ms() + 60_000,
        )
        return self.office.submit(transaction.raw, MemberId(member))[1]

    def announce(self, data: bytes, by: str | None = None) -> Candidate:
        """A member, or the one whose turn it is, announces a model with this file."""
        state = self.state
        member, newest, number = by or state.turn.member, state.block(state.tip), state.candidates
        assert member is not None
        name = Digest(blake3(data).digest())
        records = b"".join(sorted(digest("record", number, each)[:16] for each in range(3)))
        proposal = calls.Propose(newest.hash, digest("parameters", data), name, 3, 0, records)
        assert self.say(member, proposal).code == 0
        return self.state.candidate(number)

    def offer(self, data: bytes, by: str | None = None) -> Candidate:
        """A member, or the one whose turn it is, announces a model with this file, and hands it over."""
        announced = self.announce(data, by)
        self.office.put(announced.locator, io.BytesIO(data))
        assert self.say(announced.proposer, calls.Release(announced.id)).code == 0
        return self.state.candidate(self.state.candidates - 1)

    def chain(self, data: bytes) -> None:
        """The first increment, with this file, tested and accepted by all."""
        candidate = self.offer(data)
        said = Verdict("tested", Evidence(Paired(80, 80, 50, 70, 0, 20)))
        coalition, ledger = self.coalition.charter.digest, self.coalition.ledger
        for member in candidate.committee:
            self.test_access(member, candidate)
            promise = commitment(coalition, candidate.id, 0, member, said, b"salt")
            assert self.say(member, calls.Commit(candidate.id, 0, promise)).code == 0
        for member in candidate.committee:
            assert self.say(member, calls.Reveal(candidate.id, 0, said, b"salt")).code == 0
        pending = self.state.pending
        assert pending is not None
        link = links(keys_of(pending.general).signer.derive("seed chain"))[1]
        sealed = self.say(pending.general, calls.Seal(1, link))
        assert sealed.code == 0, sealed
        block = self.state.pending.block if self.state.pending else None
        assert block is not None
        for member in candidate.committee[:2]:
            signed = cosign(keys_of(member).signer, coalition, ledger.head(sealed.index + 1), now_ms() // 1000)
            assert self.say(member, calls.Endorse(block.hash, signed)).code == 0
        assert self.state.tip == 1

    def test_access(self, member: str, candidate: Candidate) -> AccessState:
        """Ask, as one of the committee."""
        assert self.say(member, calls.Access(candidate.locator, "test", candidate.id)).code == 0
        return self.state.access(self.state.accesses - 1)

    def witness(self, *members: str) -> None:
        ledger = self.coalition.ledger
        for member in members or NAMES:
            head = ledger.head(len(ledger))
            signed = cosign(keys_of(member).signer, self.coalition.charter.digest, head, now_ms() // 1000)
            self.say(member, calls.Witness(signed))

    def request(self, access: int, entry: int, *, start: int = 0, size: int | None = None) -> DeliveryRequest:
        """An honest request; tests change it."""
        ledger = self.coalition.ledger
        size = len(ledger) if size is None else size
        leaf, _ = ledger.inclusion(entry, size)
        return DeliveryRequest(
            coalition=self.coalition.charter.digest,
            access=access,
            entry=entry,
            leaf=leaf,
            receipt=self.office.receipt(entry, size),
            start=start,
            challenge=self.desk.challenges.now(),
            nonce=secrets.token_bytes(16),
            time_ms=now_ms(),
        )

    def fetch(self, member: str, access: AccessState, start: int = 0) -> bytes:
        """What the desk hands out to an honest request."""
        return self.sent(member, self.request(access.number, access.entry, start=start), member)

    def sent(self, member: str, request: DeliveryRequest, signer: str) -> bytes:
        """What the desk hands out over a member's connection to what somebody has signed."""
        delivery = self.desk.hand_out(MemberId(member), request.signed(keys_of(signer).signer))
        with delivery.stream:
            data = delivery.stream.read()
        assert len(data) == delivery.left
        return data
