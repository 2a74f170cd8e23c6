"""The replica: who may log what, what a rejection leaves behind, undo, snapshots, and roots whatever the batches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.notes import EMPTY, FOREVER_MS, START_MS, Add, Admit, Board, Endorse, World, signer

from tclearn.encoding import Digest, encode
from tclearn.errors import Code, MessageError, StorageError, TCLearnError
from tclearn.ledger import Call, Transaction
from tclearn.ledger.cosigning import cosign
from tclearn.ledger.replica import REJECTED_ARGUMENTS, REJECTED_CONTRACT, Replica
from tclearn.limits import REASON_CHARACTERS_MAX, STATE_ROOT_EVERY_ENTRIES, TRANSACTION_BYTES_MAX


@pytest.fixture
def replica(world: World) -> Replica[Board]:
    return Replica(world.contract, world.coalition)


def everything(replica: Replica[Board]) -> tuple[object, ...]:
    return (
        dict(replica.state()),
        [replica.head(size) for size in range(len(replica) + 1)],
        replica.time_ms,
        replica._state.root(),
    )


def refused(replica: Replica[Board], raw: bytes, time_ms: int = START_MS) -> Code:
    before = everything(replica)
    with pytest.raises(MessageError) as refusal:
        replica.append(raw, time_ms)
    with pytest.raises(MessageError) as same:
        replica.admit(raw, time_ms)
    assert same.value.code is refusal.value.code
    assert everything(replica) == before
    return refusal.value.code


def test_admission(world: World, replica: Replica[Board]) -> None:
    good = world.add(0, "first")
    flipped = good.raw[:-1] + bytes([good.raw[-1] ^ 1])
    assert refused(replica, b"") is Code.ENCODING
    assert refused(replica, bytes(TRANSACTION_BYTES_MAX + 1)) is Code.TOO_LARGE
    assert refused(replica, flipped) is Code.SIGNATURE
    assert refused(replica, World(charter=b"another").add(0, "first").raw) is Code.SIGNATURE
    stranger = Transaction.signed(
        signer("stranger"), world.coalition, good.call, sequence=0, expires_ms=good.expires_ms
    )
    assert refused(replica, stranger.raw) is Code.UNKNOWN_SIGNER
    assert refused(replica, good.raw, good.expires_ms + 1) is Code.EXPIRED
    assert replica.admit(good.raw, good.expires_ms) == good
    replica.append(good.raw, good.expires_ms)
    assert refused(replica, good.raw) is Code.SEQUENCE


def test_sequence_numbers_increase_per_key_with_gaps(world: World, replica: Replica[Board]) -> None:
    key = world.signers[world.members[0]].public
    assert replica.next_sequence(key) == 0
    late, early = world.call(0, "add", Add("b", ()).to_value(), gap=9), None
    world.sequence[world.members[0]] = 2
    early = world.add(0, "a")
    replica.append(early.raw, START_MS)
    assert replica.next_sequence(key) == 4
    replica.append(late.raw, START_MS)
    assert replica.next_sequence(key) == 9
    assert refused(replica, early.raw) is Code.SEQUENCE
    assert replica.next_sequence(world.signers[world.members[1]].public) == 0


def test_time_does_not_run_backwards_and_expiry_is_judged_by_it(world: World, replica: Replica[Board]) -> None:
    assert replica.append(world.add(0, "a").raw, START_MS).entry.time_ms == START_MS
    assert replica.append(world.add(0, "b").raw, START_MS - 5).entry.time_ms == START_MS
    expired = world.call(0, "add", Add("c", ()).to_value(), expires_ms=START_MS - 1)
    assert refused(replica, expired.raw, START_MS - 5) is Code.EXPIRED


def test_rejections_are_logged_with_their_code_and_cost_a_sequence_number(
    world: World, replica: Replica[Board]
) -> None:
    key = world.signers[world.members[0]].public
    cases = [
        (world.call(0, "add", Add("", ()).to_value()), EMPTY),
        (world.call(0, "add", {"text": 5, "tags": []}), REJECTED_ARGUMENTS),
        (world.call(0, "endorse", {"cosignature": {}}), REJECTED_ARGUMENTS),
        (world.call(0, "nothing", {}), 99),
    ]
    call = Call("other/1", "add", Add("a", ()).to_value())
    foreign = Transaction.signed(world.signers[world.members[0]], world.coalition, call, sequence=9, expires_ms=2**62)
    for index, (transaction, code) in enumerate([*cases, (foreign, REJECTED_CONTRACT)]):
        applied = replica.append(transaction.raw, START_MS)
        assert applied.outcome == replica.outcome(transaction.id)
        assert (applied.outcome.index, applied.outcome.code) == (index, code)
        assert applied.outcome.reason
        assert dict(applied.writes) == {f"ledger/sequence/{key.hex()}": transaction.sequence}
    assert replica.contract.view(replica.state()).count == 0
    assert len(replica) == 5


def test_reasons_are_cut_and_outside_of_every_hash(world: World) -> None:
    class Talkative(type(world.contract)):  # type: ignore[misc]
        def apply(self, state, call, context):
            from tclearn.ledger import Rejected

            raise Rejected(EMPTY, self.talk)

    heads = []
    transaction = world.add(0, "a")
    for talk in ("short", "long " * 10_000, "\ud800"):
        contract = Talkative(world.contract._members)
        contract.talk = talk
        replica = Replica(contract, world.coalition)
        outcome = replica.append(transaction.raw, START_MS).outcome
        assert len(outcome.reason) <= REASON_CHARACTERS_MAX
        outcome.reason.encode()
        heads.append(replica.head(1))
    assert heads[0] == heads[1] == heads[2]


@pytest.mark.parametrize("method", ["crash", "float", "reserved"])
def test_a_fault_of_the_contract_is_not_swallowed_and_changes_nothing(
    world: World, replica: Replica[Board], method: str
) -> None:
    replica.append(world.add(0, "a").raw, START_MS)
    before = everything(replica)
    with pytest.raises((ZeroDivisionError, TCLearnError)) as fault:
        replica.append(world.call(0, method, {}).raw, START_MS)
    assert not isinstance(fault.value, MessageError)
    assert everything(replica) == before


def test_a_fault_late_in_an_append_changes_nothing(
    world: World, replica: Replica[Board], monkeypatch: pytest.MonkeyPatch
) -> None:
    replica.append(world.add(0, "a").raw, START_MS)
    before = everything(replica)
    for owner, name in ((replica._history._log, "append"), (replica, "_chain")):
        transaction = world.add(0, "b")
        with monkeypatch.context() as patch:
            patch.setattr(type(owner), name, lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                replica.append(transaction.raw, START_MS)
        assert everything(replica) == before
        assert replica.outcome(transaction.id) is None
    assert replica.append(world.add(0, "c").raw, START_MS).outcome.code == 0


def test_a_snapshot_stays_as_it_was(world: World, replica: Replica[Board]) -> None:
    views = []
    for number in range(5):
        views.append((replica.state(), dict(replica.state())))
        replica.append(world.add(number % 4, f"note {number}").raw, START_MS)
    replica.append(world.call(0, "drop", {"number": 1}).raw, START_MS)
    for view, copy in views:
        assert dict(view) == copy
        assert list(view) == sorted(copy)
        assert "note/000001" in dict(replica.state()) or len(view) <= len(copy)
    with pytest.raises(TypeError):
        replica.state()["count"] = 3  # type: ignore[index]


def test_values_are_as_decoding_gives_them(world: World, replica: Replica[Board]) -> None:
    note = replica.append(world.add(0, "a").raw, START_MS).writes["note/000000"]
    assert isinstance(note, dict)
    assert list(note) == ["at", "by", "tags", "text"]
    assert note["tags"] == ["a", "b"]  # the contract wrote a tuple
    assert replica.state()["note/000000"] == note


def test_head_of_the_empty_ledger_and_of_the_future(world: World, replica: Replica[Board]) -> None:
    head = replica.head(0)
    assert (head.size, head.root, head.time_ms) == (0, hashlib.sha256().digest(), 0)
    assert head.results == replica.genesis
    other = Replica(type(world.contract)({}), world.coalition)
    assert other.genesis != replica.genesis
    for size in (1, -1):
        with pytest.raises(StorageError):
            replica.head(size)


def test_results_and_state_root_are_the_documented_hashes(world: World, replica: Replica[Board]) -> None:
    results = replica.head(0).results
    for index in range(STATE_ROOT_EVERY_ENTRIES + 1):
        drop = world.call(index % 4, "drop", {"number": index - 3}) if index % 9 == 8 else None
        applied = replica.append((drop or world.add(index % 4, "x")).raw, START_MS + index)
        writes: list[object] = []
        for key in sorted(applied.writes):
            value = applied.writes[key]
            writes += [key, 0 if value is None else encode(value)]
        item = ["tclearn/results/1", results, applied.leaf, applied.outcome.code, writes]
        if index == STATE_ROOT_EVERY_ENTRIES - 1:
            pairs = b"".join(
                hashlib.sha256(encode([key, encode(value)])).digest() for key, value in sorted(replica.state().items())
            )
            item.append(hashlib.sha256(encode("tclearn/state/1") + pairs).digest())
        results = Digest(hashlib.sha256(encode(item)).digest())  # type: ignore[arg-type]
        assert applied.results == replica.head(index + 1).results == results
        assert applied.leaf == hashlib.sha256(b"\x00" + applied.entry.encode()).digest()


def test_a_cosignature_must_be_of_this_log(world: World, replica: Replica[Board]) -> None:
    replica.append(world.add(0, "a").raw, START_MS)
    head = replica.head(1)
    assert replica.append(world.endorse(1, head).raw, START_MS).cosignature is not None
    for wrong in (
        replace(head, root=Digest(bytes(32))),
        replace(head, results=Digest(bytes(32))),
        replace(head, time_ms=1),
        replace(head, size=0),
        replace(head, size=99),
    ):
        assert refused(replica, world.endorse(1, wrong).raw) is Code.RECORD_HEAD
    borrowed = cosign(world.signers[world.members[2]], world.coalition, head, 1)
    assert refused(replica, world.call(1, "endorse", Endorse(borrowed).to_value()).raw) is Code.SIGNATURE


def mixed(world: World, count: int) -> Iterator[Transaction]:
    """Calls of all kinds: accepted, rejected, deleting, with a key that another transaction admits."""
    key = signer("m9")
    for number in range(count):
        member = number % len(world.members)
        if number == 5:
            yield world.call(0, "admit", Admit(world.members[0], key.public).to_value())
        elif number % 7 == 3:
            yield world.call(member, "drop", {"number": number // 3})
        elif number % 7 == 6:
            yield world.call(member, "add", {"text": ""})
        else:
            yield world.add(member, f"note {number}")
    last = Call("notes/1", "add", Add("of the admitted key", ()).to_value())
    yield Transaction.signed(key, world.coalition, last, sequence=4, expires_ms=FOREVER_MS)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.booleans()), max_size=30))
def test_batches_and_rollbacks_leave_no_trace(batches: list[tuple[int, bool, bool]]) -> None:
    world = World()
    calls = list(mixed(world, 30))
    plain, batched = Replica(world.contract, world.coalition), Replica(world.contract, world.coalition)
    for number, call in enumerate(calls):
        plain.append(call.raw, START_MS + number)
        plain.commit()
    for size, fails, looks in [*batches, (len(calls), False, False)]:
        done = len(batched)
        for number, call in list(enumerate(calls))[done : done + size]:
            batched.append(call.raw, START_MS + number)
            if looks:
                batched.state()
        if fails:
            batched.rollback()
            assert len(batched) == done
        else:
            batched.commit()
    assert everything(batched) == everything(plain)
    assert [batched.outcome(call.id) for call in calls] == [plain.outcome(call.id) for call in calls]


def test_a_rollback_across_a_state_root(world: World) -> None:
    plain, batched = Replica(world.contract, world.coalition), Replica(world.contract, world.coalition)
    calls = list(enumerate(mixed(world, STATE_ROOT_EVERY_ENTRIES + 10)))
    before = STATE_ROOT_EVERY_ENTRIES - 3
    for number, call in calls:
        plain.append(call.raw, START_MS + number)
        plain.commit()
    for number, call in calls[:before]:
        batched.append(call.raw, START_MS + number)
    batched.commit()
    for take_back in (True, False):
        for number, call in calls[before:]:
            batched.append(call.raw, START_MS + number)
        if take_back:
            batched.rollback()
    assert everything(batched) == everything(plain)
