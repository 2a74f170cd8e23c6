"""On a real ledger: signed transactions, the same roots on both engines and in any batches, an export that verifies."""

from __future__ import annotations

import random
from io import BytesIO

import pytest
from tests.protocols.deepchain import people as p
from tests.protocols.deepchain.people import People
from tests.protocols.deepchain.world import Plain, World, signer, terms

from tclearn.encoding import MemberId
from tclearn.errors import VerificationError
from tclearn.identity import PublicKey
from tclearn.ledger import Rejected
from tclearn.ledger.cosigning import Cosignature, Cosigning, cosign
from tclearn.ledger.engines.embedded import EmbeddedLedger
from tclearn.ledger.engines.memory import MemoryLedger
from tclearn.ledger.export import write_export
from tclearn.ledger.replica import Replica
from tclearn.ledger.transaction import Transaction
from tclearn.ledger.verify import Terms, verify
from tclearn.protocols.deepchain import DeepChain, DeepChainTerms, calls
from tclearn.protocols.deepchain.records import COMPLETE
from tclearn.protocols.deepchain.state import State
from tclearn.records import Record


class OnALedger(World):
    """A world whose words are transactions of a ledger."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.ledger = MemoryLedger(self.contract, self.terms.digest, clock=lambda: self.now)

    @property
    def state(self) -> State:
        return self.ledger.state()

    def say(self, member: str, arguments: Record) -> None:
        key = signer(member)
        sequence = self.ledger.next_sequence(key.public)
        expires = self.now + 3_600_000
        said = calls.call(arguments)
        name = self.ledger.submit(
            Transaction.signed(key, self.terms.digest, said, sequence=sequence, expires_ms=expires)
        )
        outcome = self.ledger.outcome(name)
        assert outcome is not None
        if outcome.code:
            raise Rejected(outcome.code, outcome.reason)

    def cosign(self, member: str) -> Cosignature:
        return cosign(signer(member), self.terms.digest, self.ledger.head(self.cosigned_size()), self.now // 1000)


@pytest.fixture(scope="module")
def world() -> OnALedger:
    world = OnALedger(terms(iterations=2))
    lies = {"p01": {"contribute": (p.wrong_gradient, p.silent)}, "w02": {"update": (p.silent, p.wrong_sum)}}
    People(world, lies, seed=1).run()
    assert world.state.group.status == COMPLETE and world.state.accounts.fault() is None
    assert isinstance(world.contract, Cosigning)
    return world


def terms_of(data: bytes) -> Terms[State]:
    read = DeepChainTerms.from_bytes(data)
    return Terms(DeepChain(read, Plain(read.key.weights)), PublicKey(read.log_key))


def test_an_export_is_verified_with_public_keys_alone(world):
    stream = BytesIO()
    write_export(stream, world.terms.encode(), world.ledger, signer("log"))
    verified = verify(BytesIO(stream.getvalue()), terms_of, world.terms.digest)
    assert verified.head == world.ledger.head(len(world.ledger))
    assert verified.cosigned is not None, "a quorum of the members has cosigned a head"
    assert world.contract.view(verified.state).group == world.state.group
    changed = bytearray(stream.getvalue())
    changed[len(changed) // 2] ^= 1
    with pytest.raises(VerificationError):
        verify(BytesIO(bytes(changed)), terms_of, world.terms.digest)


@pytest.mark.parametrize("seed", range(3))
def test_batches_do_not_matter(world, seed):
    choose = random.Random(seed)
    replica = Replica(DeepChain(world.terms, Plain(world.terms.key.weights)), world.terms.digest)
    entries = [recorded.entry for recorded in world.ledger.entries(0, len(world.ledger))]
    for entry in entries:
        replica.append(entry.transaction, entry.time_ms)
        if choose.random() < 0.2:
            replica.commit()
        if choose.random() < 0.1:  # what was staged is undone, and said again
            size = len(replica)
            replica.rollback()
            for again in entries[len(replica) : size]:
                replica.append(again.transaction, again.time_ms)
    assert replica.head(len(entries)) == world.ledger.head(len(entries))


def test_both_engines_give_the_same_roots_also_after_a_restart(world, tmp_path):
    now = [0]
    contract = DeepChain(world.terms, Plain(world.terms.key.weights))
    entries = [recorded.entry for recorded in world.ledger.entries(0, len(world.ledger))]
    head = None
    for half in (entries[: len(entries) // 2], entries[len(entries) // 2 :]):
        with EmbeddedLedger(tmp_path / "ledger", contract, world.terms.digest, clock=lambda: now[0]) as embedded:
            for entry in half:
                now[0] = entry.time_ms
                embedded.submit(Transaction.parse(entry.transaction))
            head = embedded.head(len(embedded))
    assert head == world.ledger.head(len(entries))


def test_only_members_are_heard(world):
    assert world.contract.member_of({}, signer("p00").public) == MemberId("p00")
    assert world.contract.member_of({}, signer("stranger").public) is None
